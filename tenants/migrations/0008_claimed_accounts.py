"""When whoever has the mailbox took an account over that somebody else may have opened, until they have said what stays."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_retention_days")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="claimed_at",
            field=models.DateTimeField(
                editable=False,
                help_text="Since then the account is theirs alone; what others left in it is still to be looked at.",
                null=True,
            ),
        ),
    ]
