"""A workspace sets up its routes through the API."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.models import Target
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.management import audited, call, made, provider_of, refused, route_of


@pytest.fixture
def own(admin: Workspace) -> Workspace:
    """With a provider “own”."""
    made(admin, "/api/providers", provider_of())
    return admin


def target(model: str = "gpt-4o-mini", provider: str | None = "own", **fields: Any) -> dict[str, Any]:
    return {"provider": provider, "model": model, **fields}


def test_a_route_is_made_replaced_and_deleted(own: Workspace) -> None:
    created = made(own, "/api/routes", route_of("team/house", target("b"), target("a", None, weight=0)))
    assert created == {
        "model": "team/house",
        "strategy": "fallback",
        "hedge_after_ms": None,
        "targets": [target("b", weight=1, tier=""), target("a", None, weight=0, tier="")],
        "cache": {},
    }
    assert call(own, "GET", "/api/routes/team/house").json() == created
    assert call(own, "GET", "/api/routes").json() == {"object": "list", "data": [created]}
    body = {"strategy": "weighted", "hedge_after_ms": 300, "targets": [target("c", weight=9), target("b")]}
    replaced = call(own, "PUT", "/api/routes/team/house", body).json()
    assert replaced["targets"] == [target("c", weight=9, tier=""), target("b", weight=1, tier="")]
    assert call(own, "GET", "/api/routes/team/house").json() == replaced
    assert call(own, "DELETE", "/api/routes/team/house").status_code == 204
    assert call(own, "GET", "/api/routes/team/house").status_code == 404
    with schema_of(own.tenant):
        assert not Target.objects.exists()
    rows = audited(own)[1:]
    assert [(row.action, row.target) for row in rows] == [
        (f"route.{what}", "team/house") for what in ("created", "replaced", "deleted")
    ]
    assert (rows[1].before, rows[1].after) == (created, replaced)


SIMPLE, COMPLEX = target("a", tier="simple"), target("b", tier="complex")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": "x" * 121}, "model"),
        ({"model": "a\tb"}, "model"),
        ({"model": "a\x00b"}, "model"),
        ({"model": {}}, "model"),
        ({"strategy": "best"}, "strategy"),
        ({"strategy": []}, "strategy"),
        ({"hedge_after_ms": 0}, "hedge_after_ms"),
        ({"hedge_after_ms": "soon"}, "hedge_after_ms"),
        ({"targets": []}, "targets"),
        ({"targets": {}}, "targets"),
        ({"targets": None}, "targets"),
        ({"targets": "own"}, "targets"),
        ({"targets": [target(str(number)) for number in range(21)]}, "targets"),
        ({"targets": [target(), "own"]}, "targets[1]"),
        ({"targets": [target(), None]}, "targets[1]"),
        ({"targets": [target(), {"provider": "own"}]}, "targets[1].model"),
        ({"targets": [target(), target("a\x07")]}, "targets[1].model"),
        ({"targets": [target(), target("a", "nobody")]}, "targets[1].provider"),
        ({"targets": [target(), {**target(), "provider": {}}]}, "targets[1].provider"),
        ({"targets": [target(weight=-1)]}, "targets[0].weight"),
        ({"targets": [target(weight=10**12)]}, "targets[0].weight"),
        ({"targets": [target(weight=None)]}, "targets[0].weight"),
        ({"targets": [target(tier="hard")]}, "targets[0].tier"),
        ({"targets": [target(share=2)]}, "targets[0].share"),
        ({"targets": [target("a"), target("b"), target("a", weight=3)]}, "targets[2]"),
        ({"strategy": "weighted", "targets": [target("a", weight=0), target("b", weight=0)]}, "targets"),
        ({"strategy": "complexity", "targets": [SIMPLE, target("c")]}, "targets"),
        ({"strategy": "complexity", "targets": [COMPLEX]}, "targets"),
        ({"fallback": True}, "fallback"),
    ],
)
def test_a_bad_field_of_a_route_is_named(own: Workspace, fields: dict[str, Any], param: str) -> None:
    refused(call(own, "POST", "/api/routes", {**route_of(), **fields}), 400, param)
    assert call(own, "GET", "/api/routes").json()["data"] == []
    created = made(own, "/api/routes", route_of())
    refused(call(own, "PUT", "/api/routes/house", {**route_of(), **fields}), 400, param)
    assert call(own, "GET", "/api/routes/house").json() == created


def test_a_route_keeps_its_name_and_must_exist_to_be_replaced(own: Workspace) -> None:
    made(own, "/api/routes", route_of("house", SIMPLE, COMPLEX, strategy="complexity"))
    refused(call(own, "PUT", "/api/routes/house", route_of("other")), 400, "model")
    assert call(own, "PUT", "/api/routes/other", route_of("other")).status_code == 404
    taken = call(own, "POST", "/api/routes", route_of("house"))
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "name_taken")


@pytest.mark.parametrize("name", ["none", "a%00b", "%ff", "x" * 500, "..%2f..", "☃"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_route_that_is_not_there_is_404_whatever_its_name(own: Workspace, method: str, name: str) -> None:
    body = {"targets": [target()]} if method == "PUT" else None
    assert call(own, method, f"/api/routes/{name}", body).status_code in ({400, 404} if body else {404})


def test_routes_and_providers_are_limited_in_number(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.routes.MAX_ROUTES", 1)
    monkeypatch.setattr("gateway.api.providers.MAX_PROVIDERS", 1)
    made(own, "/api/routes", route_of())
    for path, body in (("/api/routes", route_of("two")), ("/api/providers", provider_of("two"))):
        answer = call(own, "POST", path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "limit_reached")
