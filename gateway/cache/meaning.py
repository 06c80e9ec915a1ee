"""Which kept answers are about something: by similarity of their questions, and by words. Sync, but for the embedding.

For taking away: what is missed lives on, what is found too much is asked for once more. So questions without a vector
are found, too, when they have all the words.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, NamedTuple

from django.db import connection
from psycopg import sql

from gateway.cache import entries
from gateway.cache.embedding.base import Embedder, Vector
from gateway.cache.policy import OWN_WORD
from tenants.db import table

MOST = 5_000
_LEADING = re.compile(
    r"^\s*(?:all|any|everything|anything|whatever|questions?|answers?|entries|alles|tout|todo)"
    r"(?: (?:questions?|answers?|entries))? (?:about|on|regarding|concerning|related to|zu|über|sur|sobre) ",
    re.IGNORECASE,
)
# Words that say nothing of what a question is about.
_EMPTY = frozenset(
    "a about all an and any are at be by can do does for from how i in is it me my of on or our the their them they"
    " this that to we what when where which who why with you your".split()
)
# The scan is exact: an index finds the nearest ones, and would leave some of the others out.
_NEAR = """
WITH near AS MATERIALIZED (
    SELECT entry_id, 1 - (embedding <=> %(vector)s::halfvec) AS similarity FROM {vectors}
    WHERE embedder = %(embedder)s AND dimensions = %(dimensions)s
)
SELECT entry.id, near.similarity FROM {entries} entry LEFT JOIN near ON near.entry_id = entry.id
WHERE near.similarity >= %(similarity)s
    OR (%(patterns)s::text[] <> '{{}}' AND entry.prompt ILIKE ALL (%(patterns)s::text[]))
ORDER BY near.similarity DESC NULLS LAST, entry.id LIMIT %(most)s
"""


class Phrase(NamedTuple):
    """What somebody means, as the embedding model sees it. Vectors of another `embedder` cannot be compared."""

    text: str
    vector: Vector
    embedder: str


def subject_of(text: str) -> str:
    """“everything about refunds” is about refunds."""
    return _LEADING.sub("", text).strip() or text


async def read(embedder: Embedder, text: str) -> Phrase:
    """Raises EmbeddingError."""
    subject = subject_of(text)
    return Phrase(subject, await embedder.embed(subject), embedder.name)


def find(schema: str, phrase: Phrase, similarity: float) -> list[tuple[uuid.UUID, float | None]]:
    """The most similar first, with how similar they are; one more than `MOST` at most."""
    query = sql.SQL(_NEAR).format(
        vectors=table(schema, "gateway_cachevector"), entries=table(schema, "gateway_cacheentry")
    )
    values: dict[str, Any] = {
        "vector": entries.half(phrase.vector).to_text(),
        "embedder": phrase.embedder,
        "dimensions": len(phrase.vector),
        "similarity": similarity,
        "patterns": patterns_of(phrase.text),
        "most": MOST + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        found: list[tuple[uuid.UUID, float | None]] = cursor.fetchall()
        return found


def patterns_of(text: str) -> list[str]:
    """Each of the words that say something, in the singular, as ILIKE finds it."""
    words = dict.fromkeys(word for word in OWN_WORD.findall(text.lower()) if word not in _EMPTY)
    return [f"%{word[:-1] if len(word) > 3 and word.endswith('s') else word}%" for word in words]
