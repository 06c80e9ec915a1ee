"""A cache with a history, for tests of the pages about it: kept answers, what they were given for, and verdicts."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from decimal import Decimal
from typing import Any

from django.utils import timezone

from analytics.events import HIT_SEMANTIC
from gateway.models import Verdict
from tenants.db import schema_of
from tests.booked import book
from tests.cached import bring_in
from tests.conftest import Workspace
from tests.management import manages
from tests.usage import COST_USD, exact_hit, miss

FAQ = {
    "How do I reset my password?": "Open Settings, choose Security, then “Reset password”. A link comes by mail.",
    "How long does delivery to Norway take?": "Three to five working days, and two by express.",
    "What does the premium plan cost?": "29 dollars a month, or 290 a year.",
    "How can I get a refund for a broken kettle?": "Send us a photo within 30 days. We pay within a week.",
    "Is the 5 litre pot fit for induction?": "Yes, from 12 cm diameter on.",
    "How do I export my invoices as CSV?": "Under Billing, choose a period and “Export”.",
}
# What was asked, what was answered before, how alike they are, and whether that was right.
PAIRS = [
    ("How can I get my password reset?", "How do I reset my password?", 0.93, True),
    ("How long is delivery to Sweden?", "How long does delivery to Norway take?", 0.87, False),
    ("What is the price of the premium plan?", "What does the premium plan cost?", 0.95, True),
    ("Is the 3 litre pot fit for induction?", "Is the 5 litre pot fit for induction?", 0.97, False),
    ("How do I get invoices exported to CSV?", "How do I export my invoices as CSV?", 0.91, True),
]


def keep_faq(server: str, workspace: Workspace) -> None:
    rows = [
        {"question": question, "answer": answer, "model": "gpt-4o-mini", "tags": ["faq"], "pinned": place == 0}
        for place, (question, answer) in enumerate(FAQ.items())
    ]
    assert bring_in(manages(workspace), *rows, server=server).status_code == 200


def put_aside(workspace: Workspace, kind: str = "hit", count: int = len(PAIRS), **fields: Any) -> list[Verdict]:
    """Samples that wait, the oldest first."""
    now = timezone.now()
    samples = []
    for place in range(count):
        question, prompt, similarity, _right = PAIRS[place % len(PAIRS)]
        at = now - dt.timedelta(minutes=count - place)
        values: dict[str, Any] = {"at": at, "kind": kind, "similarity": similarity, "question": question}
        values |= {"prompt": prompt, "cached_answer": FAQ[prompt], "entry_id": uuid.uuid4(), **fields}
        samples.append(Verdict(**values))
    with schema_of(workspace.tenant):
        return Verdict.objects.bulk_create(samples)


def judge_many(workspace: Workspace, count: int, *, wrong_below: float = 0.0, **fields: Any) -> None:
    """Verdicts of a model, wrong where the questions are less alike than that."""
    lots = random.Random(7)
    now = timezone.now()
    rows = []
    for _ in range(count):
        similarity = round(min(0.999, lots.triangular(0.76, 1.0, 0.93)), 4)
        question, prompt, *_rest = lots.choice(PAIRS)
        values: dict[str, Any] = {"similarity": similarity, "right": similarity >= wrong_below or lots.random() < 0.5}
        values |= {"kind": "near_miss" if similarity < 0.85 else "hit", "weight": 5.0 if similarity < 0.85 else 1.0}
        values |= {"at": now - dt.timedelta(days=2), "judged_at": now - dt.timedelta(days=1), "source": "model"}
        values |= {"question": question, "prompt": prompt, "cached_answer": FAQ[prompt], "entry_id": uuid.uuid4()}
        rows.append(Verdict(**{**values, "note": "Another place.", "cost_usd": Decimal("0.0001"), **fields}))
    with schema_of(workspace.tenant):
        Verdict.objects.bulk_create(rows)


def ask_many(workspace: Workspace, count: int, *, entry_id: str = "", shadow: bool = False) -> None:
    """Misses, exact hits and hits by meaning of the last hours; in shadow mode what would have been hits."""
    lots = random.Random(11)
    now = timezone.now().timestamp()
    free = {"billed_tokens": 0, "cost_usd": Decimal(0), "saved_usd": COST_USD}
    events = []
    for _ in range(count):
        at, similarity = now - lots.uniform(60, 40_000), round(min(0.999, lots.triangular(0.85, 1.0, 0.94)), 4)
        found = {"similarity": similarity, "entry_id": entry_id or uuid.uuid4().hex}
        kind = lots.random()
        if kind < 0.4:
            events.append(miss(workspace, at=at))
        elif kind < 0.65:
            events.append(exact_hit(workspace, at=at))
        elif shadow:
            events.append(miss(workspace, at=at, shadow_saved_usd=COST_USD, **found))
        else:
            events.append(miss(workspace, at=at, outcome=HIT_SEMANTIC, **free, **found))
    book(workspace, *events)
