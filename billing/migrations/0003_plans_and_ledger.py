"""The plans everybody starts with, and the rule that the ledger only grows."""

from django.db import migrations

PLANS = [
    # code, name, price, requests/minute, tokens/minute, requests/month, tokens/month, retention days
    ("free", "Free", "0", 10, None, 100, 5_000, 30),
    ("pro", "Pro", "29", 100, None, 10_000, 5_000_000, 90),
    ("scale", "Scale", "249", 1_000, None, None, None, 365),
]
FIELDS = (
    "code", "name", "price_usd", "requests_per_minute", "tokens_per_minute", "monthly_requests", "monthly_tokens",
    "retention_days",
)


def seed(apps, schema_editor):
    plan = apps.get_model("billing", "Plan")
    for position, row in enumerate(PLANS):
        values = dict(zip(FIELDS, row, strict=True))
        plan.objects.get_or_create(code=values.pop("code"), defaults={**values, "position": position})


APPEND_ONLY = """
CREATE FUNCTION billing_ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: book an adjustment instead of changing row %.', OLD.id;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION billing_ledger_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_tenants")]

    operations = [
        migrations.RunPython(seed, migrations.RunPython.noop),
        migrations.RunSQL(
            APPEND_ONLY,
            "DROP TRIGGER append_only ON billing_ledgerentry; DROP FUNCTION billing_ledger_is_append_only();",
        ),
    ]
