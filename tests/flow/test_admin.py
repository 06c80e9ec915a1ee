"""What operators do in the admin, and what they cannot."""

from __future__ import annotations

import re
import types
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Sum
from django.template.loader import get_template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from djstripe.models import WebhookEventTrigger

from analytics import alerts
from analytics.alerts import changes
from analytics.alerts.models import Delivery
from analytics.alerts.posting import Answer
from analytics.alerts.standing import note
from billing import resets
from billing.models import LedgerEntry, Plan, PriceOverride, Reconciliation, Subscription
from nexus import task_log, urls
from tenants import apikeys, keys, secretbox, support, suspension
from tenants.db import schema_of
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User
from tests.booked import book
from tests.conftest import PASSWORD, Workspace
from tests.database import current_schema
from tests.management import confirm
from tests.pages import flat
from tests.usage import miss

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
        "scopes": '["operator"]',
        "allowed_models": "[]",
        "priority": "default",
        "monthly_tokens": "9",
        "budget_mode": "hard",
    }
    assert operator.post(url(ApiKey, "change", alice.api_key.pk), data).status_code == 302
    event = audited(alice.tenant, "key.changed")
    assert event.before == {"name": "default", "scopes": [], "monthly_tokens": None}
    assert event.after == {"name": "spare", "scopes": ["operator"], "monthly_tokens": 9}


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


# --- what an operator cannot get at -----------------------------------------------------------------------------------


def test_the_admins_own_login_lets_nobody_in(alice: Workspace) -> None:
    """It would ask for no second factor, and count no wrong passwords."""
    User.objects.filter(pk=alice.owner.pk).update(is_staff=True, is_superuser=True)
    client = Client()
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == "/login/?next=/admin/"
    given = {"username": alice.owner.email, "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/", given).status_code == 405
    assert client.get("/admin/").status_code == 302
    # Where people log in, their second factor is asked for, and guessing ends.
    Authenticator.objects.create(user=alice.owner, type="totp", data={"secret": secretbox.seal("x" * 32).decode()})
    asked = client.post("/login/?next=/admin/", {"login": alice.owner.email, "password": PASSWORD})
    assert asked.headers["Location"].startswith("/account/2fa/authenticate/")
    assert client.get("/admin/").status_code == 302
    elsewhere = Client(REMOTE_ADDR="203.0.113.78")
    for _ in range(5):
        elsewhere.post("/login/?next=/admin/", {"login": alice.owner.email, "password": "not it"})
    last = elsewhere.post("/login/?next=/admin/", {"login": alice.owner.email, "password": PASSWORD})
    assert b"Too many failed login attempts" in last.content


def member_of(workspace: Workspace, user: User, role: str = "owner") -> dict[str, object]:
    return {"tenant": workspace.tenant.pk, "user": user.pk, "role": role}


def test_nobody_is_let_in_whom_the_workspace_has_not(operator: Client, alice: Workspace, mallory: Workspace) -> None:
    confirm(mallory)
    accomplice = member_of(alice, mallory.owner)
    assert operator.get(url(Membership, "add")).status_code == 200
    assert "its own people invite" in flat(operator.post(url(Membership, "add"), accomplice))
    support.grant(alice.tenant, 1)
    staff = User.objects.get(email="operator@example.com")
    assert "An operator looks in" in flat(operator.post(url(Membership, "add"), member_of(alice, staff)))
    assert operator.post(url(Membership, "add"), accomplice).status_code == 302
    assert audited(alice.tenant, "member.added").after == {"role": "owner"}
    added = Membership.objects.get(tenant=alice.tenant, user=mallory.owner)
    assert operator.post(url(Membership, "change", added.pk), {"role": "viewer"}).status_code == 302
    event = audited(alice.tenant, "member.changed")
    assert (event.target, event.before, event.after) == (mallory.owner.email, {"role": "owner"}, {"role": "viewer"})
    support.revoke(alice.tenant)
    assert operator.post(url(Membership, "change", added.pk), {"role": "owner"}).status_code == 403
    assert operator.post(url(Membership, "delete", added.pk), {"post": "yes"}).status_code == 302
    assert audited(alice.tenant, "member.removed").before == {"role": "viewer"}
    assert [member.user for member in alice.tenant.memberships.all()] == [alice.owner]


def test_only_a_confirmed_address_is_let_in(operator: Client, alice: Workspace, mallory: Workspace) -> None:
    support.grant(alice.tenant, 1)
    answer = operator.post(url(Membership, "add"), member_of(alice, mallory.owner, "viewer"))
    assert "Nobody has confirmed" in flat(answer)
    assert alice.tenant.memberships.count() == 1


