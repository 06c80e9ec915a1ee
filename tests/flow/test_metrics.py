"""/metrics after real traffic: each kind of call is counted where an operator looks for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import httpx2
import orjson
import pytest
from websockets.sync.client import connect

from gateway.cache import verdict_counts
from tenants import keyspace
from tenants.db import open_redis
from tests import servers
from tests.cached import keep
from tests.calls import body_of, chat, make_route, set_up_calls
from tests.conftest import Workspace
from tests.pages import as_user
from tests.scraped import Page, scrape, until

MODEL, ROUTE = "gpt-4o-mini", "/v1/chat/completions"


@pytest.fixture(scope="module")
def gateway(database: None) -> Iterator[str]:
    """One that nobody else calls."""
    with servers.gateway(NEXUS_CALL_DEADLINE_S="60") as running:
        yield running.url


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    return with_provider(alice)


class Since:
    """How much was counted since it was made."""

    def __init__(self, server: str) -> None:
        self._server, self._before = server, scrape(server)
        self._now = self._before

    def comes_to(self, count: float, name: str, **labels: str) -> None:
        """Exactly; waits until it does, as what is counted last is counted after the answer."""
        self._now = until(self._server, lambda page: self._grown(page, name, labels) >= count)
        assert self._grown(self._now, name, labels) == pytest.approx(count)

    def grown(self, name: str, **labels: str) -> float:
        return self._grown(self._now, name, labels)

    def _grown(self, page: Page, name: str, labels: dict[str, str]) -> float:
        return page.value(name, **labels) - self._before.value(name, **labels)


def test_a_miss_is_counted_with_its_tokens_cost_and_both_times(gateway: str, fake: Workspace) -> None:
    since = Since(gateway)
    answer = chat(gateway, fake.key, MODEL)
    assert answer.headers["x-cache"] == "MISS"
    since.comes_to(1, "http_requests_total", method="POST", route=ROUTE, status="200")
    since.comes_to(1, "nexus_calls_total", dialect="openai-chat", cache="miss")
    since.comes_to(1, "nexus_provider_seconds_count", provider="openai", model=MODEL)
    usage = answer.json()["usage"]
    assert since.grown("llm_tokens_total", provider="openai", model=MODEL, kind="prompt") == usage["prompt_tokens"]
    assert since.grown("llm_tokens_total", kind="completion") == usage["completion_tokens"]
    assert since.grown("llm_costs_total", model=MODEL) == pytest.approx(float(answer.headers["x-nexus-cost-usd"]))
    assert since.grown("http_request_duration_seconds_count", route=ROUTE, cache="miss") == 1
    assert since.grown("nexus_overhead_seconds_count", cache="miss") == 1
    assert since.grown("nexus_provider_attempts_total", provider="openai", model=MODEL) == 1
    assert since.grown("cache_hit_total") == since.grown("provider_errors_total") == 0


def test_an_exact_hit_is_counted_with_what_it_saved(gateway: str, fake: Workspace) -> None:
    question = uuid.uuid4().hex
    chat(gateway, fake.key, MODEL, question)
    since = Since(gateway)
    answer = chat(gateway, fake.key, MODEL, question)
    assert answer.headers["x-cache"] == "HIT-EXACT"
    since.comes_to(1, "cache_hit_total", tier="exact")
    assert since.grown("nexus_calls_total", cache="exact") == 1
    assert since.grown("nexus_overhead_seconds_count", cache="exact") == 1
    assert since.grown("nexus_saved_usd_total", tier="exact") == pytest.approx(
        float(answer.headers["x-nexus-saved-usd"])
    )
    assert since.grown("llm_tokens_total") == since.grown("nexus_provider_attempts_total") == 0


def test_a_semantic_hit_and_what_a_guard_refuses_are_counted(gateway: str, fake: Workspace) -> None:
    chat(gateway, fake.key, MODEL, "How do I get from Dallas to Baltimore by train?")
    since = Since(gateway)
    same = chat(gateway, fake.key, MODEL, "How do I get from Dallas to Baltimore by train please?")
    other = chat(gateway, fake.key, MODEL, "How do I get from Baltimore to Dallas by train?")
    assert (same.headers["x-cache"], other.headers["x-cache"]) == ("HIT-SEMANTIC", "MISS")
    since.comes_to(1, "cache_hit_total", tier="semantic")
    since.comes_to(1, "nexus_calls_total", cache="miss")
    assert since.grown("nexus_overhead_seconds_count", cache="semantic") == 1
    assert since.grown("nexus_guard_refusals_total", guard="direction") >= 1
    assert since.grown("nexus_embedding_requests_total", result="ok") >= 2


def test_who_is_refused_is_counted_by_limit(
    gateway: str, make_workspace: Callable[..., Workspace], with_provider: Callable[[Workspace], Workspace]
) -> None:
    workspace = with_provider(make_workspace(requests_per_minute=1))
    chat(gateway, workspace.key, MODEL)
    since = Since(gateway)
    assert chat(gateway, workspace.key, MODEL).status_code == 429
    since.comes_to(1, "http_requests_total", route=ROUTE, status="429")
    assert since.grown("nexus_limits_refused_total", limit="requests", per="minute", scope="workspace") == 1
    assert since.grown("nexus_calls_total") == 0


def test_a_provider_s_failures_retries_and_who_took_over_are_counted(gateway: str, fake: Workspace) -> None:
    make_route(fake, "house", "status-503", MODEL)
    since = Since(gateway)
    assert chat(gateway, fake.key, "house").status_code == 200
    since.comes_to(1, "nexus_provider_seconds_count", model=MODEL)
    assert since.grown("provider_errors_total", provider="openai", model="other", error="provider_failed") == 2
    assert since.grown("nexus_retries_total", provider="openai") == 1
    assert since.grown("nexus_failovers_total", provider="openai") == 1
    assert since.grown("nexus_provider_attempts_total") == 3


def test_a_provider_s_own_refusal_is_counted_by_status(gateway: str, fake: Workspace) -> None:
    since = Since(gateway)
    assert chat(gateway, fake.key, "status-400").status_code == 400
    since.comes_to(1, "http_requests_total", route=ROUTE, status="400")
    assert since.grown("provider_errors_total", error="refused_400") == 1


def test_a_stream_is_counted_up_to_its_first_token_and_to_its_end(gateway: str, fake: Workspace) -> None:
    since = Since(gateway)
    assert "[DONE]" in chat(gateway, fake.key, MODEL, stream=True).text
    since.comes_to(1, "http_request_duration_seconds_count", route=ROUTE, cache="miss")
    assert since.grown("nexus_first_token_seconds_count", cache="miss") == 1
    assert since.grown("nexus_provider_first_token_seconds_count", provider="openai", model=MODEL) == 1
    assert since.grown("nexus_overhead_seconds_count", cache="miss") == 1


def test_pages_are_counted_by_their_template(gateway: str, alice: Workspace) -> None:
    since = Since(gateway)
    with as_user(gateway, alice.owner) as browser:
        assert browser.get(f"/t/{alice.tenant.slug}/").status_code == 200
        assert browser.get(f"/nothing-{uuid.uuid4().hex}").status_code == 404
    since.comes_to(1, "http_requests_total", method="GET", status="404")
    since.comes_to(1, "http_requests_total", method="GET", route="/t/<slug:slug>/", status="200")


def test_websockets_are_counted_while_they_are_open(gateway: str, alice: Workspace) -> None:
    since = Since(gateway)
    headers = {"Authorization": f"Bearer {alice.key}"}
    with connect(f"{gateway.replace('http', 'ws')}/ws/chat", additional_headers=headers):
        since.comes_to(1, "nexus_websocket_connections_total", route="/ws/chat")
        assert scrape(gateway).value("nexus_websockets", route="/ws/chat") == 1
    until(gateway, lambda page: page.value("nexus_websockets") == 0)


def test_nothing_of_a_tenant_or_a_client_is_on_the_page(gateway: str, fake: Workspace) -> None:
    secret = uuid.uuid4().hex
    chat(gateway, fake.key, f"model-{secret}", f"text {secret}")
    httpx2.request(f"X{secret[:8].upper()}", f"{gateway}/v1/chat/completions")
    httpx2.get(f"{gateway}/{secret}")
    httpx2.post(f"{gateway}/v1/files/{secret}", headers={"Authorization": f"Bearer {fake.key}"})
    page = scrape(gateway).text.casefold()
    for text in (secret, secret[:8], fake.key, fake.tenant.slug, fake.tenant.name.casefold(), fake.key.split("-")[1]):
        assert text.casefold() not in page


def test_models_by_the_hundred_make_no_new_series(gateway: str, fake: Workspace) -> None:
    chat(gateway, fake.key, f"model-{uuid.uuid4().hex}")
    before = {(one.name, *one.labels.items()) for one in scrape(gateway).of("nexus_provider_attempts_total")}
    for _ in range(50):
        chat(gateway, fake.key, f"model-{uuid.uuid4().hex}")
    after = {(one.name, *one.labels.items()) for one in scrape(gateway).of("nexus_provider_attempts_total")}
    assert after == before


def test_what_the_gateway_is_doing_and_what_waits_is_on_the_page(gateway: str, fake: Workspace) -> None:
    chat(gateway, fake.key, MODEL)
    page = until(gateway, lambda page: page.value("nexus_stream_waiting") >= 1)
    assert page.value("nexus_processes") == page.value("nexus_ready") == 1
    assert page.value("nexus_redis_up") == page.value("nexus_postgres_up") == 1
    assert page.value("nexus_holds") == page.value("nexus_flights") == 0
    assert page.value("nexus_database_connections") >= 1
    assert page.value("nexus_requests_in_flight") == 1, "the scraper's own"
    assert page.value("nexus_event_loop_lag_seconds_count") >= 1


def test_verdicts_of_workers_and_the_canaries_last_run_are_on_the_page(gateway: str) -> None:
    since = Since(gateway)
    verdict_counts.note("hit", right=False, source="model")
    with open_redis(timeout_s=5) as client:
        client.set(keyspace.CANARY, orjson.dumps({"at": 1.5, "leaks": {}, "failed": {"exact": "shut"}}), ex=60)
    since.comes_to(1, "nexus_verdicts_total", kind="hit", verdict="wrong", source="model")
    page = until(gateway, lambda page: page.value("nexus_canary_failed") == 1)
    assert page.value("nexus_canary_leaks") == 0
    assert page.value("nexus_canary_last_run_timestamp_seconds") == 1.5


def test_what_an_app_reports_on_a_hit_is_counted(gateway: str, fake: Workspace) -> None:
    entry_id = keep(gateway, fake, uuid.uuid4().hex)
    since = Since(gateway)
    reported = httpx2.post(
        f"{gateway}/v1/cache/{entry_id}/feedback",
        json={"right": False},
        headers={"Authorization": f"Bearer {fake.key}"},
        timeout=30,
    )
    assert reported.json()["counted"]
    since.comes_to(1, "nexus_feedback_total", verdict="wrong")


def test_a_bucket_tells_a_request_by_its_id(gateway: str, fake: Workspace) -> None:
    request_id = f"req-{uuid.uuid4().hex}"
    chat(gateway, fake.key, MODEL, headers={"X-Request-Id": request_id})
    until(gateway, lambda page: f'request_id="{request_id}"' in page.text)
    plain = httpx2.get(f"{gateway}/metrics")
    assert plain.headers["content-type"].startswith("text/plain") and request_id not in plain.text


def test_calls_in_flight_are_held_and_seen(gateway: str, fake: Workspace) -> None:
    # It falls silent in the middle, and is stopped when the client leaves: however slow this machine is.
    set_up_calls(fake, on_disconnect="cancel")
    body = body_of("hang", uuid.uuid4().hex, stream=True)
    headers = {"Authorization": f"Bearer {fake.key}"}
    with httpx2.stream("POST", f"{gateway}{ROUTE}", json=body, headers=headers, timeout=30) as answer:
        next(answer.iter_lines())
        page = scrape(gateway)
        assert page.value("nexus_requests_in_flight") == 2
        assert page.value("nexus_holds") == page.value("nexus_flights") == 1
    until(gateway, lambda page: page.value("nexus_holds") == 0)
