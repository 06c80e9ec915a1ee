"""Calls to a running gateway, and what became of them."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx2

from analytics.models import UsageRecord
from analytics.tasks import drain_usage
from gateway.models import CallSettings, Provider, Route
from tenants import revocations
from tenants.db import schema_of
from tests.conftest import Workspace


def body_of(model: str, content: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


def chat(server: str, key: str, model: str = "ok", content: str = "", **more: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
    body = body_of(model, content or uuid.uuid4().hex, **more)
    return httpx2.post(f"{server}/v1/chat/completions", json=body, headers=headers, timeout=30)


def upstream_calls(provider: str) -> dict[str, int]:
    calls: dict[str, int] = httpx2.get(f"{provider}/calls").json()["calls"]
    return calls


def records(workspace: Workspace, count: int) -> list[UsageRecord]:
    """All of them, once `count` have been booked."""
    until = time.monotonic() + 10
    while True:
        drain_usage()
        with schema_of(workspace.tenant):
            found = list(UsageRecord.objects.order_by("at"))
        if len(found) >= count or time.monotonic() > until:
            assert len(found) == count
            return found


def used(server: str, key: str) -> tuple[int, int]:
    usage = httpx2.get(f"{server}/v1/usage", headers={"Authorization": f"Bearer {key}"}).json()
    return usage["requests"]["used"], usage["tokens"]["used"]


def make_route(workspace: Workspace, model: str, *targets: str | tuple[str, str], **of_route: Any) -> None:
    """Each target is a model of the provider “fake”, or (provider, model). Takes effect within a second."""
    with schema_of(workspace.tenant):
        route = Route.objects.create(model=model, **of_route)
        for position, target in enumerate(targets):
            provider, upstream_model = target if isinstance(target, tuple) else ("fake", target)
            route.targets.create(
                provider=Provider.objects.get(name=provider), upstream_model=upstream_model, position=position
            )
    revocations.publish(f"tenant:{workspace.tenant.pk}")


def set_up_calls(workspace: Workspace, **values: Any) -> None:
    """The tenant's call settings."""
    with schema_of(workspace.tenant):
        CallSettings.objects.update_or_create(id=1, defaults=values)
    revocations.publish(f"tenant:{workspace.tenant.pk}")
