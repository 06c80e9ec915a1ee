"""Budgets are no larger than the scripts in Redis can count exactly. Validators only."""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models


def budget(model_name: str, name: str, help_text: str) -> migrations.AlterField:
    field = models.DecimalField(
        blank=True,
        decimal_places=2,
        help_text=help_text,
        max_digits=12,
        null=True,
        validators=[MinValueValidator(0), MaxValueValidator(Decimal(900_000))],
    )
    return migrations.AlterField(model_name=model_name, name=name, field=field)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_invitations")]

    operations = [
        budget("apikey", "daily_budget_usd", "Of what providers charge, by the UTC day."),
        budget("apikey", "monthly_budget_usd", "Of what providers charge, in a billing period."),
    ]
