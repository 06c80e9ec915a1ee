"""A third status. Only what Django knows of it changes: the column is text."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tenants", "0003_limits"),
    ]

    operations = [
        migrations.AlterField(
            model_name="tenant",
            name="status",
            field=models.CharField(
                choices=[("active", "Active"), ("suspended", "Suspended"), ("deleted", "Deleted")],
                default="active",
                max_length=16,
            ),
        ),
    ]
