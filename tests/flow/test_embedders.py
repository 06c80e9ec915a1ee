"""An embedding service that is right, slow, wrong, killed and restarted: requests are answered all the same."""

from __future__ import annotations

import itertools
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx2
import numpy as np
import pytest

from gateway.cache.embedding.embedding_pb2 import EmbedRequest, EmbedResponse
from tests import servers
from tests.conftest import Workspace
from tests.fakes.embedder import FakeService, right
from tests.unit.test_embedder_service import embedder

PATIENCE_S = 30


def ask(url: str, workspace: Workspace, content: str) -> httpx2.Response:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]}
    headers = {"Authorization": f"Bearer {workspace.key}"}
    return httpx2.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)


def counts(url: str) -> dict[str, float]:
    """nexus_embedding_requests_total of gRPC, by result."""
    text = httpx2.get(f"{url}/metrics", timeout=PATIENCE_S).text
    found = re.findall(r'^nexus_embedding_requests_total\{embedder="grpc",result="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {result: float(count) for result, count in found}


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    yield fake
    fake.stop()


def gateway_with(address: str) -> AbstractContextManager[servers.Server]:
    return servers.gateway(NEXUS_EMBEDDER=f"grpc://{address}", NEXUS_EMBEDDING_DEADLINE_MS="200")


def garbage(request: EmbedRequest) -> EmbedResponse:
    response = right(request)
    for result in response.results:
        result.vector = np.full(8, np.nan, "<f4").tobytes()
    return response


def ask_until(result: str, times: int, url: str, workspace: Workspace) -> None:
    """Until the metrics say that embedding ended so, so often. Each request is answered meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while counts(url).get(result, 0) < times:
        assert time.monotonic() < end, counts(url)
        answer = ask(url, workspace, f"How do I bake bread number {uuid.uuid4().hex}?")
        assert (answer.status_code, answer.headers["x-cache"]) == (200, "MISS")


def test_garbage_and_silence_harm_no_request_and_the_metrics_say_so(service: FakeService, alice: Workspace) -> None:
    with gateway_with(service.address) as gateway:
        ask_until("ok", 5, gateway.url, alice)
        service.behave = garbage
        ask_until("garbage", 3, gateway.url, alice)
        service.behave = right
        ask_until("ok", 10, gateway.url, alice)
        service.hold()
        ask_until("timeout", 3, gateway.url, alice)
        # After some in a row, requests are no longer made to wait for it.
        ask_until("rejected", 1, gateway.url, alice)


def test_a_gateway_without_its_embedding_service_starts_and_finds_it_later(alice: Workspace) -> None:
    gone = FakeService()
    gone.stop()
    with gateway_with(gone.address) as gateway:
        ask_until("unavailable", 1, gateway.url, alice)
        back = FakeService(gone.address)
        ask_until("ok", 1, gateway.url, alice)
        back.stop()


def test_the_service_is_killed_and_restarted_under_traffic(alice: Workspace) -> None:
    numbers = itertools.count()

    def ask_until_hit() -> None:
        """Another spelling each time, so that it is not the exact tier that answers."""
        end = time.monotonic() + PATIENCE_S
        while ask(gateway.url, alice, "How do I make tea" + "?" * next(numbers)).headers["x-cache"] != "HIT-SEMANTIC":
            assert time.monotonic() < end

    with embedder() as first, gateway_with(first.address) as gateway:
        ask_until_hit()
        first.process.kill()
        first.process.wait()
        ask_until("unavailable", 3, gateway.url, alice)
        with embedder(first.address):
            ask_until_hit()


def test_metrics_are_for_those_with_the_token_and_for_this_machine() -> None:
    token = "a-token-for-the-scraper"
    with servers.gateway(NEXUS_METRICS_TOKEN=token) as gateway:
        forwarded = {"X-Forwarded-For": "203.0.113.7"}
        bearer = {"Authorization": f"Bearer {token}"}
        statuses = [
            httpx2.get(f"{gateway.url}/metrics", headers=headers).status_code
            for headers in ({}, forwarded, {**forwarded, **bearer}, {"Host": "anything:9000"})
        ]
        assert statuses == [200, 404, 200, 200]
        answer = httpx2.get(f"{gateway.url}/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        assert "nexus_semantic_skipped_total" in answer.text
