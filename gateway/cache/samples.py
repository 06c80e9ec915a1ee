"""Takes what people asked out of samples and verdicts when it is to be forgotten. Sync; within the tenant's schema.

What nobody has judged goes as a whole. Of a verdict its figures stay, for the threshold and for what judging cost; its
texts do not.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.db.models import Q, QuerySet

from gateway.models import CacheEntry, Verdict

TEXTS = ("question", "prompt", "cached_answer", "fresh_answer")
_TAKEN_OUT: dict[str, Any] = {**dict.fromkeys((*TEXTS, "note"), ""), "end_user": ""}


def of_all() -> Q:
    return Q(pk__isnull=False)


def of_entries(entry_ids: Collection[uuid.UUID] | QuerySet[CacheEntry, uuid.UUID]) -> Q:
    return Q(entry_id__in=entry_ids)


def that_say(text: str) -> Q:
    """In a question or an answer, upper or lower case."""
    found = Q()
    for name in TEXTS:
        found |= Q(**{f"{name}__icontains": text})
    return found


def with_texts(which: Q) -> QuerySet[Verdict]:
    return Verdict.objects.filter(which).exclude(**dict.fromkeys(TEXTS, ""))


def forget(which: Q) -> None:
    """One that the judge has in hand is waited for."""
    # First, so that what is judged meanwhile is among the others.
    Verdict.objects.filter(which, right=None, judged_at=None).delete()
    with_texts(which).update(**_TAKEN_OUT)
