"""What is written down of a call: with the prices of who answered, and nothing that its table cannot hold."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from billing.pricing import PriceBook
from gateway import relay, settlement
from gateway.dispatch import Chunk, Upstream
from gateway.errors import ClientLeft, ProviderRefused
from gateway.relay import Flight
from gateway.settlement import Outcome
from gateway.types import CacheRules, Candidate, ChatRequest, Plan, ProviderConfig

OPENAI = Candidate(ProviderConfig("p", "openai"), "gpt-5")


def a_call() -> Any:
    """What settlement reads of one."""
    now = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)
    return SimpleNamespace(
        id="c", request_id="r", at=now.timestamp(), when=now, elapsed_ms=1.0, tags=(), rules=CacheRules(),
        dialect=SimpleNamespace(NAME="openai-chat"), principal=SimpleNamespace(tenant_id=1, key_id=1),
        account=SimpleNamespace(period=SimpleNamespace(start=now)), plan=Plan((OPENAI,), ()),
        request=ChatRequest({}, "gpt-5", stream=True, prompt_tokens=1_000),
    )  # fmt: skip


@pytest.mark.parametrize("tier", ["default", "flex", "priority"])
def test_a_stream_that_is_stopped_half_way_keeps_its_service_tier(tier: str) -> None:
    async def chunks() -> AsyncIterator[Chunk]:
        delta = {"index": 0, "delta": {"content": "word " * 1_000}}
        chunk = {"id": "a", "service_tier": tier, "choices": [delta]}
        yield Chunk(orjson.dumps(chunk), chunk)
        await asyncio.sleep(3600)

    async def stopped() -> Outcome:
        call, flight, outcome = a_call(), Flight(), Outcome("MISS")
        task = asyncio.create_task(relay.drain(Upstream(OPENAI, None, chunks(), 0.0), call, flight, outcome))
        await flight.begun()
        task.cancel()
        await asyncio.wait({task})
        return outcome.failed(ClientLeft("The client left."))

    outcome, book = asyncio.run(stopped()), PriceBook()
    assert outcome.meta is not None and outcome.meta.completion_tokens == 2_000
    cost, _ = settlement.cost_and_saving(a_call(), outcome, book)
    usual, of_tier = (settlement.cost_of(book, outcome.meta, a_call().when, one) for one in ("", tier))
    assert cost == of_tier and (cost == usual) == (tier == "default")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"code": "rate_limit"}, "rate_limit"),
        ({"code": 1234}, "1234"),
        ({"code": "x" * 60_000}, "x" * 64),
        ({"code": "a\0b\nc"}, "abc"),
        ({"type": "y" * 100}, "y" * 64),
        ({"code": {"deep": 1}, "type": ["x"]}, "invalid_request_error"),
        ({"code": "\0"}, ""),
    ],
    ids=["plain", "number", "long", "nul", "type", "object", "nothing left"],
)
def test_whatever_a_provider_calls_its_refusal_can_be_booked(sent: dict[str, Any], kept: str) -> None:
    failed = Outcome("MISS").failed(ProviderRefused(400, sent, provider="p"))
    event = settlement.event_of(a_call(), failed, PriceBook())
    assert (event.error, event.status) == (kept, 400)


def test_a_refusal_that_is_nested_deeply_is_still_a_refusal() -> None:
    deep = orjson.loads(b"[" * 1_000 + b"]" * 1_000)
    refused = ProviderRefused(422, {"message": deep, "code": deep, "param": deep}, provider="p")
    assert (refused.message, refused.code, refused.param) == ("p refused the request with status 422.", None, None)
    assert ProviderRefused(422, {"message": [{"loc": "a"}]}, provider="p").message == "[{'loc': 'a'}]"
