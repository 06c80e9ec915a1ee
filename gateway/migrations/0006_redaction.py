"""Workspaces say what is taken out of texts before they are kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0005_verdict_end_user"),
    ]

    operations = [
        migrations.AddField(
            model_name="cachesettings",
            name="redact",
            field=models.JSONField(blank=True, db_default=[], default=list, help_text="Taken out of what is kept."),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="redact_words",
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="skip_redacted",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Answers to what holds any of it are not kept."
            ),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="mask_answers",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Answers that hold any of it are kept with placeholders."
            ),
        ),
    ]
