"""Records tell of answers past their time, and of what shadow mode found."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0002_upstream_model_and_variant"),
    ]

    operations = [
        migrations.AddField(
            model_name="usagerecord",
            name="shadow_saved_usd",
            field=models.DecimalField(
                decimal_places=10,
                help_text="What the answer would have saved that shadow mode found.",
                max_digits=20,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="usagerecord",
            name="stale",
            field=models.BooleanField(default=False, help_text="Past its time, in place of a provider that failed."),
        ),
        migrations.AlterField(
            model_name="usagerecord",
            name="entry_id",
            field=models.UUIDField(
                help_text="The cached answer that was given, or in shadow mode would have been.", null=True
            ),
        ),
    ]