def test_the_last_owner_stays_an_owner(operator: Client, alice: Workspace) -> None:
    support.grant(alice.tenant, 1)
    owner = alice.tenant.memberships.get()
    answer = operator.post(url(Membership, "change", owner.pk), {"role": "viewer"})
    assert "last owner" in flat(answer)
    assert operator.post(url(Membership, "delete", owner.pk), {"post": "yes"}).status_code == 403
    many = {"action": "delete_selected", "_selected_action": [owner.pk], "post": "yes"}
    operator.post(url(Membership, "changelist"), many)
    assert alice.tenant.memberships.get().role == "owner"


def test_a_workspace_made_here_gets_its_first_owner(operator: Client, mallory: Workspace) -> None:
    confirm(mallory)
    slug = f"made-{uuid.uuid4().hex[:8]}"
    operator.post(url(Tenant, "add"), {"name": "Made", "slug": slug, "email": mallory.owner.email})
    made = Tenant.objects.get(slug=slug)
    given = {"tenant": made.pk, "user": mallory.owner.pk, "role": "owner"}
    assert operator.post(url(Membership, "add"), given).status_code == 302
    assert made.memberships.get().user == mallory.owner


@pytest.mark.parametrize("scope", ["content", "cache", "admin", "team", "providers", "figures"])
def test_no_key_that_manages_is_shown_to_an_operator(operator: Client, alice: Workspace, scope: str) -> None:
    support.grant(alice.tenant, 1)
    managing = apikeys.issue(alice.tenant, name="managing", scopes=[scope]).key
    assert not KEY.search(act(operator, ApiKey, "rotate", managing.pk))
    page = act(operator, Tenant, "rotate_keys", alice.tenant.pk)
    assert len(KEY.findall(page)) == 1, "of the app's key alone"
    managing.refresh_from_db()
    alice.api_key.refresh_from_db()
    assert managing.expires_at is None and alice.api_key.expires_at is not None
    # Nor is one that was shown given it afterwards.
    shown = KEY.search(act(operator, Tenant, "issue_key", alice.tenant.pk))
    assert shown is not None
    key = ApiKey.objects.get(tenant=alice.tenant, name="issued")
    data = {"name": "issued", "scopes": f'["{scope}"]', "allowed_models": "[]", "priority": "default"}
    answer = operator.post(url(ApiKey, "change", key.pk), {**data, "budget_mode": "hard"})
    assert "Only people of the workspace" in flat(answer)
    key.refresh_from_db()
    assert key.scopes == []
    act(operator, ApiKey, "revoke", managing.pk)
    managing.refresh_from_db()
    assert managing.revoked_at is not None


def test_a_large_workspaces_page_is_small_and_is_saved(operator: Client, alice: Workspace) -> None:
    many = [
        ApiKey(tenant=alice.tenant, name=f"k{number}", secret_sha256=uuid.uuid4().bytes * 2) for number in range(800)
    ]
    ApiKey.objects.bulk_create(many)
    people = User.objects.bulk_create(User(email=f"{uuid.uuid4().hex}@example.com") for _ in range(250))
    Membership.objects.bulk_create(Membership(tenant=alice.tenant, user=person, role="viewer") for person in people)
    page = url(Tenant, "change", alice.tenant.pk)
    answer = operator.get(page)
    assert len(answer.content) < 200_000 and ">801<" in flat(answer) and ">251<" in flat(answer)
    # The form as the page has it.
    given = {field.name: field.value() or "" for field in answer.context["adminform"].form}
    for formset in answer.context["inline_admin_formsets"]:
        assert len(formset.forms) < 10
    assert operator.post(page, {**given, "name": "Larger"}).status_code == 302
    for model in (Membership, ApiKey):
        listed = f"{url(model, 'changelist')}?tenant__id__exact={alice.tenant.pk}"
        assert listed in flat(answer) and "100" in flat(operator.get(listed))


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


def test_the_list_says_what_tenants_use_and_suffer(operator: Client, alice: Workspace, mallory: Workspace) -> None:
    book(
        alice,
        miss(alice, cost_usd=Decimal("12.5")),
        *(miss(alice, status=502, error="x", billed_tokens=0) for _ in range(20)),
    )
    suspension.suspend(mallory.tenant)
    compared = timezone.now()
    Reconciliation.objects.create(
        tenant=alice.tenant, period_start=compared, compared_at=compared, books={}, drifting_since=compared
    )
    rows = {row.pk: row.standing for row in operator.get(url(Tenant, "changelist")).context["cl"].result_list}
    used = rows[alice.tenant.pk]
    assert (used.requests, used.inside.errors) == (1, 20) and used.cost_usd > Decimal("12.5")
    assert used.faults == ["books differ", "95.2 % errors"] and rows[mallory.tenant.pk].faults == ["suspended"]
    page = flat(operator.get(url(Tenant, "change", alice.tenant.pk)))
    assert "20 of 21" in page and "books differ" in page


