"""A traced request is one trace from the edge to the booking; and nobody else's, and nothing that was said."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx2
import pytest
from django.urls import reverse

from analytics.tasks import drain_usage
from gateway.cache.embedding.remote import RemoteEmbedder
from nexus import task_traces
from nexus.ports import free_port
from tenants import trace_export, tracing, visits
from tests import servers
from tests.calls import chat, records
from tests.conftest import Workspace
from tests.fakes.collector import Collector, Told, collecting
from tests.unit.test_embedder_service import embedder as embedding_service

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Traced(NamedTuple):
    url: str
    collector: Collector


def to(collector: Collector, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "NEXUS_TRACE_RATIO": "1", **more}


@pytest.fixture(scope="module")
def traced(database: None) -> Iterator[Traced]:
    """A gateway that traces every request."""
    with collecting() as collector, servers.gateway(**to(collector)) as gateway:
        yield Traced(gateway.url, collector)


@pytest.fixture
def booking(traced: Traced, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process traces, too, as a worker does."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traced.collector.url)
    settings.TRACES_TO, settings.TRACE_RATIO = traced.collector.url, 1.0
    trace_export.start("nexus-worker")
    yield
    trace_export.stop()


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    return with_provider(alice)


def new_id() -> str:
    return f"traced-{uuid.uuid4().hex}"


def asked(url: str, key: str, model: str = "ok", content: str = "", **more: Any) -> str:
    """A request's id."""
    request_id = new_id()
    headers = {"X-Request-Id": request_id, **more.pop("headers", {})}
    chat(url, key, model, content, headers=headers, **more)
    return request_id


def parents(span: Told, spans: list[Told]) -> list[str]:
    """Names from the span's parent up to the root."""
    by_id = {each.id: each for each in spans}
    names = []
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        names.append(span.name)
    return names


def named(spans: list[Told], name: str) -> Told:
    return next(span for span in spans if span.name == name)


EDGE = "POST /v1/chat/completions"


@pytest.mark.parametrize("stream", [False, True])
def test_a_miss_is_one_trace_from_the_edge_to_its_booking(
    traced: Traced, fake: Workspace, booking: None, stream: bool
) -> None:
    request_id = asked(traced.url, fake.key, content="who was Ada Lovelace?", stream=stream)
    records(fake, 1)
    trace_export.flush()
    spans = traced.collector.trace_of(request_id, EDGE, "chat ok", "settle", "book usage", "postgres INSERT")
    edge, provider, book = named(spans, EDGE), named(spans, "chat ok"), named(spans, "book usage")
    assert len({span.trace_id for span in spans}) == 1
    assert [span.name for span in spans if not span.parent_id] == [EDGE]
    assert (edge.service, edge.kind) == ("nexus-gateway", "SERVER")
    assert (book.service, book.kind) == ("nexus-worker", "CONSUMER")
    assert parents(provider, spans) == ["ChatCompletionsView", EDGE]
    assert parents(book, spans) == ["settle", "ChatCompletionsView", EDGE]
    written = [span for span in spans if span.name.startswith("postgres") and span.service == "nexus-worker"]
    assert written
    assert all(parents(span, spans)[0] == "book usage" for span in written)
    admission = next(span for span in spans if span.name.startswith("redis") and span.parent_id == edge.id)
    assert admission.attributes["db.system.name"] == "redis"
    assert any(parents(span, spans)[0] == "settle" for span in spans if span.name.startswith("redis"))
    searched = [span for span in spans if span.name == "postgres SELECT" and span.service == "nexus-gateway"]
    assert any(parents(span, spans)[0] == "semantic lookup" for span in searched)


