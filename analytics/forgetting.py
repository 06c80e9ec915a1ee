"""Takes an end user's name out of usage records: out of what the app chose, request ids and tags. Sync; within the
tenant's schema. Tokens, money and times stay: books are compared by them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from django.db import connection

BATCH = 1_000
# A shorter name is in too many texts that mean somebody else: only texts that are nothing but it count.
SHORTEST_WITHIN = 4

_SAYS = "position(lower(%(name)s) in lower({}))"
_IS = "({} = %(name)s)::int"
# Told apart by the gateway's own id from then on.
_FORGET = """
WITH found AS (
    SELECT id FROM analytics_usagerecord
    WHERE id > %(last)s AND ({says_request} > 0 OR jsonb_typeof(tags) = 'array' AND EXISTS (
        SELECT FROM jsonb_array_elements_text(tags) AS tag WHERE {says_tag} > 0))
    ORDER BY id LIMIT %(most)s
)
UPDATE analytics_usagerecord record SET
    request_id = CASE WHEN {says_request} > 0 THEN replace(record.id::text, '-', '') ELSE request_id END,
    tags = CASE WHEN jsonb_typeof(tags) = 'array' THEN (
        SELECT jsonb_agg(tag) FROM jsonb_array_elements_text(tags) AS tag WHERE {says_tag} = 0) END
FROM found WHERE record.id = found.id
RETURNING record.id
"""
_RENAME = """
UPDATE analytics_usagerecord SET request_id = replace(id::text, '-', '')
WHERE id = ANY(%s) AND request_id <> replace(id::text, '-', '')
"""


def forget_name(name: str) -> Iterator[int]:
    """Batch after batch, in how many records it stood. Each is looked at once."""
    says = _SAYS if len(name) >= SHORTEST_WITHIN else _IS
    query = _FORGET.format(says_request=says.format("request_id"), says_tag=says.format("tag"))
    last = uuid.UUID(int=0)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(query, {"name": name.replace("\0", ""), "last": last, "most": BATCH})
            gone = [row[0] for row in cursor.fetchall()]
        yield len(gone)
        if len(gone) < BATCH:
            return
        last = max(gone)


def rename(record_ids: Sequence[uuid.UUID]) -> int:
    """These lose the request id that the app gave them; in how many there was one."""
    with connection.cursor() as cursor:
        cursor.execute(_RENAME, [list(record_ids)])
        return int(cursor.rowcount)