def test_the_list_asks_no_more_for_more_tenants(operator: Client, make_workspace: Callable[..., Workspace]) -> None:
    def queries(*tenants: Workspace) -> int:
        Tenant.objects.filter(pk__in=[each.tenant.pk for each in tenants]).update(name=(name := uuid.uuid4().hex))
        with CaptureQueriesContext(connection) as captured:
            page = operator.get(url(Tenant, "changelist"), {"q": name})
        assert len(page.context["cl"].result_list) == len(tenants)
        return len(captured)

    made = [make_workspace() for _ in range(4)]
    assert queries(made[0]) == queries(*made) <= 20


def test_a_quota_is_given_back_once_and_nothing_is_deleted(operator: Client, alice: Workspace) -> None:
    other = apikeys.issue(alice.tenant).key
    book(alice, miss(alice), miss(alice), miss(alice, key_id=other.pk))
    page = f"{url(Tenant, 'changelist')}{alice.tenant.pk}/reset-quota/"
    assert "adjustments in the ledger" in flat(operator.get(page))
    given = {"reason": "Our outage", "batch": str(uuid.uuid4())}
    assert "3 requests and 90 tokens were given back" in flat(operator.post(page, given, follow=True))
    operator.post(page, given)
    sums = LedgerEntry.objects.filter(tenant=alice.tenant).values("key_id").annotate(Sum("requests"), Sum("tokens"))
    assert {(row["requests__sum"], row["tokens__sum"]) for row in sums} == {(0, 0)}
    entries = LedgerEntry.objects.filter(tenant=alice.tenant)
    assert entries.filter(kind="usage").exists() and entries.filter(kind="adjustment").count() == 2
    assert entries.aggregate(Sum("cost_usd"))["cost_usd__sum"] > 0
    event = audited(alice.tenant, "ledger.adjusted")
    assert event.actor_label == "operator@example.com" and event.after and event.after["reason"] == "Our outage"
    assert operator.post(page, {"reason": "", "batch": str(uuid.uuid4())}).status_code == 400


def test_a_tenants_plan_is_changed_on_its_page(operator: Client, alice: Workspace) -> None:
    page = f"{url(Tenant, 'changelist')}{alice.tenant.pk}/change-plan/"
    assert "Which plan" in flat(operator.get(page))
    assert operator.post(page, {"plan": "none-such"}).status_code == 400
    assert operator.post(page, {"plan": "pro"}).status_code == 302
    assert Subscription.objects.get(tenant=alice.tenant).plan_id == "pro"
    assert audited(alice.tenant, "plan.changed").actor_label == "operator@example.com"


def test_all_keys_of_a_tenant_are_rotated(operator: Client, alice: Workspace) -> None:
    apikeys.issue(alice.tenant, name="second")
    assert len(KEY.findall(act(operator, Tenant, "rotate_keys", alice.tenant.pk))) == 2
    assert ApiKey.objects.filter(tenant=alice.tenant, expires_at=None).count() == 2


def failed_message(workspace: Workspace) -> Delivery:
    endpoint, _ = changes.make_endpoint(workspace.tenant, {"url": "https://hooks.example.com/a-secret-path"}, {})
    alerts.raise_alert(workspace.tenant, "drift", "books", {"drift_requests": "a-fact"}, "failed")
    with schema_of(workspace.tenant):
        sent = Delivery.objects.select_related("event", "endpoint").get(endpoint=endpoint)
        Delivery.objects.filter(pk=sent.pk).update(tries=8)
        note(workspace.tenant, sent, Answer(503, "It answered 503.", "their-answer", 0.0, 9))
    return sent


