"""Every client and dialect with every provider: one row for each thing that apps do. Details are in tests/contract."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.conftest import Workspace
from tests.matrix.clients import CLIENTS, PIXEL, SDKS, Client, Sdk
from tests.matrix.recorded import billed_to_who_left
from tests.matrix.upstreams import UPSTREAMS, Upstream, make_workspace

CALLERS = [upstream for upstream in UPSTREAMS if upstream.tools]
of_client = pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: kind.dialect)
of_sdk = pytest.mark.parametrize("kind", SDKS, ids=lambda kind: kind.dialect)
by_each = pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda upstream: upstream.name)
by_caller = pytest.mark.parametrize("upstream", CALLERS, ids=lambda upstream: upstream.name)


@pytest.fixture(scope="module")
def workspace_of(database: None, urls: dict[str, str]) -> Callable[[str], Workspace]:
    """One for each dialect, so that none opens another's breakers."""
    made: dict[str, Workspace] = {}

    def find(dialect: str) -> Workspace:
        if dialect not in made:
            made[dialect] = make_workspace(urls)
        return made[dialect]

    return find


@pytest.fixture
def client(server: str, workspace_of: Callable[[str], Workspace], kind: type[Client]) -> Iterator[Client]:
    client = kind(server, workspace_of(kind.dialect).key)
    with client.sdk if isinstance(client, Sdk) else contextlib.nullcontext():
        yield client


@by_each
@of_client
def test_a_question_is_answered(client: Client, upstream: Upstream) -> None:
    text = uuid.uuid4().hex
    assert text in client.ask(upstream.plain, text)


@by_each
@of_client
def test_a_stream_comes_in_pieces(client: Client, upstream: Upstream) -> None:
    text = uuid.uuid4().hex
    pieces = client.stream(upstream.plain, text)
    assert len(pieces) > 2 and text in "".join(pieces)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@by_caller
@of_sdk
def test_tools_are_called_and_their_results_used(client: Sdk, upstream: Upstream, *, streaming: bool) -> None:
    arguments, text = client.call_tools(upstream.tools, streaming=streaming)
    assert arguments in ({"city": "Paris"}, {"city": "Oslo"}) and "Sun" in text


@by_each
@of_sdk
def test_a_picture_reaches_the_provider(client: Sdk, upstream: Upstream, urls: dict[str, str]) -> None:
    assert client.show_picture(upstream.plain)
    if upstream.application:
        assert PIXEL in httpx2.get(f"{urls[upstream.name]}/calls").text


@by_each
@of_sdk
def test_what_a_provider_refuses_is_the_apps_error(client: Sdk, upstream: Upstream) -> None:
    with pytest.raises(client.refused, match=upstream.refusal):
        client.demand_tool(upstream.refused)


@by_caller
@pytest.mark.parametrize("kind", [kind for kind in CLIENTS if kind not in SDKS], ids=lambda kind: kind.dialect)
def test_so_it_is_where_there_is_no_sdk(client: Client, upstream: Upstream) -> None:
    with pytest.raises(client.refused, match=upstream.refusal):
        client.ask(upstream.refused, "Hello")


@by_each
@of_client
def test_an_overloaded_provider_has_failed(client: Client, upstream: Upstream) -> None:
    with pytest.raises(client.failed, match=upstream.failure):
        client.ask(upstream.overloaded, "Hello")


@by_each
@of_client
def test_who_leaves_midstream_is_recorded(
    client: Client, upstream: Upstream, workspace_of: Callable[[str], Workspace]
) -> None:
    client.leave(upstream.endless)
    workspace = workspace_of(client.dialect)
    assert billed_to_who_left(workspace, client.dialect, upstream.endless) > 0
