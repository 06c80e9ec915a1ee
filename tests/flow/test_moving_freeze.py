"""A workspace that is frozen for its move: apps are told to try again, pages change nothing, and nothing else does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from django.test import Client

from nexus import operations
from tenants import freezing
from tenants.models import AuditEvent, Tenant
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import call, manages


def test_apps_of_a_frozen_workspace_are_told_to_try_again(
    server: str, alice: Workspace, mallory: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    with_provider(alice), with_provider(mallory)
    assert chat(server, alice.key).status_code == 200
    assert freezing.freeze(alice.tenant) and not freezing.freeze(alice.tenant)
    until = time.monotonic() + 1
    while (answer := chat(server, alice.key)).status_code == 200:
        assert time.monotonic() < until
    assert answer.status_code == 503 and json.loads(answer.text)["error"]["code"] == "tenant_moving"
    assert answer.headers["retry-after"] == "10"
    assert chat(server, mallory.key).status_code == 200

    assert freezing.unfreeze(alice.tenant) and not freezing.unfreeze(alice.tenant)
    until = time.monotonic() + 1
    while (answer := chat(server, alice.key)).status_code == 503:
        assert time.monotonic() < until
    assert answer.status_code == 200
    acts = AuditEvent.objects.filter(tenant=alice.tenant, action__in=["tenant.frozen", "tenant.unfrozen"])
    assert acts.count() == 2


def test_the_management_api_of_a_frozen_workspace_changes_nothing(alice: Workspace) -> None:
    freezing.freeze(alice.tenant)
    answer = call(manages(alice), "GET", "/api/providers")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "tenant_moving")
    assert answer["Retry-After"] == "10"


def test_pages_of_a_frozen_workspace_show_and_change_nothing(alice: Workspace, client: Client) -> None:
    freezing.freeze(alice.tenant)
    client.force_login(alice.owner)
    slug = alice.tenant.slug
    assert client.get(f"/t/{slug}/settings/").status_code == 200
    refused = client.post(f"/t/{slug}/settings/", {"name": "Other", "email": alice.tenant.email})
    assert refused.status_code == 503 and "being moved" in refused.content.decode()
    alice.tenant.refresh_from_db()
    assert alice.tenant.name != "Other"


def test_operators_see_that_a_workspace_is_frozen(alice: Workspace) -> None:
    freezing.freeze(alice.tenant)
    tenant = Tenant.objects.select_related("subscription__plan").get(pk=alice.tenant.pk)
    assert operations.standings([tenant])[tenant.pk].faults == ["being moved"]
