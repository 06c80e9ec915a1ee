"""A provider's adapter asked directly, without a gateway around it: for its whole answer, and for its stream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.dialects import openai_chat
from gateway.providers.base import Provider
from gateway.types import ProviderConfig
from tests import servers


@contextlib.contextmanager
def fake(kind: str, key: str, path: str = "") -> Iterator[ProviderConfig]:
    """The provider of tests.fakes of this name, running."""
    with servers.running(f"tests.fakes.{kind}:application", ready="/calls") as server:
        yield ProviderConfig(kind, kind, server.url + path, key)


def hello(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


async def whole(provider: Provider, config: ProviderConfig, model: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(await provider.complete(config, hello(model, **more)))
    return answer


async def streamed(provider: Provider, config: ProviderConfig, model: str, **more: Any) -> dict[str, Any]:
    """Put together as a whole answer."""
    assembler = openai_chat.Assembler()
    async for chunk in provider.stream(config, hello(model, **more)):
        assembler.add(orjson.loads(chunk))
    assert assembler.complete
    return assembler.body()


both = pytest.mark.parametrize("ask", [whole, streamed])
