"""The platform's operators see, make, change and delete workspaces by API; nobody else does."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError

from analytics.tasks import drain_usage, purge_records
from billing.models import LedgerEntry, Plan, Subscription
from gateway.tasks import purge_cache
from tenants import deletion, keyspace
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User
from tests import usage
from tests.booked import NOON, book, week
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import call, made, manages, refused
from tests.together import PATIENCE_S, while_it_waits
from tests.usage import miss, send, stream_of

PATH = "/api/admin/tenants"


@pytest.fixture
def operator(mallory: Workspace) -> Workspace:
    """A key that the operators' admin has given the scope."""
    ApiKey.objects.filter(pk=mallory.api_key.pk).update(scopes=["operator"])
    return mallory


def new(**fields: Any) -> dict[str, Any]:
    return {"name": "Initech", "email": f"{uuid.uuid4().hex[:12]}@example.com", **fields}


def events_of(tenant_id: int, operator: Workspace) -> list[str]:
    found = AuditEvent.objects.filter(tenant=tenant_id, actor_label=str(operator.api_key)).order_by("pk")
    return list(found.values_list("action", flat=True))


def schema_exists(tenant: Tenant) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [tenant.schema_name])
        return cursor.fetchone() is not None


def redis_keys(tenant: Tenant) -> list[Any]:
    with usage.client() as client:
        return list(client.scan_iter(match=keyspace.tenant_pattern(tenant.pk), count=1000))


def delete(operator: Workspace, workspace: Workspace, confirm: str | None = None) -> Any:
    return call(operator, "DELETE", f"{PATH}/{workspace.tenant.pk}?confirm={confirm or workspace.tenant.slug}")


def test_a_workspace_is_made_with_its_owner_and_a_key_that_works(server: str, operator: Workspace) -> None:
    body = new(slug=f"initech-{uuid.uuid4().hex[:8]}", plan="pro", overrides={"monthly_requests": 7})
    tenant = made(operator, PATH, body)
    assert (tenant["slug"], tenant["plan"], tenant["overrides"]) == (body["slug"], "pro", {"monthly_requests": 7})
    assert call(operator, "GET", f"{PATH}/{tenant['id']}").json() == {
        name: value for name, value in tenant.items() if name != "api_key"
    }
    owner = Membership.objects.get(tenant=tenant["id"])
    assert (owner.user.email, owner.role, owner.user.has_usable_password()) == (body["email"], "owner", False)
    assert chat(server, tenant["api_key"], "gpt-4o-mini").status_code == 200
    assert ApiKey.objects.get(tenant=tenant["id"]).scopes == ["admin"]
    assert events_of(tenant["id"], operator) == ["tenant.created", "plan.changed", "key.issued"]
    assert call(operator, "POST", PATH, {**new(), "slug": body["slug"]}).json()["error"]["code"] == "name_taken"
    second = made(operator, PATH, {**new(), "email": body["email"]})
    assert User.objects.filter(email=body["email"]).count() == 1 and second["slug"] != tenant["slug"]


def test_a_workspace_is_changed_suspended_and_taken_back(server: str, operator: Workspace, alice: Workspace) -> None:
    path = f"{PATH}/{alice.tenant.pk}"
    body = {"name": "New", "email": "new@example.com", "plan": "pro", "overrides": {}, "status": "suspended"}
    changed = call(operator, "PATCH", path, body).json()
    assert {name: changed[name] for name in body} == body
    until = time.monotonic() + PATIENCE_S
    while chat(server, alice.key).status_code != 403:
        assert time.monotonic() < until
    assert call(operator, "PATCH", path, {"status": "active"}).json()["status"] == "active"
    until = time.monotonic() + PATIENCE_S
    while chat(server, alice.key, "gpt-4o-mini").status_code != 200:
        assert time.monotonic() < until
    actions = ["plan.changed", "tenant.suspended", "tenant.changed", "tenant.reactivated"]
    assert events_of(alice.tenant.pk, operator) == actions
    call(operator, "PATCH", path, {"name": "New", "status": "active", "plan": "pro"})
    assert events_of(alice.tenant.pk, operator) == actions


