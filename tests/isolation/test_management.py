"""Mallory manages a workspace of her own, and wants to see or change Alice's."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tenants.models import AuditEvent
from tests.bodies import body_of
from tests.calls import chat, records
from tests.conftest import Workspace
from tests.management import call, made, manages, provider_of, route_of


@pytest.fixture
def both(alice: Workspace, mallory: Workspace) -> tuple[Workspace, Workspace]:
    """Alice has a provider “own” and a route “house”; both may manage."""
    manages(alice), manages(mallory)
    made(alice, "/api/providers", provider_of())
    made(alice, "/api/routes", route_of())
    return alice, mallory


def everything(workspace: Workspace) -> list[Any]:
    paths = ("/api/providers", "/api/routes", "/api/call-settings")
    return [call(workspace, "GET", path).json() for path in paths]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/providers/own", None),
        ("PATCH", "/api/providers/own", {"base_url": "https://mallory.example.com", "api_key": "sk-m"}),
        ("DELETE", "/api/providers/own", None),
        ("GET", "/api/routes/house", None),
        ("PUT", "/api/routes/house", {"targets": [{"model": "gpt-4o"}]}),
        ("DELETE", "/api/routes/house", None),
    ],
)
def test_alices_names_are_not_there(both: tuple[Workspace, Workspace], method: str, path: str, body: Any) -> None:
    alice, mallory = both
    before = everything(alice)
    answer = call(mallory, method, path, body)
    assert answer.status_code == 404
    assert everything(alice) == before
    assert not AuditEvent.objects.filter(actor_label=str(mallory.api_key)).exists()


def test_lists_hold_only_ones_own(both: tuple[Workspace, Workspace]) -> None:
    _, mallory = both
    for path in ("/api/providers", "/api/routes"):
        assert call(mallory, "GET", path).json()["data"] == []


def test_the_same_names_are_free_for_mallory_and_change_nothing_of_alices(both: tuple[Workspace, Workspace]) -> None:
    alice, mallory = both
    before = everything(alice)
    made(mallory, "/api/providers", provider_of(base_url="https://mallory.example.com"))
    made(mallory, "/api/routes", route_of("house", {"provider": "own", "model": "other"}))
    call(mallory, "PATCH", "/api/call-settings", {"on_disconnect": "cancel"})
    call(mallory, "DELETE", "/api/routes/house")
    assert everything(alice) == before


def test_a_route_cannot_lead_to_alices_provider(both: tuple[Workspace, Workspace]) -> None:
    _, mallory = both
    answer = call(mallory, "POST", "/api/routes", route_of())
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "targets[0].provider")


def test_a_secret_of_another_key_opens_nothing(both: tuple[Workspace, Workspace]) -> None:
    alice, mallory = both
    forged = f"nk-{alice.api_key.public_id}-{mallory.key.split('-', 2)[2]}"
    assert call(None, "GET", "/api/providers", Authorization=f"Bearer {forged}").status_code == 401


def test_alices_provider_cannot_be_tried_or_explained(server: str, both: tuple[Workspace, Workspace]) -> None:
    _, mallory = both
    headers = {"Authorization": f"Bearer {mallory.key}"}
    tried = httpx2.post(f"{server}/api/providers/own/test", json={"model": "gpt-4o"}, headers=headers)
    assert tried.status_code == 404
    for model in ("house", "own/gpt-4o"):
        body = body_of("/v1/chat/completions", "x", model)
        explained = httpx2.post(f"{server}/api/routing/explain", json=body, headers=headers).json()
        assert explained["error"]["status"] == 404 and explained["candidates"] is None


def test_alices_results_are_not_shown(server: str, alice: Workspace, mallory: Workspace) -> None:
    manages(alice), manages(mallory)
    assert chat(server, alice.key, "gpt-4o-mini").status_code == 200
    records(alice, 1)
    path = "/api/routing/results?model=gpt-4o-mini"
    assert len(call(alice, "GET", path).json()["variants"]) == 1
    assert call(mallory, "GET", path).json()["variants"] == []
