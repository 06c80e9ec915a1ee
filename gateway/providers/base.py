"""What every provider offers. It answers in OpenAI Chat Completions' shapes, whatever its own are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from gateway.types import ProviderConfig


class Provider(Protocol):
    """All raise gateway.errors.ProviderError. What is yielded or returned is JSON, not yet looked into."""

    async def complete(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes: ...

    def stream(self, config: ProviderConfig, payload: dict[str, Any]) -> AsyncIterator[bytes]:
        """The chunks of a stream, without their framing; returns when the provider said that it is complete."""
        ...

    async def embed(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        """`payload` and answer as OpenAI's /v1/embeddings has them; vectors as numbers, or base64 of 32-bit floats."""
        ...
