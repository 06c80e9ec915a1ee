"""What Stripe says of a subscription, and usage as it is reported to Stripe's meters."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0004_limits_and_ledger'),
        ('tenants', '0003_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='subscription',
            name='cancel_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='card_brand',
            field=models.CharField(blank=True, default='', max_length=32),
        ),
        migrations.AddField(
            model_name='subscription',
            name='card_last4',
            field=models.CharField(blank=True, default='', max_length=4),
        ),
        migrations.AddField(
            model_name='subscription',
            name='checkout_session_id',
            field=models.CharField(blank=True, db_index=True, default='', max_length=128),
        ),
        migrations.AddField(
            model_name='subscription',
            name='grace_until',
            field=models.DateTimeField(blank=True, help_text='A payment failed: from then on the limits are those of Free.', null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='metered_since',
            field=models.DateTimeField(blank=True, help_text='Usage from then on is reported to Stripe.', null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='pending_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='pending_plan',
            field=models.CharField(blank=True, default='', help_text='The plan it changes to.', max_length=32),
        ),
        migrations.AddField(
            model_name='subscription',
            name='period_end',
            field=models.DateTimeField(blank=True, null=True, verbose_name='end of the paid period'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='period_start',
            field=models.DateTimeField(blank=True, null=True, verbose_name='start of the paid period'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='status',
            field=models.CharField(choices=[('none', 'never subscribed'), ('trialing', 'Trialing'), ('active', 'Active'), ('past_due', 'Past Due'), ('unpaid', 'Unpaid'), ('canceled', 'Canceled'), ('incomplete', 'first payment not made'), ('paused', 'Paused')], default='none', max_length=12),
        ),
        migrations.AddField(
            model_name='subscription',
            name='stripe_customer_id',
            field=models.CharField(blank=True, max_length=64, null=True, unique=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='stripe_read_at',
            field=models.DateTimeField(blank=True, help_text='When Stripe was last asked.', null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='stripe_subscription_id',
            field=models.CharField(blank=True, default='', max_length=64),
        ),
        migrations.AddField(
            model_name='subscription',
            name='trial_end',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='trial_told_for',
            field=models.DateTimeField(blank=True, help_text='The end of trial that was announced.', null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='trial_used_at',
            field=models.DateTimeField(blank=True, help_text='A workspace gets one trial.', null=True),
        ),
        migrations.CreateModel(
            name='MeterReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('meter', models.CharField(choices=[('nexus_requests', 'requests'), ('nexus_model_cost', 'model cost, micro-USD')], max_length=24)),
                ('period_start', models.DateTimeField()),
                ('value', models.BigIntegerField()),
                ('billable', models.BooleanField(default=True, help_text='Not: used before the plan was a metered one; never sent.')),
                ('identifier', models.CharField(max_length=100, unique=True)),
                ('up_to', models.BigIntegerField(default=0, help_text='The newest ledger row that was counted.')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('at', models.DateTimeField(verbose_name="Stripe's timestamp")),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='meter_reports', to='tenants.tenant')),
            ],
            options={
                'indexes': [models.Index(fields=['tenant', 'meter', 'period_start'], name='reports_by_period'), models.Index(condition=models.Q(('billable', True), ('sent_at__isnull', True)), fields=['tenant'], name='reports_to_send')],
                'constraints': [models.CheckConstraint(condition=models.Q(('value__gt', 0)), name='a_report_adds')],
            },
        ),
    ]
