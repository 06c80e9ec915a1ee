from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analytics", "0005_alerts")]

    operations = [
        migrations.AddIndex(
            model_name="usagerecord",
            index=models.Index(
                condition=models.Q(("status__gte", 400)),
                fields=["-at"],
                include=["status", "error", "billed_tokens"],
                name="failed_record_by_time",
            ),
        ),
        migrations.AddIndex(
            model_name="usagerollup",
            index=models.Index(fields=["width_s", "bucket"], name="rollup_by_width_and_time"),
        ),
    ]
