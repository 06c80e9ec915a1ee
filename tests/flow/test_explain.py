"""`/api/routing/explain` says what would be done, does none of it, and is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from gateway import setups
from gateway.models import Provider
from tenants import revocations, suspension
from tenants.db import schema_of
from tenants.models import ApiKey
from tests.calls import body_of, chat, make_route, records, upstream_calls, used
from tests.conftest import Workspace


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    """Alice, with the fake provider."""
    return with_provider(alice)


def explain(server: str, key: str, model: str = "ok", content: str = "Why is tea hot?", **more: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
    body = body_of(model, content, **more)
    answer = httpx2.post(f"{server}/api/routing/explain", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ways(explained: dict[str, Any]) -> list[str]:
    return [f"{candidate['provider']}/{candidate['model']}" for candidate in explained["candidates"]]


def test_it_spends_counts_and_keeps_nothing(server: str, fake: Workspace, provider: str) -> None:
    make_route(fake, "house", "explained-a", "explained-b", strategy="weighted")
    headers = {"Idempotency-Key": "explained-1"}
    first = explain(server, fake.key, "house", headers=headers)
    assert explain(server, fake.key, "house", headers=headers) == first
    assert used(server, fake.key) == (0, 0)
    assert not {"explained-a", "explained-b"} & upstream_calls(provider).keys()
    answer = chat(server, fake.key, "house", "Why is tea hot?", headers=headers)
    # Neither a hit nor a replay: explaining left nothing behind.
    assert answer.headers["x-cache"] == "MISS" and "idempotent-replayed" not in answer.headers
    assert len(records(fake, 1)) == 1


def test_it_is_not_limited_by_what_calls_are_limited_by(server: str, make_workspace: Any) -> None:
    spent = make_workspace(monthly_requests=0, requests_per_minute=1)
    assert [explain(server, spent.key, "gpt-4o-mini")["error"] for _ in range(3)] == [None] * 3


def test_a_model_without_a_route_is_asked_of_who_has_it(server: str, fake: Workspace) -> None:
    found = explain(server, fake.key, "fake/ok")
    assert (found["model"], found["route"], found["strategy"], found["error"]) == ("fake/ok", None, None, None)
    assert ways(found) == ["fake/ok"]
    (candidate,) = found["candidates"]
    assert candidate["breaker"] == {"state": "closed", "next_try_in_s": 0.0}
    assert candidate["latency_ms"] is None and candidate["estimated_cost_usd"] is None
    (priced,) = explain(server, fake.key, "gpt-4o-mini", max_tokens=1000)["candidates"]
    assert 0.0006 < priced["estimated_cost_usd"] < 0.00061


def test_latency_and_breaker_are_those_of_the_moment(server: str, fake: Workspace) -> None:
    make_route(fake, "house", "status-500", "ok", hedge_after_ms=250)
    while explain(server, fake.key, "house")["candidates"][0]["breaker"]["state"] == "closed":
        assert chat(server, fake.key, "house").status_code == 200
    found = explain(server, fake.key, "house")
    broken, well = found["candidates"]
    assert (broken["breaker"]["state"], well["breaker"]["state"]) == ("open", "closed")
    assert 0 < broken["breaker"]["next_try_in_s"] <= 5 and well["latency_ms"] > 0
    assert (found["strategy"], found["hedge_after_ms"]) == ("fallback", 250)


def test_a_variant_is_the_one_that_is_asked(server: str, fake: Workspace) -> None:
    make_route(fake, "house", "a", "b", strategy="weighted")
    for user in ("ann", "bob", "cem", "dee"):
        found = explain(server, fake.key, "house", user=user)
        answer = chat(server, fake.key, "house", user=user)
        assert found["variant"] == ways(found)[0] == f"fake/{answer.headers['x-nexus-model']}"
        assert len(found["subject"]) == 16 and user not in str(found["subject"])
        assert explain(server, fake.key, "house", "Something else?", user=user)["subject"] == found["subject"]


def test_complexity_is_assessed_where_it_decides(server: str, alice: Workspace) -> None:
    hard = explain(server, alice.key, "auto", "Prove that sqrt(2)+sqrt(3) is irrational, step by step.")
    assert hard["complexity"]["complex"] and hard["complexity"]["score"] > 0.5 and hard["complexity"]["reasons"]
    easy = explain(server, alice.key, "auto", "What is the capital of France?")
    assert not easy["complexity"]["complex"]
    assert ways(easy) == list(reversed(ways(hard)))
    assert (hard["route"], hard["strategy"]) == ("auto", "complexity")
    assert explain(server, alice.key, "gpt-4o-mini")["complexity"] is None


PLAIN = "What is photosynthesis?"


@pytest.mark.parametrize(
    ("content", "more", "exact", "semantic", "why"),
    [
        (PLAIN, {}, True, True, ""),
        ("What is the weather in Paris today?", {}, True, False, "by the hour"),
        ("Where is my order?", {}, True, False, "own data"),
        (PLAIN, {"n": 2}, True, False, "plain text"),
        (PLAIN, {"tools": [{"type": "function", "function": {"name": "f"}}]}, True, False, "plain text"),
        ("why " * 300, {}, True, False, "tokens"),
        (PLAIN, {"headers": {"X-Nexus-Cache": "exact"}}, True, False, "switched off"),
        (PLAIN, {"headers": {"X-Nexus-Cache": "off"}}, False, False, "leaves the cache alone"),
        (PLAIN, {"headers": {"Cache-Control": "no-cache"}}, False, False, "new answer"),
    ],
)
def test_what_the_cache_may_answer_is_said_with_the_reason(
    server: str, alice: Workspace, content: str, more: dict[str, Any], exact: bool, semantic: bool, why: str
) -> None:
    cache = explain(server, alice.key, "gpt-4o-mini", content, **more)["cache"]
    assert (cache["exact"]["possible"], cache["semantic"]["possible"]) == (exact, semantic)
    assert why in (cache["semantic"]["reason"] or "")
    assert bool(cache["exact"]["reason"]) is not exact
    assert cache["kept"] is (more.get("headers") != {"X-Nexus-Cache": "off"})


def test_requests_that_share_a_scope_show_the_same_one(server: str, alice: Workspace) -> None:
    first, second = (explain(server, alice.key, "gpt-4o-mini", text)["cache"] for text in (PLAIN, "What is osmosis?"))
    assert first["scope"] == second["scope"] and first["fingerprint"] != second["fingerprint"]
    other = explain(server, alice.key, "gpt-4o-mini", PLAIN, temperature=1)["cache"]
    assert other["scope"] != first["scope"]


@pytest.mark.parametrize(
    ("body", "status", "code", "param", "model"),
    [
        ("{", 400, "invalid_json", None, None),
        ("[]", 400, "invalid_json", None, None),
        ('{"model": 7, "messages": []}', 400, "invalid_request", "model", None),
        ('{"model": "gpt-4o", "messages": 1}', 400, "invalid_request", "messages", None),
        ('{"model": "none", "messages": [{"role":"user","content":"x"}]}', 404, "model_not_found", "model", "none"),
    ],
)
def test_an_error_that_the_request_would_get_is_told(
    server: str, alice: Workspace, body: str, status: int, code: str, param: str | None, model: str | None
) -> None:
    answer = httpx2.post(
        f"{server}/api/routing/explain",
        content=body,
        headers={"Authorization": f"Bearer {alice.key}", "Content-Type": "application/json"},
    )
    found = answer.json()
    assert answer.status_code == 200 and found["model"] == model and found["candidates"] is None
    assert (found["error"]["status"], found["error"]["code"], found["error"]["param"]) == (status, code, param)
    assert found["error"]["message"]


def test_a_model_that_the_key_may_not_use_is_told(server: str, alice: Workspace) -> None:
    ApiKey.objects.filter(pk=alice.api_key.pk).update(allowed_models=["gpt-4o"])
    found = explain(server, alice.key, "gpt-4o-mini")
    assert (found["error"]["status"], found["error"]["code"]) == (403, "model_not_allowed")


def test_a_request_nested_too_deeply_is_a_400_on_a_weighted_route_too(server: str, fake: Workspace) -> None:
    make_route(fake, "house", "a", "b", strategy="weighted")
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    content = [{"type": "strange", "value": deep}]
    body = {"model": "house", "messages": [{"role": "user", "content": content}]}
    headers = {"Authorization": f"Bearer {fake.key}"}
    answer = httpx2.post(f"{server}/api/routing/explain", json=body, headers=headers)
    assert answer.json()["error"]["status"] == 400
    assert httpx2.post(f"{server}/v1/chat/completions", json=body, headers=headers).status_code == 400


def test_a_route_whose_providers_are_off_says_so(server: str, fake: Workspace) -> None:
    make_route(fake, "house", "ok")
    with schema_of(fake.tenant):
        Provider.objects.update(enabled=False)
    revocations.publish(f"tenant:{fake.tenant.pk}")
    until = time.monotonic() + 1
    while (error := explain(server, fake.key, "house")["error"]) is None:
        assert time.monotonic() < until
    assert error["status"] == 404 and "switched off" in error["message"]


def test_any_valid_key_may_ask_and_no_other(server: str, alice: Workspace) -> None:
    def status(**headers: str) -> int:
        return httpx2.post(f"{server}/api/routing/explain", json=body_of("ok", "x"), headers=headers).status_code

    assert status() == status(Authorization="Bearer nk-no") == 401
    assert status(**{"x-api-key": alice.key}) == 200
    suspension.suspend(alice.tenant)
    until = time.monotonic() + 1
    while status(**{"x-api-key": alice.key}) != 403:
        assert time.monotonic() < until


def test_no_credential_is_shown(server: str, fake: Workspace) -> None:
    setups.configure_provider(
        fake.tenant, name="other", kind="openai", api_key="sk-hidden", base_url="https://a.example"
    )
    assert "sk-" not in str(explain(server, fake.key, "other/gpt-4o"))


def test_it_shows_which_answers_are_near_and_what_speaks_against_them(server: str, alice: Workspace) -> None:
    kept = chat(server, alice.key, "gpt-4o-mini", "Which trains go from Bern to Basel?")
    near: list[dict[str, Any]] = []
    until = time.monotonic() + 5
    while not near:
        assert time.monotonic() < until
        asked = "Which trains go from Basel to Bern?"
        near = explain(server, alice.key, "gpt-4o-mini", asked)["cache"]["semantic"]["nearest"]
    (only,) = near
    assert only["entry_id"] == kept.headers["x-nexus-cache-id"]
    assert only["prompt"] == "Which trains go from Bern to Basel?"
    assert only["similarity"] > 0.9
    assert only["guard"]
    assert only["reason"]
