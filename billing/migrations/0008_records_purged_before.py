"""How far usage records have been deleted: the plan of then decided, and may be another one now."""

from django.db import migrations, models

# Of what was deleted until now, the plan of today is the best that is known.
UNTIL_NOW = """
UPDATE billing_subscription subscription
SET records_purged_before = least(
    now() - plan.retention_days * interval '1 day', closed.start + interval '1 microsecond'
)
FROM billing_plan plan, (SELECT tenant_id, max(period_start) AS start FROM billing_closedperiod GROUP BY 1) closed
WHERE plan.code = subscription.plan_id AND closed.tenant_id = subscription.tenant_id
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_largest_budget")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="records_purged_before",
            field=models.DateTimeField(
                blank=True, help_text="Usage records of periods that began before it may be gone.", null=True
            ),
        ),
        migrations.RunSQL(UNTIL_NOW, migrations.RunSQL.noop),
    ]
