"""Bounds what metrics are labelled with: whatever clients and tenants write, there are few different values.

Never a tenant, a key or a text. What is not known is “other”.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from billing import catalog
from gateway.providers.vendors import VENDORS
from gateway.tallies import OTHER
from gateway.types import Candidate, Plan

# WS: one message of a chat over a WebSocket.
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WS"})
# Providers by their API: what tenants call them is their text.
KINDS = frozenset({*VENDORS, "anthropic", "gemini", "cohere", "simulated"})
MAX_MODELS, MAX_ROUTES, MAX_ERRORS = 100, 600, 60
# Spellings of which it is remembered what they are called.
MAX_SPELLINGS = 2_000
# No template of ours is as long; what is, is a path.
ROUTE_CHARACTERS, MODEL_CHARACTERS, ERROR_CHARACTERS = 100, 80, 40

Key = TypeVar("Key")


class Names(Generic[Key]):
    """What things are called: by `name`, None for what nobody knows. The first `most` names; all others are “other”."""

    def __init__(self, most: int, name: Callable[[Key], str | None]) -> None:
        self._most = most
        self._name = name
        self._names: set[str] = set()
        self._known: dict[Key, str] = {}

    def of(self, key: Key) -> str:
        found = self._known.get(key)
        return found if found is not None else self._looked_up(key)

    def _looked_up(self, key: Key) -> str:
        name = self._name(key)
        if name is None or (name not in self._names and len(self._names) >= self._most):
            name = OTHER
        else:
            self._names.add(name)
        if len(self._known) >= MAX_SPELLINGS:
            self._known.clear()
        self._known[key] = name
        return name


def _model(way: tuple[str, str]) -> str | None:
    """As the catalog of prices calls it: other models are whatever somebody wrote."""
    found = catalog.model_id(*way)
    return found[:MODEL_CHARACTERS] if found else None


def _route(route: str) -> str | None:
    return route if route.isascii() and route.isprintable() and len(route) <= ROUTE_CHARACTERS else None


def _error(code: str) -> str | None:
    """What looks like a code."""
    fits = len(code) <= ERROR_CHARACTERS and code.isascii() and code.replace("_", "").isalnum() and code.islower()
    return code if fits else None


# By catalog and model.
models: Names[tuple[str, str]] = Names(MAX_MODELS, _model)
routes: Names[str] = Names(MAX_ROUTES, _route)
# The gateway's own, and what providers say in theirs.
errors: Names[str] = Names(MAX_ERRORS, _error)


def method(name: str) -> str:
    return name if name in METHODS else OTHER


def status(code: int) -> str:
    return str(code) if 100 <= code < 600 else OTHER


def provider(kind: str) -> str:
    return kind if kind in KINDS else OTHER


def way(candidate: Candidate) -> tuple[str, str]:
    """Provider and model."""
    return provider(candidate.provider.kind), models.of((candidate.provider.catalog, candidate.model))


def way_of(plan: Plan, name: str, model: str) -> tuple[str, str]:
    """The same, of the candidate that answered; by the name that the tenant gave the provider."""
    for candidate in plan.candidates:
        if candidate.provider.name == name:
            return provider(candidate.provider.kind), models.of((candidate.provider.catalog, model))
    return OTHER, OTHER