def test_spans_say_what_conventions_ask_for(traced: Traced, fake: Workspace) -> None:
    for stream in (False, True):
        spans = traced.collector.trace_of(
            asked(traced.url, fake.key, stream=stream, max_tokens=9), EDGE, "chat ok", "settle"
        )
        told = named(spans, "chat ok")
        assert told.kind == "CLIENT"
        assert told.attributes == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "ok",
            "gen_ai.request.max_tokens": 9,
            "gen_ai.response.model": told.attributes["gen_ai.response.model"],
            "gen_ai.response.id": told.attributes["gen_ai.response.id"],
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7,
            "nexus.provider": "fake",
            **({"gen_ai.request.stream": True} if stream else {}),
        }
        edge = named(spans, EDGE).attributes
        assert (edge["http.request.method"], edge["http.route"]) == ("POST", "/v1/chat/completions")
        assert (edge["http.response.status_code"], edge["nexus.cache.outcome"]) == (200, "MISS")
        assert (edge["nexus.tenant_id"], edge["nexus.key_id"]) == (fake.tenant.pk, fake.key.split("-")[1])


def test_the_provider_is_told_of_the_span_that_asks_it(traced: Traced, fake: Workspace, provider: str) -> None:
    spans = traced.collector.trace_of(asked(traced.url, fake.key), EDGE, "chat ok")
    version, trace_id, span_id, flags = httpx2.get(f"{provider}/calls").json()["last"]["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    assert (trace_id, span_id) == (spans[0].trace_id, named(spans, "chat ok").id)


def test_a_provider_that_fails_is_seen_in_each_attempt(traced: Traced, fake: Workspace) -> None:
    request_id = asked(traced.url, fake.key, "status-500")
    spans = traced.collector.trace_of(request_id, EDGE, "chat status-500", "settle")
    attempts = [span for span in spans if span.name == "chat status-500"]
    assert len(attempts) == 2
    assert all(span.failed and span.attributes["error.type"] for span in attempts)
    edge = named(spans, EDGE)
    assert edge.failed
    assert edge.attributes["http.response.status_code"] == 502


def test_calls_that_share_an_answer_are_linked(traced: Traced, fake: Workspace) -> None:
    content, ready = uuid.uuid4().hex, threading.Barrier(2)

    def ask() -> str:
        ready.wait()
        return asked(traced.url, fake.key, "slow", content)

    with ThreadPoolExecutor(2) as pool:
        ids = [each.result() for each in [pool.submit(ask), pool.submit(ask)]]
    traces = [traced.collector.trace_of(each, EDGE, "settle") for each in ids]
    leader, follower = sorted(traces, key=lambda spans: any(span.name == "join a flight" for span in spans))
    assert named(follower, "join a flight").links == [leader[0].trace_id]
    assert not any(span.name.startswith("chat ") for span in follower)


def test_an_exact_hit_is_traced_as_well(traced: Traced, fake: Workspace, booking: None) -> None:
    content = uuid.uuid4().hex
    asked(traced.url, fake.key, content=content)
    request_id = asked(traced.url, fake.key, content=content)
    records(fake, 2)
    trace_export.flush()
    spans = traced.collector.trace_of(request_id, EDGE, "book usage")
    assert named(spans, EDGE).attributes["nexus.cache.outcome"] == "HIT-EXACT"
    assert not any(span.name.startswith("chat ") for span in spans)


def test_pages_are_traced(traced: Traced) -> None:
    request_id = new_id()
    page = reverse("login")
    httpx2.get(f"{traced.url}{page}", headers={"X-Request-Id": request_id})
    (span, *_) = traced.collector.trace_of(request_id, f"GET {page}")
    assert span.service == "nexus-gateway"


def test_no_span_has_what_was_said(traced: Traced, fake: Workspace, booking: None) -> None:
    word = uuid.uuid4().hex
    request_id = asked(traced.url, fake.key, "echo", word, user=word, tools=[], metadata={"note": word})
    records(fake, 1)
    trace_export.flush()
    traced.collector.trace_of(request_id, EDGE, "settle", "book usage")
    everything = "".join(span.raw for span in traced.collector.spans)
    for secret in (word, fake.key, fake.key.split("-")[2], "sk-upstream", fake.owner.email):
        assert secret not in everything


@pytest.mark.parametrize("given", [PARENT, PARENT.upper(), "00-0-0-01", "", "x" * 5000, PARENT[:-2] + "00"])
def test_strangers_parents_are_not_believed(traced: Traced, fake: Workspace, given: str) -> None:
    request_id = asked(traced.url, fake.key, headers={"traceparent": given})
    spans = traced.collector.trace_of(request_id, EDGE)
    assert named(spans, EDGE).parent_id == ""
    assert spans[0].trace_id != PARENT.split("-")[1]


def test_parents_are_believed_where_that_is_set(database: None, fake: Workspace) -> None:
    with (
        collecting() as collector,
        servers.gateway(**to(collector, NEXUS_TRACE_PARENTS="on", NEXUS_TRACE_RATIO="0")) as gateway,
    ):
        request_id = asked(gateway.url, fake.key, headers={"traceparent": PARENT})
        edge = named(collector.trace_of(request_id, EDGE), EDGE)
        assert (edge.trace_id, edge.parent_id) == tuple(PARENT.split("-")[1:3])
        for given in (PARENT[:-2] + "00", "ff" + PARENT[2:], PARENT.replace("4bf92", "xbf92"), ""):
            asked(gateway.url, fake.key, headers={"traceparent": given})
        # The last one is sampled again: what was sent before it would have come first.
        last = asked(gateway.url, fake.key, headers={"traceparent": f"{PARENT}-more"[:55]})
        collector.trace_of(last, EDGE)
    assert {span.attributes["nexus.request_id"] for span in collector.spans if span.name == EDGE} == {request_id, last}


def test_nothing_is_traced_that_is_not_sampled(database: None, fake: Workspace, provider: str) -> None:
    with collecting() as collector:
        with servers.gateway(**to(collector, NEXUS_TRACE_RATIO="0")) as gateway:
            asked(gateway.url, fake.key, headers={"traceparent": PARENT})
        # It has stopped, and sent what it had.
        assert collector.spans == []
    assert httpx2.get(f"{provider}/calls").json()["last"]["traceparent"] is None


def test_a_collector_that_is_away_costs_no_answer(database: None, fake: Workspace) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with servers.gateway(OTEL_EXPORTER_OTLP_ENDPOINT=nowhere, NEXUS_TRACE_RATIO="1") as gateway:
        for _ in range(20):
            assert chat(gateway.url, fake.key).status_code == 200


def test_a_task_goes_on_with_the_request_that_asked_for_it(traced: Traced, booking: None) -> None:
    request_id = new_id()
    visit = visits.begin(request_id, "POST", "/some/page")
    headers: dict[str, Any] = {}
    try:
        tracing.begin(visit, {})
        task_traces.hand_over("analytics.tasks.drain_usage", headers)
    finally:
        visits.finish(visit)
        tracing.SPAN.set(None)
        visits.CURRENT.set(None)
    assert headers["nexus_request_id"] == request_id
    drain_usage.push_request(id="task-1", **headers)
    try:
        task_traces.take_over("task-1", drain_usage)
        current = visits.CURRENT.get()
        assert current is not None
        assert (current.request_id, current.trace and current.trace.id) == (request_id, headers["traceparent"][3:35])
        task_traces.leave("task-1", "SUCCESS")
    finally:
        drain_usage.pop_request()
    assert visits.CURRENT.get() is None
    trace_export.flush()
    run, send = "run analytics.tasks.drain_usage", "send analytics.tasks.drain_usage"
    spans = traced.collector.trace_of(request_id, "POST /some/page", run, send)
    assert parents(named(spans, run), spans) == [send, "POST /some/page"]


def test_the_embedding_service_is_a_part_of_the_trace(traced: Traced, booking: None) -> None:
    request_id = new_id()

    async def embed(address: str) -> None:
        embedder = RemoteEmbedder([address], deadline_s=20)
        await embedder.start()
        visit = visits.begin(request_id, "POST", "/some/question")
        tracing.begin(visit, {})
        await embedder.embed("who was Ada Lovelace?")
        visits.finish(visit)
        await embedder.close()

    with embedding_service() as service:
        asyncio.run(embed(service.address))
        trace_export.flush()
        spans = traced.collector.trace_of(request_id, "POST /some/question", "embed texts")
    told = named(spans, "embed texts")
    assert (told.service, told.kind, told.attributes["nexus.texts"]) == ("nexus-embedder", "SERVER", 1)
    assert parents(told, spans) == ["POST /some/question"]
