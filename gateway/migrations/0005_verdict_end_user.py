"""Samples say, by a digest, which end user asked: so they can be forgotten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0004_review"),
    ]

    operations = [
        migrations.AddField(
            model_name="verdict",
            name="end_user",
            field=models.CharField(blank=True, db_default="", default="", max_length=32),
        ),
    ]
