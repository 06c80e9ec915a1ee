"""Why the newest answers had to be made: what was alike in the cache by then, and which guard refused it.

Reckoned when somebody looks, from the kept questions and their vectors: no request is held up to count it.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.db import OperationalError, connection, transaction

from gateway.cache import verify

NEWEST, EXAMPLES = 40, 5
# A page must not take longer: in a workspace with very many questions in one scope nothing is said.
PATIENCE_MS = 100

_NEAREST = """
WITH newest AS (
    SELECT id, prompt, embedder, created_at FROM gateway_cacheentry
    WHERE scope <> '' AND embedder <> '' ORDER BY created_at DESC LIMIT %(newest)s
)
SELECT newest.prompt, earlier.prompt, near.similarity
FROM newest
JOIN gateway_cachevector asked ON asked.entry_id = newest.id AND asked.embedder = newest.embedder
LEFT JOIN LATERAL (
    SELECT entry_id, 1 - (embedding <=> asked.embedding) AS similarity FROM gateway_cachevector
    WHERE scope = asked.scope AND embedder = asked.embedder AND dimensions = asked.dimensions
        AND created_at < asked.created_at
    ORDER BY embedding <=> asked.embedding LIMIT 1
) near ON true
LEFT JOIN gateway_cacheentry earlier ON earlier.id = near.entry_id
"""


class Refused(NamedTuple):
    """`asked` had to be answered anew, though `known` was as similar."""

    asked: str
    known: str
    similarity: float
    guard: str
    reason: str


class Found(NamedTuple):
    """Of `looked_at` answers, `alike` had a question at the threshold or above in the cache."""

    looked_at: int
    alike: int
    by_guard: list[tuple[str, int]]
    examples: list[Refused]


def refused(threshold: float) -> Found | None:
    """None where there are too many to compare. Within the tenant's schema."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
            cursor.execute(_NEAREST, {"newest": NEWEST})
            rows = cursor.fetchall()
    except OperationalError:
        return None
    alike = [(asked, known, similarity) for asked, known, similarity in rows if known and similarity >= threshold]
    examples = []
    for asked, known, similarity in alike:
        refusal = verify.check(asked, known, similarity)
        if refusal is not None:
            examples.append(Refused(asked, known, similarity, refusal.guard, refusal.reason))
    counted = Counter(each.guard for each in examples)
    return Found(len(rows), len(alike), counted.most_common(), examples[:EXAMPLES])
