"""Alerts: rules, webhook endpoints, what was raised, and what became of each message."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('analytics', '0004_tags_and_token_details'),
    ]

    operations = [
        migrations.CreateModel(
            name='AlertRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40, unique=True)),
                ('enabled', models.BooleanField(default=True)),
                ('thresholds', models.JSONField(default=dict)),
                ('channels', models.JSONField(default=list)),
                ('roles', models.JSONField(default=list, help_text='Members with these are written to.')),
            ],
        ),
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('url', models.CharField(max_length=2000)),
                ('description', models.CharField(blank=True, default='', max_length=200)),
                ('kinds', models.JSONField(default=list, help_text='Empty: all.')),
                ('secret', models.BinaryField(help_text='Encrypted (tenants.secretbox).')),
                ('previous_secret', models.BinaryField(null=True)),
                ('previous_until', models.DateTimeField(help_text='The previous secret signs, too, until then.', null=True)),
                ('enabled', models.BooleanField(default=True)),
                ('off_reason', models.CharField(blank=True, default='', help_text='Why it was switched off for them.', max_length=200)),
                ('failing_since', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='AlertEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=40)),
                ('subject', models.CharField(help_text='What it is about: the workspace, a key, an endpoint.', max_length=200)),
                ('facts', models.JSONField(default=dict)),
                ('dedupe_key', models.CharField(max_length=200, unique=True)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('read_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['-at', '-id'], name='alert_by_time')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('email', models.EmailField(blank=True, default='', help_text='Without an endpoint: who is written to.', max_length=254)),
                ('status', models.CharField(choices=[('waiting', 'Waiting'), ('delivered', 'Delivered'), ('failed', 'Failed')], default='waiting', max_length=10)),
                ('tries', models.PositiveSmallIntegerField(default=0, help_text='Since it was raised or replayed.')),
                ('attempts', models.JSONField(default=list, help_text='The last ones: at, status, error, took_ms.')),
                ('response', models.CharField(blank=True, default='', max_length=1024)),
                ('next_at', models.DateTimeField(default=django.utils.timezone.now, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='analytics.alertevent')),
                ('endpoint', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='analytics.webhookendpoint')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('status', 'waiting')), fields=['next_at'], name='delivery_due'), models.Index(fields=['endpoint', '-created_at', '-id'], name='delivery_by_endpoint')],
                'constraints': [models.UniqueConstraint(fields=('event', 'endpoint', 'email'), name='one_delivery_a_receiver', nulls_distinct=False)],
            },
        ),
    ]
