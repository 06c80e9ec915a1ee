"""What a workspace's redaction means for the cache: what is kept of a question, and whether an answer is kept. Pure.

A question with something in it is never compared by meaning: two that differ only in whose address they name would look
the same. An answer with something in it is not kept, unless the workspace prefers one with placeholders in it.
"""

from __future__ import annotations

import orjson

from gateway import redaction
from gateway.cache import policy
from gateway.cache.policy import Cacheability
from gateway.types import CacheRules, Call


def classify(question: str, rules: CacheRules) -> Cacheability:
    """As `policy.classify`, for a workspace that redacts, too."""
    kind = policy.classify(question, rules.own)
    if rules.redaction is not None and kind.semantic and redaction.finds(question, rules.redaction):
        return policy.PRIVATE._replace(ttl_s=kind.ttl_s)
    return kind


def kept_text(text: str, rules: CacheRules) -> str:
    """As it may be written down."""
    return text if rules.redaction is None else redaction.mask(text, rules.redaction)


def kept_body(call: Call, body: bytes) -> bytes | None:
    """The answer as it may be kept; None: it may not."""
    asked = call.rules.redaction
    if asked is None:
        return body
    if asked.skip and redaction.finds_in(call.request.payload["messages"], asked):
        return None
    answer = orjson.loads(body)
    if not redaction.finds_in(answer["choices"], asked):
        return body
    if not asked.mask_answers:
        return None
    return orjson.dumps({**answer, "choices": redaction.mask_in(answer["choices"], asked)})
