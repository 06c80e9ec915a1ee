"""Which embedder: what NEXUS_EMBEDDER may say, and what is made of it. Imports no model before one is chosen."""

from __future__ import annotations

import importlib.util
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.cache.embedding.base import Vector
    from gateway.cache.embedding.measured import Measured
    from gateway.cache.embedding.minilm import MiniLM

FASTEMBED_VERSION = "0.9.1"
FORMS = (
    "“local”, “grpc://host:port” (more hosts after commas), “unix:///path/of/socket”, "
    "“openai:text-embedding-3-small” (dimensions after another colon) or “fastembed:BAAI/bge-small-en-v1.5”"
)
# Dimensions of each model's own, and whether it makes shorter vectors when asked.
OPENAI_MODELS = {
    "text-embedding-3-small": (1536, True),
    "text-embedding-3-large": (3072, True),
    "text-embedding-ada-002": (1536, False),
}
# The longest that pgvector puts into an index.
MAX_DIMENSIONS = 4000
MAX_MODEL_LENGTH = 80
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


class Running(Protocol):
    """An embedder (base.Embedder) with a beginning and an end."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    async def start(self) -> None:
        """Raises EmbeddingUnavailable; `embed` may work later all the same."""

    async def close(self) -> None: ...

    async def embed(self, text: str) -> Vector: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of NEXUS_EMBEDDER, understood."""

    kind: str
    addresses: tuple[str, ...] = ()
    model: str = ""
    dimensions: int = 0
    # Sent to OpenAI; other services do not know the field.
    shorten_to: int | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else an embedder may need."""

    deadline_s: float
    load_local: Callable[[], MiniLM]
    models_dir: Path
    openai_api_key: str
    openai_base_url: str


def parse(value: str, *, openai_api_key: str, openai_base_url: str) -> Choice:
    """Raises ValueError with a sentence for the operator."""
    kind, colon, rest = value.partition(":")
    if value == "local":
        return Choice("local")
    if colon and kind == "grpc":
        return _grpc(rest)
    if colon and kind == "unix":
        return _unix(value, rest)
    if colon and kind == "openai":
        return _openai(rest, openai_api_key, openai_base_url)
    if colon and kind == "fastembed":
        return _fastembed(rest)
    raise ValueError(f"{value!r} is none of {FORMS}.")


def _grpc(rest: str) -> Choice:
    addresses = tuple(address.strip() for address in rest.removeprefix("//").split(","))
    for address in addresses:
        if not rest.startswith("//") or not is_address(address) or address.endswith(":0"):
            raise ValueError(f"“{address}” is no address of an embedding service: write grpc://host:port[,host:port].")
    if len(set(addresses)) != len(addresses):
        raise ValueError("An embedding service is named twice.")
    return Choice("grpc", addresses)


def is_address(text: str) -> bool:
    """host:port, [::1]:port. Port 0 is one, too: to listen on."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and int(found[1]) < 65536


def _unix(value: str, rest: str) -> Choice:
    if not rest.startswith("///") or len(rest) < 4:
        raise ValueError("A socket is written with its whole path: unix:///run/embedder.sock.")
    return Choice("grpc", (value,))


def _openai(rest: str, api_key: str, base_url: str) -> Choice:
    model, _, stated = rest.rpartition(":") if re.search(r":\d+$", rest) else (rest, "", "")
    _check_model(model)
    if not api_key and urllib.parse.urlsplit(base_url).hostname == "api.openai.com":
        raise ValueError("OpenAI's embeddings need a key: set OPENAI_API_KEY.")
    own, shortens = OPENAI_MODELS.get(model, (None, False))
    if not stated and own is None:
        raise ValueError(f"The dimensions of {model} are not known here: add them, as in openai:{model}:768.")
    dimensions = int(stated) if stated else own
    assert dimensions is not None
    if own is not None and dimensions != own and not (shortens and dimensions < own):
        raise ValueError(f"{model} has {own} dimensions{', or fewer' if shortens else ''}, not {dimensions}.")
    if not 0 < dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"A vector may have 1 to {MAX_DIMENSIONS:,} dimensions, not {dimensions:,}.")
    return Choice("openai", (), model, dimensions, dimensions if own not in (None, dimensions) else None)


def _fastembed(rest: str) -> Choice:
    _check_model(rest)
    if importlib.util.find_spec("fastembed") is None:
        raise ValueError(
            'The fastembed library is not installed: pip install "nexusgateway[fastembed]", '
            f"or, for a checkout, .venv/bin/python -m pip install fastembed=={FASTEMBED_VERSION}."
        )
    return Choice("fastembed", (), rest)


def _check_model(model: str) -> None:
    if not re.fullmatch(r"[\w./:@+-]+", model) or len(model) > MAX_MODEL_LENGTH:
        raise ValueError(f"{model!r} is no name of a model. It is one of {FORMS}.")


def make(choice: Choice, surroundings: Surroundings) -> Measured:
    """Raises ValueError for a model that the library does not have."""
    from gateway.cache.embedding.measured import Measured

    return Measured(MAKERS[choice.kind](choice, surroundings), choice.kind)


def _make_local(choice: Choice, surroundings: Surroundings) -> Running:
    from gateway.cache.embedding.local import LocalEmbedder

    return LocalEmbedder(surroundings.load_local, deadline_s=surroundings.deadline_s)


def _make_remote(choice: Choice, surroundings: Surroundings) -> Running:
    from gateway.cache.embedding.remote import RemoteEmbedder

    return RemoteEmbedder(choice.addresses, deadline_s=surroundings.deadline_s)


def _make_openai(choice: Choice, surroundings: Surroundings) -> Running:
    from gateway.cache.embedding.openai import OpenAIEmbedder

    return OpenAIEmbedder(
        choice.model,
        choice.dimensions,
        api_key=surroundings.openai_api_key,
        base_url=surroundings.openai_base_url,
        shorten_to=choice.shorten_to,
        deadline_s=surroundings.deadline_s,
    )


def _make_fastembed(choice: Choice, surroundings: Surroundings) -> Running:
    from gateway.cache.embedding.fastembed import FastembedEmbedder

    return FastembedEmbedder(
        choice.model, cache_dir=surroundings.models_dir / "fastembed", deadline_s=surroundings.deadline_s
    )


MAKERS: dict[str, Callable[[Choice, Surroundings], Running]] = {
    "local": _make_local,
    "grpc": _make_remote,
    "openai": _make_openai,
    "fastembed": _make_fastembed,
}
