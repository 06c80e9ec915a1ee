"""Alerts of a workspace: usage that is booked, what was raised, and sending it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx2
from django.core import mail
from django.utils import timezone

from analytics.alerts import outbox, schedule
from analytics.alerts.models import AlertEvent, Delivery
from analytics.booking import book
from analytics.tasks import send_alerts
from billing.periods import period_at
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.management import made
from tests.usage import miss


def use(workspace: Workspace, count: int = 1, **facts: Any) -> None:
    """Books this many requests, in the period of now."""
    period = period_at(workspace.tenant.subscription.anchor_at, timezone.now())
    facts = {"period": int(period.start.timestamp()), **facts}
    book(workspace.tenant, [miss(workspace, **facts) for _ in range(count)])


def spend(workspace: Workspace, usd: str, **facts: Any) -> None:
    use(workspace, cost_usd=Decimal(usd), **facts)


# Every workspace of the tests gets its plan after it was made.
SET_UP = "plan_changed"


def raised(workspace: Workspace, kind: str | None = None) -> list[AlertEvent]:
    """The oldest first; without those of the set-up."""
    with schema_of(workspace.tenant):
        events = AlertEvent.objects.order_by("at", "pk")
        return list(events.filter(kind=kind) if kind else events.exclude(kind=SET_UP))


def deliveries(workspace: Workspace) -> list[Delivery]:
    """Without those of the set-up."""
    with schema_of(workspace.tenant):
        found = Delivery.objects.select_related("event", "endpoint").exclude(event__kind=SET_UP)
        return list(found.order_by("created_at", "pk"))


def webhooks(workspace: Workspace) -> list[Delivery]:
    return [one for one in deliveries(workspace) if one.endpoint_id]


def forget_marks() -> None:
    """Of whoever is to be evaluated."""
    while schedule.take_marked(timezone.now() + dt.timedelta(days=1)) is not None:
        pass


def forget_letters() -> set[int]:
    """Whose they were. They lie in the outboxes still, for the sweep to find."""
    forgotten: set[int] = set()
    while due := schedule.take_due(timezone.now() + dt.timedelta(days=1)):
        forgotten.update(due)
    return forgotten


def send_until(condition: Callable[[], Any]) -> None:
    """Sends until it holds; another process may be the sender for a moment."""
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it never became so"
        send_alerts()
        time.sleep(0.02)


def make_due(workspace: Workspace) -> None:
    """As if the pause before the next try were over."""
    with schema_of(workspace.tenant):
        Delivery.objects.filter(status=Delivery.Status.WAITING).update(next_at=timezone.now())
        outbox._plan(workspace.tenant)
    schedule.put(workspace.tenant.pk, timezone.now())


def letters(workspace: Workspace) -> list[Any]:
    """Without those of the set-up."""
    ours = [message for message in mail.outbox if workspace.tenant.email in message.to]
    return [message for message in ours if "The plan changed" not in message.subject]


class Receiver:
    """What tests.fakes.webhook_receiver is told, and tells."""

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(self, workspace: Workspace, manner: str = "ok", **fields: Any) -> dict[str, Any]:
        """An endpoint there, whose secret it knows."""
        endpoint = made(workspace, "/api/alerts/webhooks", {"url": self.url_of(workspace, manner), **fields})
        self.learn(workspace, endpoint["secret"])
        return endpoint

    def url_of(self, workspace: Workspace, manner: str) -> str:
        return f"{self.url}/{workspace.tenant.slug}/{manner}"

    def learn(self, workspace: Workspace, secret: str) -> None:
        assert httpx2.put(f"{self.url}/{workspace.tenant.slug}", content=secret).status_code == 200

    def received(self, workspace: Workspace) -> list[dict[str, Any]]:
        answer: dict[str, Any] = httpx2.get(f"{self.url}/{workspace.tenant.slug}").json()
        return list(answer["received"])
