"""People judge samples, too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0003_verified_cache"),
    ]

    operations = [
        migrations.AddField(
            model_name="cachesettings",
            name="review",
            field=models.BooleanField(default=False, help_text="Samples are put aside for people, too."),
        ),
        migrations.AddField(
            model_name="verdict",
            name="reviewer_id",
            field=models.BigIntegerField(help_text="Who gave the verdict in the review queue.", null=True),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["entry_id"], name="verdict_by_entry"),
        ),
    ]
