"""What requests and workspaces can say about the cache, seen from the outside of a running gateway."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import redis
from django.conf import settings
from django.utils import timezone

from gateway import runtime, setups
from gateway.cache.reembedding import Reembedder
from gateway.models import CacheEntry, CacheSettings, CacheVector, Verdict
from gateway.tasks import purge_cache
from tenants import keyspace, revocations
from tenants.db import schema_of
from tests.calls import chat, make_route, records
from tests.conftest import Workspace

TEA = ("How long should green tea steep?", "How long should I let green tea steep?")

# The answer is not kept.
ASIDE = {"X-Nexus-Cache-TTL": "0"}


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    return with_provider(alice)


def set_up(workspace: Workspace, **values: Any) -> None:
    with schema_of(workspace.tenant):
        CacheSettings.objects.update_or_create(id=1, defaults=values)
    revocations.publish(f"tenant:{workspace.tenant.pk}")


def entries(workspace: Workspace, count: int = 1) -> list[CacheEntry]:
    """Once as many have been written."""
    until = time.monotonic() + 5
    while True:
        with schema_of(workspace.tenant):
            found = list(CacheEntry.objects.order_by("created_at"))
        if len(found) >= count or time.monotonic() > until:
            assert len(found) == count
            return found
        time.sleep(0.01)


def test_an_answer_is_kept_with_what_was_said_of_it(server: str, fake: Workspace) -> None:
    headers = {"X-Nexus-Cache-Namespace": "eu", "X-Nexus-Cache-Tags": "kb:v12, refunds", "X-Nexus-Cache-TTL": "60"}
    answer = chat(server, fake.key, content=TEA[0], headers=headers, user="anna")
    (entry,) = entries(fake)
    assert str(entry.id).replace("-", "") == answer.headers["x-nexus-cache-id"]
    assert (entry.namespace, entry.tags, entry.prompt, entry.model) == ("eu", ["kb:v12", "refunds"], TEA[0], "ok")
    assert (entry.expires_at - entry.created_at).total_seconds() == 60
    assert entry.end_user
    assert "anna" not in entry.end_user


def test_so_is_one_that_is_never_compared(server: str, fake: Workspace) -> None:
    headers = {"X-Nexus-Cache": "exact", "X-Nexus-Cache-Tags": "a,b", "X-Nexus-Cache-Namespace": "eu"}
    awkward = 'Ünïcode 🙂 \\u0000 " and a line\nbreak'
    answers = [chat(server, fake.key, content=content, headers=headers) for content in (awkward, TEA[0], TEA[1])]
    again = chat(server, fake.key, content=TEA[0], headers={**headers, "Cache-Control": "no-cache"})
    found = {entry.id.hex: entry for entry in entries(fake, 3)}
    until = time.monotonic() + 5
    while again.headers["x-nexus-cache-id"] not in found:
        assert time.monotonic() < until
        found = {entry.id.hex: entry for entry in entries(fake, 3)}
    assert found.keys() == {answers[0].headers["x-nexus-cache-id"], answers[2].headers["x-nexus-cache-id"],
                            again.headers["x-nexus-cache-id"]}  # fmt: skip
    entry = found[answers[0].headers["x-nexus-cache-id"]]
    assert (entry.scope, entry.tags, entry.namespace) == ("", ["a", "b"], "eu")
    assert entry.prompt == awkward
    assert json.loads(bytes(entry.answer))["choices"] == answers[0].json()["choices"]


def test_litellms_object_is_understood_and_goes_nowhere_else(server: str, fake: Workspace, provider: str) -> None:
    assert chat(server, fake.key, content=TEA[0], cache={"ttl": 60}).headers["x-cache"] == "MISS"
    assert "cache" not in httpx2.get(f"{provider}/calls").json()["last"]["payload"]
    assert chat(server, fake.key, content=TEA[0]).headers["x-cache"] == "HIT-EXACT"
    assert chat(server, fake.key, content=TEA[0], cache={"no-cache": True}).headers["x-cache"] == "REFRESH"
    assert chat(server, fake.key, content=TEA[0], cache={"no-store": True}).headers["x-cache"] == "BYPASS"
    assert chat(server, fake.key, content=TEA[0], cache={"namespace": "b"}).headers["x-cache"] == "MISS"
    assert chat(server, fake.key, content=TEA[0], cache={"colour": 1}).json()["error"]["param"] == "cache.colour"


@pytest.mark.parametrize("by", ["header", "workspace", "route"])
def test_in_shadow_mode_the_tier_reports_and_does_not_answer(server: str, fake: Workspace, by: str) -> None:
    if by == "workspace":
        set_up(fake, shadow=True)
    if by == "route":
        make_route(fake, "ok", "ok", cache={"shadow": True})
    first = chat(server, fake.key, content=TEA[0])
    entries(fake)
    second = chat(server, fake.key, content=TEA[1], headers={"X-Nexus-Cache": "shadow"} if by == "header" else {})
    assert second.headers["x-cache"] == "MISS"
    assert second.headers["x-nexus-cache-shadow"].startswith(first.headers["x-nexus-cache-id"] + "; similarity=0.9")
    _, record = records(fake, 2)
    assert record.entry_id == uuid.UUID(first.headers["x-nexus-cache-id"])
    assert record.similarity is not None and record.similarity > 0.85
    assert (record.saved_usd, record.shadow_saved_usd) == (0, None)  # nobody knows this model's price
    assert record.billed_tokens > 0


def test_what_shadow_mode_would_have_saved_is_recorded(server: str, alice: Workspace) -> None:
    set_up(alice, shadow=True)
    for question in TEA:
        chat(server, alice.key, "gpt-4o-mini", question)
        entries(alice, 1 + TEA.index(question))
    _, record = records(alice, 2)
    assert record.shadow_saved_usd is not None and record.shadow_saved_usd > 0


def test_it_is_put_aside_to_be_judged(server: str, fake: Workspace) -> None:
    set_up(fake, shadow=True)
    chat(server, fake.key, content=TEA[0])
    entries(fake)
    for _ in range(3):
        chat(server, fake.key, content=TEA[1], headers=ASIDE)
    until = time.monotonic() + 5
    waiting: list[Verdict] = []
    while len(waiting) < 3:
        assert time.monotonic() < until
        with schema_of(fake.tenant):
            waiting = list(Verdict.objects.filter(right=None))
    for verdict in waiting:
        assert (verdict.kind, verdict.weight, verdict.question, verdict.prompt) == ("shadow", 1, TEA[1], TEA[0])
        assert verdict.cached_answer
        assert verdict.fresh_answer


def test_a_hit_is_counted_with_its_entry(server: str, fake: Workspace) -> None:
    for _ in range(3):
        chat(server, fake.key, content=TEA[0])
    chat(server, fake.key, content=TEA[1])
    records(fake, 4)
    (entry,) = entries(fake)
    assert entry.hits == 3
    assert entry.last_hit_at is not None


def test_one_end_users_answers_are_not_anothers_where_the_workspace_says_so(server: str, fake: Workspace) -> None:
    set_up(fake, per_end_user=True)
    assert chat(server, fake.key, content=TEA[0], user="anna").headers["x-cache"] == "MISS"
    assert chat(server, fake.key, content=TEA[0], user="anna").headers["x-cache"] == "HIT-EXACT"
    assert chat(server, fake.key, content=TEA[0], user="bert").headers["x-cache"] == "MISS"
    assert chat(server, fake.key, content=TEA[1], user="cleo").headers["x-cache"] == "MISS"
    # Nobody knows whose it would be.
    assert chat(server, fake.key, content=TEA[0]).headers["x-cache"] == "BYPASS"


def test_a_workspaces_own_words_keep_questions_out_of_the_semantic_tier(server: str, fake: Workspace) -> None:
    set_up(fake, rules=[{"words": "green tea", "kind": "personal"}])
    chat(server, fake.key, content=TEA[0])
    entries(fake)
    answer = chat(server, fake.key, content=TEA[1])
    assert answer.headers["x-cache"] == "MISS"
    assert answer.headers["x-nexus-cache-reason"] == "it asks about one person's own data"


@pytest.mark.parametrize("question", TEA)
def test_an_answer_past_its_time_stands_in_for_a_provider_that_fails(
    server: str, fake: Workspace, question: str
) -> None:
    set_up(fake, stale_if_error_s=3600)
    kept = chat(server, fake.key, content=TEA[0])
    (entry,) = entries(fake)
    age(fake, entry, dt.timedelta(minutes=10))
    setups.configure_provider(fake.tenant, name="fake", kind="openai", base_url="http://127.0.0.1:9/v1")
    until = time.monotonic() + 5
    # Until the gateway has heard that the provider has moved.
    while "x-nexus-stale" not in (answer := chat(server, fake.key, content=question, headers=ASIDE)).headers:
        assert time.monotonic() < until
    assert answer.status_code == 200
    assert answer.headers["x-cache"] == ("HIT-EXACT" if question == TEA[0] else "HIT-SEMANTIC")
    assert answer.json()["choices"] == kept.json()["choices"]
    too_old = chat(server, fake.key, content=question, headers=ASIDE | {"Cache-Control": "stale-if-error=60"})
    assert too_old.status_code == 502


def age(workspace: Workspace, entry: CacheEntry, past: dt.timedelta) -> None:
    now = timezone.now()
    with schema_of(workspace.tenant):
        ends = {"expires_at": now - past, "stale_until": now + dt.timedelta(hours=1)}
        CacheEntry.objects.filter(id=entry.id).update(**ends)
        CacheVector.objects.filter(entry_id=entry.id).update(**ends)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(keyspace.answer(workspace.tenant.pk, entry.fingerprint))


def test_a_pinned_answer_is_not_replaced(server: str, fake: Workspace) -> None:
    first = chat(server, fake.key, content=TEA[0])
    entries(fake)
    with schema_of(fake.tenant):
        CacheEntry.objects.update(pinned=True)
    second = chat(server, fake.key, content=TEA[0], headers={"Cache-Control": "no-cache"})
    assert second.headers["x-cache"] == "REFRESH"
    (entry,) = entries(fake)
    assert str(entry.id).replace("-", "") == first.headers["x-nexus-cache-id"]


def test_entries_get_the_vectors_of_a_new_model_beside_their_old_ones(server: str, fake: Workspace) -> None:
    chat(server, fake.key, content=TEA[0])
    entries(fake)
    with schema_of(fake.tenant):
        CacheEntry.objects.update(embedder="yesterdays-model")
        CacheVector.objects.update(embedder="yesterdays-model")
    assert chat(server, fake.key, content=TEA[1], headers=ASIDE).headers["x-cache"] == "MISS"
    asyncio.run(catch_up())
    with schema_of(fake.tenant):
        assert CacheVector.objects.filter(entry_id=CacheEntry.objects.get().id).count() == 2
        assert CacheEntry.objects.get().embedder != "yesterdays-model"
    assert chat(server, fake.key, content=TEA[1], headers=ASIDE).headers["x-cache"] == "HIT-SEMANTIC"


async def catch_up() -> None:
    gateway = await runtime.current()
    await Reembedder(gateway.pool, gateway.embedder).catch_up()
    await runtime.close()


def test_look_alikes_that_are_refused_do_not_hide_the_right_answer(server: str, fake: Workspace) -> None:
    right = chat(server, fake.key, content=TEA[0])
    for number, order in enumerate(["no", "nothing", "never", "maybe", "yes", "bananas", "goodbye"], start=2):
        chat(server, fake.key, content=f"{TEA[1]} Say {order}.")
        entries(fake, number)
    found = chat(server, fake.key, content=TEA[1], headers=ASIDE)
    assert found.headers["x-cache"] == "HIT-SEMANTIC"
    assert found.headers["x-nexus-cache-id"] == right.headers["x-nexus-cache-id"]


def test_what_is_past_its_time_is_purged_with_its_vectors_and_nothing_else(server: str, fake: Workspace) -> None:
    for number, question in enumerate(("What is a kettle?", "Why is the sea salty?"), start=1):
        chat(server, fake.key, content=question)
        entries(fake, number)
    past = timezone.now() - dt.timedelta(seconds=1)
    with schema_of(fake.tenant):
        gone = CacheEntry.objects.get(prompt="What is a kettle?")
        CacheEntry.objects.filter(id=gone.id).update(stale_until=past)
        CacheVector.objects.filter(entry_id=gone.id).update(stale_until=past)
    assert purge_cache() >= 2
    with schema_of(fake.tenant):
        kept = CacheEntry.objects.get()
        assert kept.prompt == "Why is the sea salty?"
        assert CacheVector.objects.get().entry_id == kept.id
