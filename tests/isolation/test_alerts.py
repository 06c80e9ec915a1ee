"""Mallory wants to see Alice's alerts, to be sent them, or to have hers sent elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from analytics import alerts
from analytics.alerts.models import AlertEvent, AlertRule, Delivery, WebhookEndpoint
from analytics.alerts.raising import raise_test
from tenants.db import schema_of
from tenants.models import AuditEvent
from tests.alerts import deliveries
from tests.conftest import Workspace
from tests.management import call, made, manages


@pytest.fixture
def alices(alice: Workspace, mallory: Workspace) -> dict[str, str]:
    """Ids of Alice's endpoint, delivery and alert; both may manage."""
    manages(alice), manages(mallory)
    endpoint = made(alice, "/api/alerts/webhooks", {"url": "https://hooks.example.com/alice"})
    alerts.raise_alert(alice.tenant, "drift", "books", {}, "one")
    with schema_of(alice.tenant):
        delivery = raise_test(alice.tenant, WebhookEndpoint.objects.get())
    return {"endpoint": endpoint["id"], "delivery": str(delivery.pk), "alert": str(delivery.event_id)}


def rows(workspace: Workspace) -> list[Any]:
    with schema_of(workspace.tenant):
        tables: tuple[Any, ...] = (AlertRule, WebhookEndpoint, AlertEvent, Delivery)
        return [list(table.objects.order_by("pk").values()) for table in tables]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "webhooks/{endpoint}", None),
        ("PATCH", "webhooks/{endpoint}", {"url": "https://mallory.example.com"}),
        ("DELETE", "webhooks/{endpoint}", None),
        ("POST", "webhooks/{endpoint}/rotate", None),
        ("GET", "webhooks/{endpoint}/deliveries", None),
        ("POST", "deliveries/{delivery}/replay", None),
        ("POST", "{alert}/read", None),
        ("POST", "test", {"endpoint": "{endpoint}"}),
    ],
)
def test_alices_are_not_there(
    alice: Workspace, mallory: Workspace, alices: dict[str, str], method: str, path: str, body: Any
) -> None:
    before = rows(alice)
    if body:
        body = {name: value.format(**alices) for name, value in body.items()}
    answer = call(mallory, method, f"/api/alerts/{path.format(**alices)}", body)
    assert answer.status_code == 404
    assert rows(alice) == before
    assert not AuditEvent.objects.filter(actor_label=str(mallory.api_key)).exists()


def test_lists_hold_only_ones_own(mallory: Workspace, alices: dict[str, str]) -> None:
    assert call(mallory, "GET", "/api/alerts/webhooks").json()["data"] == []
    kinds = {event["kind"] for event in call(mallory, "GET", "/api/alerts").json()["data"]}
    assert kinds <= {"plan_changed"}


def test_rules_are_ones_own(alice: Workspace, mallory: Workspace, alices: dict[str, str]) -> None:
    before = rows(alice)
    assert call(mallory, "PUT", "/api/alerts/rules/drift", {"enabled": False}).status_code == 200
    assert rows(alice) == before


def test_a_cursor_of_alices_opens_nothing_of_hers(alice: Workspace, mallory: Workspace, alices: dict[str, str]) -> None:
    page = call(alice, "GET", "/api/alerts?limit=1").json()
    seen = call(mallory, "GET", f"/api/alerts?cursor={page['next']}").json()["data"]
    assert {event["subject"] for event in seen} <= {mallory.tenant.slug}


def test_an_alert_of_alices_goes_to_nobody_else(alice: Workspace, mallory: Workspace, alices: dict[str, str]) -> None:
    made(mallory, "/api/alerts/webhooks", {"url": "https://hooks.example.com/mallory"})
    alerts.raise_alert(alice.tenant, "drift", "books", {}, "two")
    assert deliveries(mallory) == []
    assert {one.email for one in deliveries(alice)} == {"", alice.tenant.email}
