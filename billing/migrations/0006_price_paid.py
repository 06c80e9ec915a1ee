"""The price that a subscription is paid at, which may be an older one of its plan's. Nobody read `up_to`."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_stripe")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="price_usd",
            field=models.DecimalField(
                blank=True,
                decimal_places=2,
                help_text="That of the plan may have changed since. Empty: nothing is paid, or Stripe was not asked yet.",
                max_digits=10,
                null=True,
                verbose_name="price that is paid, USD a month",
            ),
        ),
        migrations.RemoveField(model_name="meterreport", name="up_to"),
    ]