def test_how_long_records_are_kept_is_set_up_to_the_plans(operator: Workspace, alice: Workspace) -> None:
    alice.tenant.refresh_from_db()
    path, most = f"{PATH}/{alice.tenant.pk}", alice.tenant.subscription.plan.retention_days
    assert call(operator, "GET", path).json()["retention_days"] == most
    assert call(operator, "PATCH", path, {"retention_days": 7}).json()["retention_days"] == 7
    for wrong in (0, most + 1, "many"):
        refused(call(operator, "PATCH", path, {"retention_days": wrong}), 400, "retention_days")
    assert call(operator, "PATCH", path, {"retention_days": None}).json()["retention_days"] == most
    assert events_of(alice.tenant.pk, operator) == ["tenant.changed"] * 2


def test_workspaces_are_found_in_pages(operator: Workspace) -> None:
    word = uuid.uuid4().hex[:10]
    ids = [made(operator, PATH, new(name=f"{word} {number}"))["id"] for number in range(3)]
    call(operator, "PATCH", f"{PATH}/{ids[0]}", {"status": "suspended", "plan": "scale"})
    first = call(operator, "GET", f"{PATH}?q={word.upper()}&limit=2").json()
    rest = call(operator, "GET", f"{PATH}?q={word}&limit=2&cursor={first['next']}").json()
    assert [tenant["id"] for tenant in first["data"] + rest["data"]] == ids[::-1] and rest["next"] is None
    for query, found in (("status=suspended", ids[:1]), ("plan=scale", ids[:1]), ("status=deleted", [])):
        page = call(operator, "GET", f"{PATH}?q={word}&{query}").json()
        assert [tenant["id"] for tenant in page["data"]] == found


def test_what_somebody_made_by_hand_breaks_no_list(operator: Workspace) -> None:
    name = f"m_{uuid.uuid4().hex[:12]}"
    half = Tenant.objects.create(name=name, slug=name.replace("_", "-"), email="a@example.com", schema_name=name)
    try:
        assert call(operator, "GET", PATH).status_code == 200
        assert call(operator, "GET", f"{PATH}/{half.pk}").status_code == 404
    finally:
        Tenant.objects.filter(pk=half.pk).delete()


def test_what_a_workspace_did_and_used(operator: Workspace, alice: Workspace) -> None:
    week(alice)
    path = f"{PATH}/{alice.tenant.pk}"
    days = f"from={NOON.date()}&to={NOON.date() + dt.timedelta(days=1)}"
    figures = call(operator, "GET", f"{path}/analytics?{days}").json()
    assert (figures["tenant"], figures["total_requests"], figures["cache_hit_rate"]) == (alice.tenant.pk, 6, 0.4)
    assert [day["requests"] for day in figures["by_day"]] == [3, 3]
    assert figures["top_endpoints"][0]["requests"] == 6
    used = call(operator, "GET", f"{path}/usage").json()
    assert (used["requests"]["used"], used["tokens"]["used"], used["plan"]) == (5, 90, "scale")
    assert used["budget"]["monthly"]["used"] == figures["cost_usd"] and used["saved_usd"] == figures["saved_usd"]
    assert used["limits"]["requests_per_minute"] == 1000
    refused(call(operator, "GET", f"{path}/analytics?from=x"), 400, "from")


