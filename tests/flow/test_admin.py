"""What operators do in the admin, and what they cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import reverse

from billing.models import LedgerEntry, Plan, Subscription
from nexus import urls
from tenants.models import ApiKey, AuditEvent, Tenant, User
from tests.conftest import Workspace

# The admin's models are registered when its paths are.
assert urls.urlpatterns


@pytest.fixture
def operator() -> Iterator[Client]:
    user, _ = User.objects.get_or_create(
        email="operator@example.com", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(user)
    yield client
    assert connection.schema_name == "public"


def act(client: Client, model: type, action: str, *ids: int) -> str:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]
    answer = client.post(url, {"action": action, "_selected_action": ids}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("model", [m for m in admin.site._registry if m._meta.app_label in {"tenants", "billing"}])
def test_every_list_and_form_opens(operator: Client, alice: Workspace, model: type) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined]
    assert operator.get(reverse(f"{name}_changelist")).status_code == 200
    row = model.objects.first()  # type: ignore[attr-defined]
    if row is not None:
        assert operator.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200


def test_only_public_models_are_in_the_admin() -> None:
    assert not {m._meta.app_label for m in admin.site._registry} & {"analytics", "gateway"}


def test_suspending_is_audited_and_can_be_undone(operator: Client, alice: Workspace) -> None:
    act(operator, Tenant, "suspend", alice.tenant.pk)
    alice.tenant.refresh_from_db()
    assert alice.tenant.status == "suspended"
    event = AuditEvent.objects.filter(tenant=alice.tenant).first()
    assert event is not None and event.action == "tenant.suspended" and event.actor_label == "operator@example.com"
    assert (event.before, event.after, event.ip_address) == (
        {"status": "active"},
        {"status": "suspended"},
        "127.0.0.1",
    )
    act(operator, Tenant, "reactivate", alice.tenant.pk)
    alice.tenant.refresh_from_db()
    assert alice.tenant.status == "active"


def test_a_rotated_key_is_shown_once_and_the_old_one_ends(operator: Client, alice: Workspace) -> None:
    page = act(operator, ApiKey, "rotate", alice.api_key.pk)
    assert re.search(r"nk-[a-z0-9]{12}-[\w-]{43}", page)
    alice.api_key.refresh_from_db()
    assert alice.api_key.expires_at is not None and alice.api_key.revoked_at is None
    assert not re.search(r"nk-[a-z0-9]{12}-[\w-]{43}", act(operator, ApiKey, "revoke", alice.api_key.pk))
    alice.api_key.refresh_from_db()
    assert alice.api_key.revoked_at is not None


def test_a_plan_is_changed_for_the_chosen(operator: Client, alice: Workspace) -> None:
    subscription = Subscription.objects.get(tenant=alice.tenant)
    act(operator, Subscription, "change_to_pro", subscription.pk)
    subscription.refresh_from_db()
    assert subscription.plan_id == "pro"
    event = AuditEvent.objects.filter(tenant=alice.tenant, action="plan.changed").first()
    assert event is not None and event.after["plan"] == "pro"


def test_a_tenant_added_here_has_its_schema(operator: Client) -> None:
    data = {"name": "Acme", "slug": "acme-added", "email": "acme@example.com"}
    answer = operator.post(reverse("admin:tenants_tenant_add"), data)
    assert answer.status_code == 302
    tenant = Tenant.objects.get(slug="acme-added")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {tenant.schema_name}.gateway_cacheentry")
        assert cursor.fetchone() == (0,)
    assert tenant.subscription.plan_id == "free"


def test_nothing_with_a_ledger_can_be_deleted(operator: Client, alice: Workspace) -> None:
    assert operator.post(reverse("admin:tenants_tenant_delete", args=[alice.tenant.pk])).status_code == 403
    assert operator.post(reverse("admin:billing_plan_delete", args=["scale"])).status_code == 403
    assert Plan.objects.filter(code="scale").exists()
    assert operator.get(reverse("admin:billing_ledgerentry_add")).status_code == 403
    assert LedgerEntry.objects.filter(tenant=alice.tenant).count() == 0


def test_a_member_who_is_no_operator_is_turned_away(alice: Workspace) -> None:
    client = Client()
    client.force_login(alice.owner)
    assert client.get("/admin/").status_code == 302
