"""Each HTTP request is told of exactly once, whatever became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.edge import Edge
from tenants import visits
from tenants.visits import Visit


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Visit]]:
    seen: list[Visit] = []
    monkeypatch.setattr(visits, "_finishers", [seen.append])
    before = visits.under_way()
    yield seen
    assert visits.under_way() == before


async def nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def sent_to(django: Any, path: str = "/page", method: str = "GET") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"x-request-id", b"r-1")],
    }
    await Edge(django)(scope, nothing, send)
    return sent


async def page(scope: Any, receive: Any, send: Any) -> None:
    scope[visits.IN_SCOPE].route = "/page"
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"12345", "more_body": True})
    assert visits.CURRENT.get() is scope[visits.IN_SCOPE]
    await send({"type": "http.response.body", "body": b"678"})


def test_a_page_is_told_with_its_status_size_and_route(told: list[Visit]) -> None:
    start, *_ = asyncio.run(sent_to(page))
    assert (b"x-request-id", b"r-1") in start["headers"]
    (visit,) = told
    assert (visit.request_id, visit.method, visit.route, visit.status) == ("r-1", "GET", "/page", 201)
    assert (visit.bytes_sent, visit.streamed, visit.client_left) == (8, True, False)


def test_what_nobody_knows_has_no_name_of_its_own(told: list[Visit]) -> None:
    async def not_found(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"x-request-id", b"own")]})
        await send({"type": "http.response.body", "body": b""})

    start, *_ = asyncio.run(sent_to(not_found, "/wp-login.php", "BREW"))
    assert start["headers"] == [(b"x-request-id", b"own")]
    assert [(visit.method, visit.route, visit.status) for visit in told] == [("other", "other", 404)]


def test_a_page_that_fails_is_told_once(told: list[Visit]) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        asyncio.run(sent_to(broken))
    assert [(visit.status, visit.client_left) for visit in told] == [(500, False)]


def test_who_leaves_before_the_answer_is_told_as_having_left(told: list[Visit]) -> None:
    async def leaving() -> None:
        begun = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        request = asyncio.create_task(sent_to(slow))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(leaving())
    assert [(visit.status, visit.client_left) for visit in told] == [(499, True)]


def test_a_refusal_at_the_edge_is_told_with_its_code(told: list[Visit]) -> None:
    asyncio.run(sent_to(page, "/v1/chat/completions", "GET"))
    assert [(visit.route, visit.status, visit.error) for visit in told] == [
        ("/v1/chat/completions", 405, "method_not_allowed")
    ]


def test_one_who_cannot_be_told_does_not_keep_the_others_from_it(
    told: list[Visit], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(visit: Visit) -> None:
        raise ValueError

    monkeypatch.setattr(visits, "_finishers", [fails, *visits._finishers])
    asyncio.run(sent_to(page))
    assert len(told) == 1
