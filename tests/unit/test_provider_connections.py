"""The way to a provider is used again: a new connection costs a call several round trips."""

from __future__ import annotations

import aiohttp
import httpx2
import pytest

from gateway import runtime
from gateway.providers import http
from gateway.types import ProviderConfig
from tests import servers
from tests.asking import streamed
from tests.fakes import anthropic, cohere, gemini


@pytest.mark.parametrize(
    ("kind", "application", "path", "key"),
    [
        ("openai", "tests.provider", "/v1", "sk-upstream"),
        ("anthropic", "tests.fakes.anthropic", "", anthropic.KEY),
        ("gemini", "tests.fakes.gemini", "", gemini.KEY),
        ("cohere", "tests.fakes.cohere", "", cohere.KEY),
    ],
)
async def test_a_stream_leaves_its_connection_to_the_next(
    monkeypatch: pytest.MonkeyPatch, kind: str, application: str, path: str, key: str
) -> None:
    # However slow this machine is.
    monkeypatch.setattr(http, "END_S", 10)
    with servers.running(f"{application}:application", ready="/calls") as server:
        config = ProviderConfig(kind, kind, server.url + path, key)
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                assert await streamed(runtime.make_providers(session)[kind], config, "ok", stream=True)
        assert httpx2.get(f"{server.url}/calls").json()["connections"] == 1
