"""Every client and dialect with every provider: one row for each thing that apps do. Details are in tests/contract."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from analytics.models import UsageRecord
from analytics.tasks import drain_usage
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.matrix.clients import CLIENTS, PIXEL, SDKS, Client, Sdk, fresh_text
from tests.matrix.upstreams import UPSTREAMS, Upstream, make_workspace, running

CALLERS = [upstream for upstream in UPSTREAMS if upstream.tools]
of_client = pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: kind.dialect)
of_sdk = pytest.mark.parametrize("kind", SDKS, ids=lambda kind: kind.dialect)
by_each = pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda upstream: upstream.name)
by_caller = pytest.mark.parametrize("upstream", CALLERS, ids=lambda upstream: upstream.name)


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def workspace_of(database: None, urls: dict[str, str]) -> Callable[[str], Workspace]:
    """One for each dialect, so that none opens another's breakers."""
    made: dict[str, Workspace] = {}

    def find(dialect: str) -> Workspace:
        if dialect not in made:
            made[dialect] = make_workspace(urls)
        return made[dialect]

    return find


@pytest.fixture(scope="module")
def connect(
    server: str, workspace_of: Callable[[str], Workspace]
) -> Iterator[Callable[[type[Client]], Client]]:
    with contextlib.ExitStack() as stack:
        made: dict[type[Client], Client] = {}

        def find(kind: type[Client]) -> Client:
            if kind not in made:
                made[kind] = kind(server, workspace_of(kind.dialect).key)
                if isinstance(made[kind], Sdk):
                    stack.callback(made[kind].close)
            return made[kind]

        yield find
