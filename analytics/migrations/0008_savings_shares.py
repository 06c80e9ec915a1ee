import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analytics", "0007_failed_record_by_time")]

    operations = [
        migrations.CreateModel(
            name="SavingsShare",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_sha256", models.CharField(max_length=64, unique=True)),
                ("label", models.CharField(blank=True, max_length=80)),
                ("range", models.CharField(blank=True, max_length=16)),
                ("first_day", models.DateField(null=True)),
                ("last_day", models.DateField(null=True)),
                ("shows_keys", models.BooleanField(default=False)),
                ("created_by", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(null=True)),
                ("opened_at", models.DateTimeField(help_text="Last, to the minute.", null=True)),
            ],
            options={"ordering": ["-id"]},
        ),
    ]
