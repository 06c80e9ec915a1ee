"""What costs are added up by: tags of the app, kinds of tokens, and whose account paid."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('analytics', '0003_stale_and_shadow'),
    ]

    operations = [
        migrations.AddField(
            model_name='usagerecord',
            name='paid_by_platform',
            field=models.BooleanField(default=False, help_text="On the platform's own provider account."),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='tags',
            field=models.JSONField(help_text='As the app named them, to add costs up by.', null=True),
        ),
        migrations.AddField(
            model_name='usagerecord',
            name='token_details',
            field=models.JSONField(null=True),
        ),
    ]
