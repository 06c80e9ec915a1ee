"""Sums by day, added up from those by hour; records by the cached answer that they were given.

The index is made first: booking takes its locks in this order, and waits meanwhile (some seconds for each million
records). Calls do not wait: their usage is kept in Redis. A worker of an older version that is still running books no
days; purge_records adds them up within a day.
"""

from django.db import migrations, models

_ADD_UP = """
LOCK TABLE analytics_usagerollup IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO analytics_usagerollup (bucket, width_s, outcome, model, provider, key_id, requests, errors, prompt_tokens,
    completion_tokens, billed_tokens, cost_usd, saved_usd, unpriced, latency_ms_sum)
SELECT date_trunc('day', bucket, 'UTC'), 86400, outcome, model, provider, key_id, sum(requests), sum(errors),
    sum(prompt_tokens), sum(completion_tokens), sum(billed_tokens), sum(cost_usd), sum(saved_usd), sum(unpriced),
    sum(latency_ms_sum)
FROM analytics_usagerollup WHERE width_s = 3600 GROUP BY 1, 3, 4, 5, 6;
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0008_savings_shares")]

    operations = [
        migrations.AddIndex(
            model_name="usagerecord",
            index=models.Index(
                condition=models.Q(("entry_id__isnull", False)),
                fields=["entry_id", "-at"],
                name="record_by_entry",
            ),
        ),
        migrations.RunSQL(_ADD_UP, "DELETE FROM analytics_usagerollup WHERE width_s = 86400"),
    ]
