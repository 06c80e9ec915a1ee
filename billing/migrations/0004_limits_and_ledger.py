"""Every limit as a column, what the ledger needs to be reconciled, and prices of what is beyond a plan."""

import datetime
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


# Rows from before have no day of their own: that of their booking is at most minutes later.
DAYS = """
ALTER TABLE billing_ledgerentry DISABLE TRIGGER append_only;
UPDATE billing_ledgerentry SET day = (created_at AT TIME ZONE 'UTC')::date;
ALTER TABLE billing_ledgerentry ENABLE TRIGGER append_only;
"""
CLOSED_FOR_GOOD = """
CREATE FUNCTION billing_closed_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A closed period is not changed: what comes later is booked as late (row %).', OLD.id;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_closedperiod
    FOR EACH ROW EXECUTE FUNCTION billing_closed_is_closed();
"""
# What is beyond the monthly price: 1,000,000 requests are included, then 0.10 USD a thousand.
PLANS = {
    "pro": {"trial_days": 14},
    "scale": {"request_usd": Decimal("0.0001"), "included_requests": 1_000_000, "passes_on_cost": True},
}


def price(apps, schema_editor):
    plans = apps.get_model("billing", "Plan").objects
    for code, values in PLANS.items():
        plans.filter(code=code).update(**values)


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0003_plans_and_ledger'),
        ('tenants', '0003_limits'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClosedPeriod',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('period_start', models.DateTimeField()),
                ('period_end', models.DateTimeField()),
                ('closed_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('plan_code', models.CharField(max_length=32)),
                ('requests', models.BigIntegerField()),
                ('tokens', models.BigIntegerField()),
                ('cost_usd', models.DecimalField(decimal_places=10, max_digits=20)),
                ('saved_usd', models.DecimalField(decimal_places=10, max_digits=20)),
                ('platform_cost_usd', models.DecimalField(decimal_places=10, max_digits=20)),
                ('unpriced', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='PlatformLimits',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('requests_per_minute', models.PositiveIntegerField(blank=True, null=True)),
                ('tokens_per_minute', models.PositiveBigIntegerField(blank=True, null=True)),
            ],
            options={
                'verbose_name_plural': 'platform limits',
            },
        ),
        migrations.CreateModel(
            name='Reconciliation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('period_start', models.DateTimeField()),
                ('compared_at', models.DateTimeField()),
                ('books', models.JSONField()),
                ('drift_requests', models.BigIntegerField(default=0)),
                ('drift_tokens', models.BigIntegerField(default=0)),
                ('drift_usd', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=20)),
                ('drifting_since', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='ledgerentry',
            name='a_batch_is_booked_once',
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='day',
            field=models.DateField(default=datetime.date(2000, 1, 1), help_text='UTC day on which the requests came in.'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='platform_cost_usd',
            field=models.DecimalField(decimal_places=10, default=Decimal('0'), help_text="The part that the platform's account paid.", max_digits=20),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='unpriced',
            field=models.BigIntegerField(default=0, help_text='Requests whose model has no known price.'),
        ),
        migrations.AddField(
            model_name='plan',
            name='budget_mode',
            field=models.CharField(choices=[('hard', 'Refuse what would exceed it'), ('warn', 'Let it pass, and tell')], default='hard', max_length=4),
        ),
        migrations.AddField(
            model_name='plan',
            name='concurrency',
            field=models.PositiveIntegerField(blank=True, help_text='Requests in flight at once.', null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='daily_budget_usd',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Of what providers charge, by the UTC day.', max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)]),
        ),
        migrations.AddField(
            model_name='plan',
            name='included_requests',
            field=models.PositiveBigIntegerField(default=0, help_text='Of a metered plan: requests in a period before any is charged.'),
        ),
        migrations.AddField(
            model_name='plan',
            name='is_public',
            field=models.BooleanField(default=True, help_text='Whether people can choose it themselves.'),
        ),
        migrations.AddField(
            model_name='plan',
            name='monthly_budget_usd',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Of what providers charge, in a billing period.', max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)]),
        ),
        migrations.AddField(
            model_name='plan',
            name='passes_on_cost',
            field=models.BooleanField(default=False, help_text="Charges what models cost on the platform's own provider account, at cost."),
        ),
        migrations.AddField(
            model_name='plan',
            name='request_burst',
            field=models.PositiveIntegerField(blank=True, help_text='Makes a token bucket of this size of the requests a minute.', null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='request_usd',
            field=models.DecimalField(blank=True, decimal_places=10, help_text='Empty: not metered.', max_digits=14, null=True, verbose_name='USD a request'),
        ),
        migrations.AddField(
            model_name='plan',
            name='requests_per_day',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='requests_per_hour',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='token_burst',
            field=models.PositiveIntegerField(blank=True, help_text='Makes a token bucket of this size of the tokens a minute.', null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='tokens_per_day',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='tokens_per_hour',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='trial_days',
            field=models.PositiveSmallIntegerField(default=0, help_text='Once for each workspace.'),
        ),
        migrations.AddField(
            model_name='priceoverride',
            name='cache_write_usd_per_mtok',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name='priceoverride',
            name='input_audio_usd_per_mtok',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name='priceoverride',
            name='input_image_usd_per_mtok',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name='priceoverride',
            name='output_audio_usd_per_mtok',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name='priceoverride',
            name='output_image_usd_per_mtok',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name='priceoverride',
            name='reasoning_usd_per_mtok',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=14, null=True),
        ),
        migrations.AddField(
            model_name='subscription',
            name='budget_mode',
            field=models.CharField(choices=[('hard', 'Refuse what would exceed it'), ('warn', 'Let it pass, and tell')], default='hard', max_length=4),
        ),
        migrations.AddField(
            model_name='subscription',
            name='daily_budget_usd',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Of what providers charge, by the UTC day.', max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)]),
        ),
        migrations.AddField(
            model_name='subscription',
            name='monthly_budget_usd',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Of what providers charge, in a billing period.', max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)]),
        ),
        migrations.AddField(
            model_name='subscription',
            name='unpriced',
            field=models.CharField(choices=[('refuse', 'Refuse them where a budget applies'), ('allow', 'Let them pass uncounted')], default='refuse', max_length=6, verbose_name='models without a known price'),
        ),
        migrations.AlterField(
            model_name='ledgerentry',
            name='kind',
            field=models.CharField(choices=[('usage', 'Usage'), ('late', 'usage, after its period was closed'), ('adjustment', 'Adjustment')], default='usage', max_length=16),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(fields=('batch', 'tenant', 'key_id', 'period_start', 'day'), name='a_batch_is_booked_once'),
        ),
        migrations.AddField(
            model_name='closedperiod',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='closed_periods', to='tenants.tenant'),
        ),
        migrations.AddConstraint(
            model_name='platformlimits',
            constraint=models.CheckConstraint(condition=models.Q(('id', 1)), name='one_row_of_platform_limits'),
        ),
        migrations.AddField(
            model_name='reconciliation',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reconciliations', to='tenants.tenant'),
        ),
        migrations.AddConstraint(
            model_name='closedperiod',
            constraint=models.UniqueConstraint(fields=('tenant', 'period_start'), name='a_period_is_closed_once'),
        ),
        migrations.AddConstraint(
            model_name='reconciliation',
            constraint=models.UniqueConstraint(fields=('tenant', 'period_start'), name='one_comparison_per_period'),
        ),
        migrations.RunSQL(DAYS, migrations.RunSQL.noop),
        migrations.RunSQL(
            CLOSED_FOR_GOOD,
            "DROP TRIGGER append_only ON billing_closedperiod; DROP FUNCTION billing_closed_is_closed();",
        ),
        migrations.RunPython(price, migrations.RunPython.noop),
    ]
