"""What the worker reads is what the data plane wrote, or is refused with a reason."""

from __future__ import annotations

import dataclasses
import time
import uuid
from decimal import Decimal
from typing import Any

import orjson
import pytest

from analytics.events import HIT_EXACT, MISS, Malformed, UsageEvent

ENTRY_ID = str(uuid.uuid4())
META = {
    "entry_id": ENTRY_ID, "created_at": 1.0, "provider": "openai", "simulated": True, "catalog": "openai",
    "upstream_model": "gpt-4o-mini", "prompt_tokens": 7, "cached_tokens": 2, "completion_tokens": 9,
}  # fmt: skip


def make(**facts: Any) -> UsageEvent:
    defaults: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "request_id": "r-1",
        "tenant_id": 7,
        "key_id": 8,
        "at": time.time(),
        "period": 1_790_000_000,
        "dialect": "openai_chat",
        "outcome": MISS,
        "model": "gpt-4o-mini",
    }
    return UsageEvent(**{**defaults, **facts})


def test_an_event_survives_the_way_with_its_money_to_the_last_digit() -> None:
    event = make(cost_usd=Decimal("0.0000000001"), saved_usd=Decimal(0), similarity=0.91, first_token_ms=12.5)
    assert UsageEvent.read({b"e": event.write()}) == event


def test_an_exact_hit_takes_the_answers_facts_from_its_entry() -> None:
    event = UsageEvent.read({b"e": make(outcome=HIT_EXACT).write(), b"m": orjson.dumps(META)})
    assert (event.provider, event.simulated, event.entry_id) == ("openai", True, ENTRY_ID)
    assert (event.prompt_tokens, event.cached_tokens, event.completion_tokens) == (7, 2, 9)
    assert event.outcome == HIT_EXACT
    assert event.billed_tokens == 0
    assert event.token_details is None
    detailed = orjson.dumps({**META, "token_details": {"cached": 2, "reasoning": 5}})
    event = UsageEvent.read({b"e": make(outcome=HIT_EXACT, tags=["team-a"]).write(), b"m": detailed})
    assert (event.token_details, event.tags) == ({"cached": 2, "reasoning": 5}, ["team-a"])


def test_an_entry_cannot_say_whose_request_it_was() -> None:
    event = make(outcome=HIT_EXACT)
    claims = orjson.dumps({**META, "tenant_id": 1, "key_id": 1, "billed_tokens": 1, "cost_usd": "9"})
    read = UsageEvent.read({b"e": event.write(), b"m": claims})
    assert (read.tenant_id, read.key_id, read.billed_tokens, read.cost_usd) == (7, 8, 0, None)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    event = make()
    newer = orjson.dumps({**orjson.loads(event.write()), "colour": "green"})
    assert UsageEvent.read({b"e": newer}) == event


@pytest.mark.parametrize(
    "change",
    [
        {"id": "not-a-uuid"},
        {"entry_id": "not-a-uuid"},
        {"tenant_id": "7"},
        {"prompt_tokens": 1.5},
        {"model": None},
        {"dialect": 3},
        {"similarity": "high"},
        {"at": 1e300},
        {"at": None},
        {"period": 10**18},
        {"cost_usd": "NaN"},
        {"saved_usd": "Infinity"},
        {"cost_usd": "1e30"},
        {"cost_usd": "cheap"},
        {"cost_usd": []},
        {"token_details": [1]},
        {"token_details": {"reasoning": "many"}},
        {"token_details": {"reasoning": 1.5}},
        {"tags": "team-a"},
        {"paid_by_platform": 1},
    ],
    ids=str,
)
def test_a_field_that_cannot_be_booked_makes_the_event_malformed(change: dict[str, Any]) -> None:
    event = orjson.dumps({**orjson.loads(make().write()), **change})
    with pytest.raises(Malformed):
        UsageEvent.read({b"e": event})


@pytest.mark.parametrize("fields", [{}, {b"e": b""}, {b"e": b"{"}, {b"e": b"[]"}, {b"e": b"{}"}, {b"e": b"7"}], ids=str)
def test_what_is_no_event_is_malformed(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(Malformed):
        UsageEvent.read(fields)


@pytest.mark.parametrize("meta", [b"{", b"[]", b'{"prompt_tokens": "many"}'], ids=str)
def test_an_unreadable_entry_makes_the_hit_malformed(meta: bytes) -> None:
    with pytest.raises(Malformed):
        UsageEvent.read({b"e": make(outcome=HIT_EXACT).write(), b"m": meta})


def test_every_field_has_a_checked_type() -> None:
    from analytics.events import _TYPES

    money = {"cost_usd", "saved_usd", "shadow_saved_usd"}
    assert {field.name for field in dataclasses.fields(UsageEvent)} == set(_TYPES) | money
