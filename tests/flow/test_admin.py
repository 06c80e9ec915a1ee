"""What operators do in the admin, and what they cannot."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.template.loader import get_template
from django.test import Client
from django.urls import reverse

from billing.models import LedgerEntry, Plan, PriceOverride, Subscription
from nexus import urls
from tenants import keys
from tenants.models import ApiKey, AuditEvent, Tenant, User
from tests.conftest import Workspace
from tests.database import current_schema

# The admin's models are registered when its paths are.
assert urls.urlpatterns

KEY = re.compile(r"nk-[a-z0-9]{12}-[\w-]{43}")


@pytest.fixture
def operator() -> Iterator[Client]:
    user, _ = User.objects.get_or_create(
        email="operator@example.com", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(user)
    yield client
    assert current_schema() == "public"


def url(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)  # type: ignore[attr-defined]


def act(client: Client, model: type, action: str, *ids: int, confirmed: bool = True) -> str:
    """The page that an operator sees in the end who chooses rows of a list and one of its actions."""
    data = {"action": action, "_selected_action": ids, **({"confirmed": "yes"} if confirmed else {})}
    answer = client.post(url(model, "changelist"), data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def audited(tenant: Tenant, action: str) -> AuditEvent:
    return AuditEvent.objects.filter(tenant=tenant, action=action).latest("pk")


@pytest.mark.parametrize("model", [m for m in admin.site._registry if m._meta.app_label in {"tenants", "billing"}])
def test_every_list_and_form_opens(operator: Client, alice: Workspace, model: type) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined]
    assert operator.get(reverse(f"{name}_changelist")).status_code == 200
    row = model.objects.first()  # type: ignore[attr-defined]
    if row is not None:
        assert operator.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200


def test_only_public_models_are_in_the_admin() -> None:
    assert not {m._meta.app_label for m in admin.site._registry} & {"analytics", "gateway"}


def test_the_first_page_leads_to_what_operators_need_and_looks_like_the_rest(operator: Client) -> None:
    page = operator.get("/admin/")
    assert all(url(model, "changelist") in page.content.decode() for model in (Tenant, Subscription, AuditEvent))
    # Both django-tenants and Unfold replace the admin's templates.
    template: Any = get_template("admin/app_list.html")
    assert "unfold" in template.origin.name
    assert not admin.site.is_registered(Group)


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


@pytest.mark.parametrize(
    ("model", "action"), [(Tenant, "suspend"), (Tenant, "issue_key"), (ApiKey, "rotate"), (ApiKey, "revoke")]
)
def test_nothing_happens_before_the_operator_says_yes(
    operator: Client, alice: Workspace, model: type, action: str
) -> None:
    row = alice.tenant if model is Tenant else alice.api_key
    events = AuditEvent.objects.filter(tenant=alice.tenant).count()
    pages = [act(operator, model, action, row.pk, confirmed=False)]
    pages.append(operator.get(f"{url(model, 'changelist')}{row.pk}/{action.replace('_', '-')}/").content.decode())
    assert all(str(row) in page and "Yes, do it" in page for page in pages)
    assert AuditEvent.objects.filter(tenant=alice.tenant).count() == events


def test_a_rotated_key_is_shown_once_and_the_old_one_ends(operator: Client, alice: Workspace) -> None:
    shown = KEY.search(act(operator, ApiKey, "rotate", alice.api_key.pk))
    assert shown is not None
    alice.api_key.refresh_from_db()
    assert alice.api_key.expires_at is not None and alice.api_key.revoked_at is None
    kept = [operator.cookies.output(), *(str(session.get_decoded()) for session in Session.objects.all())]
    assert not any(shown[0] in place for place in kept)
    assert not KEY.search(act(operator, ApiKey, "revoke", alice.api_key.pk))
    alice.api_key.refresh_from_db()
    assert alice.api_key.revoked_at is not None
    assert "issue a new key" in act(operator, ApiKey, "rotate", alice.api_key.pk)


def test_a_rows_own_page_has_the_same_acts(operator: Client, alice: Workspace) -> None:
    page = operator.get(url(Tenant, "change", alice.tenant.pk)).content.decode()
    button = f"{url(Tenant, 'changelist')}{alice.tenant.pk}/suspend/"
    assert button in page
    answer = operator.post(button, {"confirmed": "yes"})
    assert answer.headers["Location"] == url(Tenant, "change", alice.tenant.pk)
    alice.tenant.refresh_from_db()
    assert alice.tenant.status == "suspended"
    assert operator.post(f"{url(Tenant, 'changelist')}no-number/suspend/", {"confirmed": "yes"}).status_code == 404


def test_another_site_cannot_act_for_an_operator(operator: Client, alice: Workspace) -> None:
    forged = Client(enforce_csrf_checks=True)
    forged.cookies = operator.cookies
    answer = forged.post(f"{url(Tenant, 'changelist')}{alice.tenant.pk}/suspend/", {"confirmed": "yes"})
    assert answer.status_code == 403


def test_a_tenant_is_issued_a_key(operator: Client, alice: Workspace) -> None:
    shown = KEY.search(act(operator, Tenant, "issue_key", alice.tenant.pk))
    assert shown is not None
    parts = keys.parse(shown[0])
    assert parts is not None and ApiKey.objects.get(public_id=parts.public_id).tenant == alice.tenant
    assert audited(alice.tenant, "key.issued").actor_label == "operator@example.com"


def test_an_edit_is_audited_with_before_and_after(operator: Client, alice: Workspace) -> None:
    data = {
        "name": "spare",
        "scopes": '["admin"]',
        "allowed_models": "[]",
        "priority": "default",
        "monthly_tokens": "9",
        "budget_mode": "hard",
    }
    assert operator.post(url(ApiKey, "change", alice.api_key.pk), data).status_code == 302
    event = audited(alice.tenant, "key.changed")
    assert event.before == {"name": "default", "scopes": [], "monthly_tokens": None}
    assert event.after == {"name": "spare", "scopes": ["admin"], "monthly_tokens": 9}


@pytest.mark.parametrize("scopes", ['{"a": 1}', '"admin"', "[1]", '[""]', "7"])
def test_scopes_that_the_data_plane_cannot_read_are_refused(operator: Client, alice: Workspace, scopes: str) -> None:
    data = {"name": "spare", "scopes": scopes, "allowed_models": "[]"}
    answer = operator.post(url(ApiKey, "change", alice.api_key.pk), data)
    assert answer.status_code == 200 and b"JSON list of texts" in answer.content
    alice.api_key.refresh_from_db()
    assert alice.api_key.scopes == []


@pytest.mark.parametrize("overrides", ['{"monthly_requests": "many"}', '{"requests": 1}', "[1]"])
def test_overrides_that_the_data_plane_cannot_apply_are_refused(
    operator: Client, alice: Workspace, overrides: str
) -> None:
    subscription = Subscription.objects.get(tenant=alice.tenant)
    data = {"plan": "pro", "budget_mode": "hard", "unpriced": "refuse"}
    page = operator.post(url(Subscription, "change", subscription.pk), {**data, "overrides": overrides})
    assert page.status_code == 200
    good = {**data, "overrides": '{"monthly_requests": null, "monthly_tokens": 7}'}
    assert operator.post(url(Subscription, "change", subscription.pk), good).status_code == 302
    assert audited(alice.tenant, "plan.changed").after == {
        "plan": "pro",
        "overrides": {"monthly_requests": None, "monthly_tokens": 7},
    }


def test_who_becomes_a_member_and_who_leaves_is_audited(operator: Client, alice: Workspace, mallory: Workspace) -> None:
    owner = alice.tenant.memberships.get()
    data = {"name": alice.tenant.name, "email": alice.tenant.email}
    total = {"keys-TOTAL_FORMS": 0, "keys-INITIAL_FORMS": 0, "memberships-INITIAL_FORMS": 1}
    rows = {
        "memberships-0-id": owner.pk, "memberships-0-tenant": alice.tenant.pk, "memberships-0-user": alice.owner.pk,
        "memberships-0-role": "admin", "memberships-1-user": mallory.owner.pk, "memberships-1-role": "viewer",
        "memberships-1-tenant": alice.tenant.pk,
    }  # fmt: skip
    page = url(Tenant, "change", alice.tenant.pk)
    assert operator.post(page, {**data, **total, **rows, "memberships-TOTAL_FORMS": 2}).status_code == 302
    added, changed = audited(alice.tenant, "member.added"), audited(alice.tenant, "member.changed")
    assert (added.target, added.after) == (mallory.owner.email, {"role": "viewer"})
    assert (changed.before, changed.after) == ({"role": "owner"}, {"role": "admin"})
    gone = {
        "memberships-0-id": alice.tenant.memberships.get(user=mallory.owner).pk, "memberships-0-DELETE": "on",
        "memberships-0-user": mallory.owner.pk, "memberships-0-role": "viewer", "memberships-0-tenant": alice.tenant.pk,
    }  # fmt: skip
    assert operator.post(page, {**data, **total, **gone, "memberships-TOTAL_FORMS": 1}).status_code == 302
    assert audited(alice.tenant, "member.removed").before == {"role": "viewer"}
    assert not alice.tenant.memberships.filter(user=mallory.owner).exists()


def test_a_plan_is_changed_for_the_chosen(operator: Client, alice: Workspace) -> None:
    subscription = Subscription.objects.get(tenant=alice.tenant)
    act(operator, Subscription, "change_to_pro", subscription.pk)
    subscription.refresh_from_db()
    assert subscription.plan_id == "pro"
    event = AuditEvent.objects.filter(tenant=alice.tenant, action="plan.changed").first()
    assert event is not None and event.after is not None and event.after["plan"] == "pro"


def test_a_tenant_added_here_has_its_schema(operator: Client) -> None:
    data = {"name": "Acme", "slug": "acme-added", "email": "acme@example.com"}
    answer = operator.post(reverse("admin:tenants_tenant_add"), data)
    assert answer.status_code == 302
    tenant = Tenant.objects.get(slug="acme-added")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {tenant.schema_name}.gateway_cacheentry")
        assert cursor.fetchone() == (0,)
    assert tenant.subscription.plan_id == "free"
    assert audited(tenant, "tenant.created").actor_label == "operator@example.com"
    again = operator.post(reverse("admin:tenants_tenant_add"), data)
    assert again.status_code == 200 and b"already exists" in again.content


def test_a_price_is_added_and_never_changed(operator: Client, alice: Workspace) -> None:
    data = {
        "catalog": "openai", "model": alice.tenant.slug, "effective_from_0": "2026-01-01", "effective_from_1": "00:00",
        "input_usd_per_mtok": "1.5", "output_usd_per_mtok": "6",
    }  # fmt: skip
    assert operator.post(url(PriceOverride, "add"), data).status_code == 302
    price = PriceOverride.objects.get(model=alice.tenant.slug)
    event = AuditEvent.objects.filter(action="price.added").latest("pk")
    assert event.after is not None and event.after["input_usd_per_mtok"] == "1.5"
    assert event.actor_label == "operator@example.com"
    assert operator.post(url(PriceOverride, "change", price.pk), {**data, "model": "other"}).status_code == 403
    assert operator.post(url(PriceOverride, "delete", price.pk), {"post": "yes"}).status_code == 403


def test_who_may_only_look_cannot_act(alice: Workspace, mallory: Workspace) -> None:
    mallory.owner.is_staff = True
    mallory.owner.save()
    mallory.owner.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(mallory.owner)
    subscription = Subscription.objects.get(tenant=alice.tenant)
    act(client, Tenant, "suspend", alice.tenant.pk)
    act(client, ApiKey, "revoke", alice.api_key.pk)
    act(client, Subscription, "change_to_free", subscription.pk)
    pressed = client.post(f"{url(Tenant, 'changelist')}{alice.tenant.pk}/suspend/", {"confirmed": "yes"})
    assert pressed.status_code == 403
    for row in (alice.tenant, alice.api_key, subscription):
        row.refresh_from_db()
    assert alice.tenant.status == "active" and alice.api_key.revoked_at is None and subscription.plan_id == "scale"


def test_nothing_with_a_ledger_can_be_deleted(operator: Client, alice: Workspace) -> None:
    assert operator.post(reverse("admin:tenants_tenant_delete", args=[alice.tenant.pk])).status_code == 403
    assert operator.post(reverse("admin:billing_plan_delete", args=["scale"])).status_code == 403
    assert Plan.objects.filter(code="scale").exists()
    assert LedgerEntry.objects.filter(tenant=alice.tenant).count() == 0


def adjustment(workspace: Workspace, **given: object) -> dict[str, object]:
    numbers = {"requests": -5, "tokens": -1000, "cost_usd": "-0.25"}
    return {"tenant": workspace.tenant.pk, **numbers, "note": "Goodwill", "key": "", "batch": uuid.uuid4(), **given}


def test_an_adjustment_is_booked_once_with_its_reason(operator: Client, alice: Workspace) -> None:
    page = operator.get(url(LedgerEntry, "add")).content.decode()
    assert "Book an adjustment" in page and 'name="batch"' in page
    given = adjustment(alice, key=alice.api_key.public_id)
    for _ in range(2):
        assert operator.post(url(LedgerEntry, "add"), given).status_code == 302
    entry = LedgerEntry.objects.get(tenant=alice.tenant)
    assert (entry.kind, entry.requests, entry.tokens, entry.cost_usd) == ("adjustment", -5, -1000, Decimal("-0.25"))
    assert entry.key_id == alice.api_key.pk
    event = audited(alice.tenant, "ledger.adjusted")
    assert (
        event.after is not None and event.after["reason"] == "Goodwill" and event.actor_label == "operator@example.com"
    )
    assert operator.get(url(LedgerEntry, "change", entry.pk)).status_code == 200


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"note": " "}, "required"),
        ({"requests": 0, "tokens": 0, "cost_usd": 0}, "Say what to add"),
        ({"requests": 10**13}, "must be within"),
        ({"cost_usd": "NaN"}, "Enter a number"),
        ({"key": "no-such-key"}, "no such key"),
        ({"batch": "x"}, "valid UUID"),
        ({"tenant": 2**40}, "valid choice"),
    ],
)
def test_an_adjustment_that_makes_no_sense_is_explained(
    operator: Client, alice: Workspace, given: dict[str, object], complaint: str
) -> None:
    answer = operator.post(url(LedgerEntry, "add"), adjustment(alice, **given))
    assert answer.status_code == 200 and complaint in answer.content.decode()
    assert not LedgerEntry.objects.filter(tenant=alice.tenant).exists()


def test_a_member_who_is_no_operator_is_turned_away(alice: Workspace) -> None:
    client = Client()
    client.force_login(alice.owner)
    assert client.get("/admin/").status_code == 302