def test_a_webhook_that_failed_is_sent_again_without_its_content_being_shown(
    operator: Client, alice: Workspace
) -> None:
    sent = failed_message(alice)
    for page in ("/admin/failures/", url(Tenant, "change", alice.tenant.pk)):
        shown = flat(operator.get(page))
        assert "It answered 503." in shown and "https://hooks.example.com<" in shown
        assert not any(secret in shown for secret in ("a-secret-path", "their-answer", "a-fact"))
    again = f"/admin/failures/messages/{alice.tenant.pk}/{sent.pk}/"
    assert "sent again within seconds" in flat(operator.post(again, follow=True))
    with schema_of(alice.tenant):
        assert Delivery.objects.get(pk=sent.pk).status == "waiting"
    assert audited(alice.tenant, "webhook.replayed").actor_label == "operator@example.com"
    assert operator.post(f"/admin/failures/messages/{2**40}/{sent.pk}/").status_code == 404
    assert "There is no delivery" in flat(
        operator.post(f"/admin/failures/messages/{alice.tenant.pk}/{uuid.uuid4()}/", follow=True)
    )


def test_a_task_that_failed_is_told_without_its_message_and_run_again_where_that_is_safe(operator: Client) -> None:
    def fail(name: str) -> str:
        task = types.SimpleNamespace(name=name)
        try:
            raise ValueError("what somebody asked")
        except ValueError as error:
            task_log.note_failure(task, id_ := uuid.uuid4().hex, error, error.__traceback__)
        return id_

    safe, unsafe = fail("gateway.tasks.purge_cache"), fail("tenants.tasks.send_invitation")
    page = flat(operator.get("/admin/failures/"))
    assert "gateway.tasks.purge_cache" in page and "ValueError" in page and "what somebody asked" not in page
    assert f"/admin/failures/tasks/{safe}/" in page and unsafe not in page
    assert operator.post(f"/admin/failures/tasks/{unsafe}/").status_code == 404
    assert "sent to the workers" in flat(operator.post(f"/admin/failures/tasks/{safe}/", follow=True))
    assert operator.post(f"/admin/failures/tasks/{safe}/").status_code == 404
    assert [failure.id for failure in task_log.failures()].count(unsafe) == 1
    assert AuditEvent.objects.filter(action="task.retried", target="gateway.tasks.purge_cache").exists()


def test_the_place_of_a_failure_is_our_own_innermost_line() -> None:
    try:
        resets.reset_quota(Tenant(pk=0), batch=uuid.uuid4(), reason="x")
    except Subscription.DoesNotExist as error:
        assert re.fullmatch(r".*billing/bookkeeping\.py:\d+ in open_period", task_log.place_of(error.__traceback__))
    assert task_log.place_of(None) == ""


def test_an_event_of_stripes_that_failed_is_listed_and_about_nobody(operator: Client) -> None:
    body = '{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"customer": "cus_nobody"}}}'
    trigger = WebhookEventTrigger.objects.create(
        remote_ip="127.0.0.1", headers={}, body=body, valid=True, exception="It broke."
    )
    page = flat(operator.get("/admin/failures/"))
    assert "invoice.paid" in page and "It broke." in page
    assert "about nobody here" in flat(operator.post(f"/admin/failures/events/{trigger.pk}/", follow=True))
    assert operator.post("/admin/failures/events/999999999/").status_code == 404


def test_the_system_page_says_how_the_platform_does(operator: Client, alice: Workspace) -> None:
    heart = types.SimpleNamespace(eventer=types.SimpleNamespace(hostname="celery@here"))
    task_log.note_alive(heart)
    task_log.note_done(types.SimpleNamespace(name="analytics.tasks.drain_usage"), state="SUCCESS")
    page = flat(operator.get("/admin/system/"))
    for words in (
        "Usage events that wait",
        "Dead letters",
        "celery@here",
        "Books that differ",
        "this process yet",
        "Postgres",
    ):
        assert words in page
    assert "Not read" not in page and "not applied" not in page and "Django" in page


def test_who_is_no_operator_sees_none_of_it(alice: Workspace, mallory: Workspace) -> None:
    sent = failed_message(alice)
    paths = ["/admin/system/", "/admin/failures/"]
    acts = [f"/admin/failures/messages/{alice.tenant.pk}/{sent.pk}/", "/admin/failures/tasks/x/"]
    stranger = Client()
    stranger.force_login(mallory.owner)
    assert {stranger.get(path).status_code for path in paths} == {302}
    assert {stranger.post(path).status_code for path in acts} == {302}
    mallory.owner.is_staff = True
    mallory.owner.save()
    mallory.owner.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    assert {stranger.get(path).status_code for path in paths} == {200}
    assert {stranger.post(path).status_code for path in acts} == {403}
    for act_ in ("change-plan", "reset-quota", "look-in"):
        assert stranger.get(f"{url(Tenant, 'changelist')}{alice.tenant.pk}/{act_}/").status_code == 403
    with schema_of(alice.tenant):
        assert Delivery.objects.get(pk=sent.pk).status == "failed"