def test_a_deleted_workspace_leaves_its_ledger_and_nothing_else(
    server: str, operator: Workspace, alice: Workspace
) -> None:
    manages(alice)
    assert chat(server, alice.key, "gpt-4o-mini", "What is deleted?").status_code == 200
    drain_usage()
    assert redis_keys(alice.tenant) and schema_exists(alice.tenant)
    booked = LedgerEntry.objects.filter(tenant=alice.tenant).count()
    path = f"{PATH}/{alice.tenant.pk}"
    for query in ("", "?confirm=", "?confirm=other"):
        refused(call(operator, "DELETE", f"{path}{query}"), 400, "confirm")
    assert delete(operator, alice).status_code == 204
    assert not redis_keys(alice.tenant) and not schema_exists(alice.tenant)
    until = time.monotonic() + PATIENCE_S
    while chat(server, alice.key, "gpt-4o-mini").status_code != 401:
        assert time.monotonic() < until
    assert call(alice, "GET", "/v1/usage/costs").status_code == 401
    assert LedgerEntry.objects.filter(tenant=alice.tenant).count() == booked == 1
    tenant = call(operator, "GET", path).json()
    assert (tenant["status"], tenant["name"], tenant["email"]) == ("deleted", "", "")
    assert tenant["id"] in [each["id"] for each in call(operator, "GET", f"{PATH}?status=deleted").json()["data"]]
    assert not call(operator, "GET", f"{PATH}?q={alice.tenant.slug}").json()["data"]
    alice.owner.refresh_from_db()
    assert not alice.owner.is_active and alice.owner.email.endswith(".invalid")
    for method, rest in (("PATCH", ""), ("GET", "/usage"), ("GET", "/analytics")):
        assert call(operator, method, f"{path}{rest}", {} if method == "PATCH" else None).status_code == 404


def test_limits_are_frees_once_the_grace_of_a_failed_payment_is_over(operator: Workspace, alice: Workspace) -> None:
    rows = Subscription.objects.filter(tenant=alice.tenant)
    for grace, plan in ((dt.timedelta(days=1), "scale"), (dt.timedelta(minutes=-1), "free")):
        rows.update(grace_until=timezone.now() + grace)
        used = call(operator, "GET", f"{PATH}/{alice.tenant.pk}/usage").json()
        limit = Plan.objects.get(code=plan).monthly_requests
        assert (used["plan"], used["requests"]["limit"], used["limits"]["monthly_requests"]) == (plan, limit, limit)


def test_a_workspace_that_is_deleted_meanwhile_is_not_changed(operator: Workspace, alice: Workspace) -> None:
    def delete() -> None:
        Tenant.objects.filter(pk=alice.tenant.pk).update(status=Tenant.Status.DELETED)

    body = {"name": "Alice Ltd", "email": "alice@example.com", "status": "active", "plan": "pro"}
    path = f"{PATH}/{alice.tenant.pk}"
    assert while_it_waits(lambda: call(operator, "PATCH", path, body), delete).status_code == 404
    tenant = Tenant.everyone.select_related("subscription").get(pk=alice.tenant.pk)
    assert (tenant.name, tenant.status, tenant.subscription.plan_id) == (alice.tenant.name, "deleted", "scale")


def test_two_workspaces_at_once_for_somebody_new_have_one_owner(operator: Workspace) -> None:
    body = new()
    answer = while_it_waits(lambda: call(operator, "POST", PATH, body), lambda: User.objects.create_user(body["email"]))
    assert answer.status_code == 201
    owner = Membership.objects.get(tenant=answer.json()["id"]).user
    assert owner.email == body["email"] and User.objects.filter(email=body["email"]).count() == 1


def test_a_deleted_workspaces_people_are_not_named_in_the_audit_log(operator: Workspace, alice: Workspace) -> None:
    manages(alice)
    email, slug = alice.owner.email, alice.tenant.slug
    call(alice, "POST", "/v1/admin/api-keys", {"name": "Alice's phone"})
    call(operator, "PATCH", f"{PATH}/{alice.tenant.pk}", {"name": "Alice Ltd"})
    assert delete(operator, alice).status_code == 204
    rows = AuditEvent.objects.filter(tenant=alice.tenant)
    assert rows.count() >= 6
    for row in rows:
        told = f"{row.actor_label} {row.target} {row.before} {row.after}"
        assert not any(word in told for word in (email, slug, "Alice")), told
    assert set(rows.exclude(action__startswith="tenant.delet").values_list("ip_address", flat=True)) == {None}
    assert events_of(alice.tenant.pk, operator)[-2:] == ["tenant.deletion_begun", "tenant.deleted"]


