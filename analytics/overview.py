"""How one tenant's gateway did in a while: the figures that operators ask for first. Sync; tables are named with their
schema."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils.translation import gettext_noop
from psycopg import sql

from analytics import costs
from analytics.costs import Question, Reach, Sums
from analytics.models import UsageRecord
from tenants import kept
from tenants.db import table

PLAYGROUND = gettext_noop("the playground")
kept.keep(PLAYGROUND)
# By a record's dialect.
ENDPOINTS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "openai-embeddings": "/v1/embeddings",
    "simple-chat": "/api/chat",
    "prompt-chat": "/v1/chat",
    "socket-chat": "/ws/chat",
    "playground": PLAYGROUND,
    "passthrough": "/v1/… (passed on)",
}

_ENDPOINTS = """
SELECT dialect, count(*), count(*) FILTER (WHERE status >= 400 AND billed_tokens <= 0), avg(latency_ms)
FROM {records} WHERE at >= %s AND at < %s GROUP BY 1 ORDER BY 2 DESC, 1
"""


class Endpoint(NamedTuple):
    endpoint: str
    requests: int
    errors: int
    avg_response_time_ms: float


class Overview(NamedTuple):
    """`endpoints` are those of the records that are still there, which `records` tells about."""

    sums: Sums
    endpoints: list[Endpoint]
    records: Reach

    @property
    def avg_response_time_ms(self) -> float | None:
        return self.sums.latency_ms_sum / self.sums.requests if self.sums.requests else None

    @property
    def success_rate(self) -> float | None:
        """0 to 1; None without any request."""
        return (self.sums.requests - self.sums.errors) / self.sums.requests if self.sums.requests else None


def overview(schema: str, start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> Overview:
    query = sql.SQL(_ENDPOINTS).format(records=table(schema, UsageRecord._meta.db_table))
    with connection.cursor() as cursor:
        cursor.execute(query, [start, end])
        endpoints = [Endpoint(ENDPOINTS.get(name, name), *counted) for name, *counted in cursor.fetchall()]
    return Overview(
        sums=costs.totals(schema, Question(start, end, zone)),
        endpoints=endpoints,
        records=costs.reach_of_records(schema, start),
    )
