"""Several processes, one page: whichever is asked tells of all, and what ends takes nothing with it."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import servers
from tests.calls import chat
from tests.conftest import Workspace
from tests.scraped import Page, scrape, until
from tests.servers import Server

ROUTE = "/v1/chat/completions"


class Pair(NamedTuple):
    first: Server
    second: Server


@pytest.fixture
def pair(database: None, tmp_path: Path) -> Iterator[Pair]:
    """Two gateways that count into one folder, as processes of one address do."""
    shared = functools.partial(servers.gateway, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    with shared() as first, shared() as second:
        yield Pair(first, second)


def answered(page: Page) -> float:
    return page.value("http_requests_total", route=ROUTE, status="200")


def test_whichever_is_asked_tells_of_both_and_the_ended_one_counts_on(
    pair: Pair, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    with_provider(alice)
    for server in (pair.first, pair.second, pair.second):
        assert chat(server.url, alice.key).status_code == 200
    for server in pair:
        page = until(server.url, lambda page: answered(page) == 3 and page.value("nexus_processes") == 2)
        assert page.value("nexus_ready") == 2
        assert page.value("nexus_embedding_requests_total") >= 3, "the library's own counters are added up, too"
    # In its last second: what it counts now has not been written yet.
    chat(pair.second.url, alice.key)
    pair.second.process.send_signal(signal.SIGTERM)
    assert pair.second.process.wait(60) in (0, -signal.SIGTERM)
    page = scrape(pair.first.url)
    assert answered(page) == 4
    assert page.value("nexus_processes") == page.value("nexus_ready") == 1


def test_a_killed_one_loses_no_more_than_it_had_not_written(
    pair: Pair, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    with_provider(alice)
    chat(pair.second.url, alice.key)
    until(pair.first.url, lambda page: answered(page) == 1)
    pair.second.process.kill()
    pair.second.process.wait(60)
    assert answered(scrape(pair.first.url)) == 1
