"""Workspaces of the installation itself, such as the canaries'."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0010_moving"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="internal",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="The installation's own: left out of operators' lists and sums.",
            ),
        ),
    ]