def test_who_is_a_member_elsewhere_stays_a_person(operator: Workspace, alice: Workspace) -> None:
    Membership.objects.create(user=alice.owner, tenant=operator.tenant, role="viewer")
    assert delete(operator, alice).status_code == 204
    alice.owner.refresh_from_db()
    assert alice.owner.is_active and "@example.com" in alice.owner.email
    assert list(alice.owner.memberships.values_list("tenant_id", flat=True)) == [operator.tenant.pk]


def test_a_deletion_that_was_cut_off_is_completed_by_another(
    operator: Workspace, alice: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> Any:
        raise RedisConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(deletion, "open_redis", away)
        assert delete(operator, alice).status_code == 503
    assert call(operator, "GET", f"{PATH}/{alice.tenant.pk}").json()["status"] == "deleted"
    assert not schema_exists(alice.tenant)
    for _ in range(2):
        assert delete(operator, alice).status_code == 204
    assert events_of(alice.tenant.pk, operator) == ["tenant.deletion_begun", "tenant.deleted"]


def test_what_goes_over_all_workspaces_goes_on(operator: Workspace, alice: Workspace) -> None:
    """Late events of the deleted one go to the dead letters; those of others are booked."""
    assert delete(operator, alice).status_code == 204
    send(stream_of(alice), miss(alice))
    book(operator, miss(operator))
    assert LedgerEntry.objects.filter(tenant=operator.tenant).exists()
    with usage.client() as client:
        letters: Any = client.xrevrange(keyspace.dead_letters_of(stream_of(alice)), count=1)
    assert b"there is no tenant" in letters[0][1][b"reason"]
    purge_records()
    purge_cache()


def test_the_own_workspace_is_neither_deleted_nor_suspended(operator: Workspace) -> None:
    refused(delete(operator, operator), 409)
    refused(call(operator, "PATCH", f"{PATH}/{operator.tenant.pk}", {"status": "suspended"}), 409)
    operator.tenant.refresh_from_db()
    assert operator.tenant.status == "active"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"email": "x"}, "email"),
        ({"plan": "gold"}, "plan"),
        ({"overrides": []}, "overrides"),
        ({"overrides": {"speed": 1}}, "overrides"),
        ({"overrides": {"monthly_tokens": -1}}, "overrides"),
        ({"schema_name": "public"}, "schema_name"),
        ({"id": 1}, "id"),
    ],
)
def test_a_bad_field_is_named(operator: Workspace, alice: Workspace, body: dict[str, Any], param: str) -> None:
    before = Tenant.objects.count()
    refused(call(operator, "POST", PATH, {**new(), **body}), 400, param)
    refused(call(operator, "PATCH", f"{PATH}/{alice.tenant.pk}", body), 400, param)
    assert Tenant.objects.count() == before


@pytest.mark.parametrize("slug", ["Upper", "a b", "-a", "a-", "", "admin", "x" * 49, "a/b"])
def test_a_slug_that_is_no_address_is_refused(operator: Workspace, slug: str) -> None:
    refused(call(operator, "POST", PATH, new(slug=slug)), 400, "slug")


def test_a_change_is_whole_or_not_at_all(operator: Workspace, alice: Workspace) -> None:
    for body in ({"name": "New", "status": "deleted"}, {"name": "New", "plan": "gold"}):
        assert call(operator, "PATCH", f"{PATH}/{alice.tenant.pk}", body).status_code == 400
    assert Tenant.objects.get(pk=alice.tenant.pk).name != "New"


def test_a_number_that_is_none_of_a_workspace_is_404(operator: Workspace) -> None:
    for number in ("0", "999999999", "9" * 40):
        for path in (f"{PATH}/{number}", f"{PATH}/{number}/usage", f"{PATH}/{number}/analytics"):
            assert call(operator, "GET", path).status_code == 404
