"""The settings of a workspace: its name, support's access, its end, its audit log; and another workspace."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.test import Client

from billing.models import LedgerEntry
from tenants import audit, deletion, roles, support, workspaces
from tenants.models import AuditEvent, Invitation, Membership, Role, Tenant, User
from tenants.roles import Action
from tenants.signals import tenant_ending
from tenants.tasks import finish_deletions
from tests.conftest import Workspace
from tests.paying import Payments, subscribe, subscription_of
from tests.sockets import session_of
from tests.together import at_once, while_it_waits

MakeMember = Callable[[Workspace, str], Any]


def path(workspace: Workspace, rest: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/settings/{rest}"


def said(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def read(answer: Any) -> str:
    async def blocks() -> bytes:
        return b"".join([block async for block in answer.streaming_content])

    return asyncio.run(blocks()).decode()


def event_of(workspace: Workspace, action: str) -> AuditEvent:
    return AuditEvent.objects.filter(tenant=workspace.tenant, action=action).latest("pk")


def test_records_are_kept_shorter_after_a_question_and_it_is_in_the_log(alice: Workspace, mallory: Workspace) -> None:
    alice.tenant.refresh_from_db()
    client, most = session_of(alice.owner), alice.tenant.subscription.plan.retention_days
    assert "Keep records for 7 days only?" in said(client.post(path(alice, "retention"), {"days": "7"}))
    assert not AuditEvent.objects.filter(tenant=alice.tenant, action="tenant.changed").exists()
    page = said(client.post(path(alice, "retention"), {"days": "7", "sure": "on"}, follow=True))
    assert "7 days, as set here" in page
    event = event_of(alice, "tenant.changed")
    assert (event.actor, event.before, event.after) == (alice.owner, {"retention_days": None}, {"retention_days": 7})
    # What deletes nothing asks nothing.
    for longer in (str(most), ""):
        assert client.post(path(alice, "retention"), {"days": longer}).status_code == 302
        assert f"{most} days, by the plan" in said(client.get(path(alice, "workspace")))
    for wrong in (str(most + 1), "0", "-1", "many", "9" * 40):
        assert client.post(path(alice, "retention"), {"days": wrong, "sure": "on"}).status_code == 400
    assert session_of(mallory.owner).post(path(alice, "retention"), {"days": "1", "sure": "on"}).status_code == 404
    assert Tenant.objects.get(pk=alice.tenant.pk).retention_days is None


@pytest.mark.parametrize("role", Role)
def test_the_table_of_roles_marks_ones_own(alice: Workspace, make_member: MakeMember, role: Role) -> None:
    page = said(session_of(make_member(alice, role)).get(path(alice, "roles")))
    assert f'aria-current="true">{role.label}<small>you' in page
    assert page.count('aria-label="yes"') == sum(len(roles.ALLOWED[action]) for action in Action)


def test_name_and_contact_are_changed_and_it_is_in_the_log(alice: Workspace) -> None:
    client, old = session_of(alice.owner), alice.tenant.name
    assert (
        client.post(path(alice, "workspace"), {"name": " Wonder Ltd ", "email": "ops@example.com"}).status_code == 302
    )
    alice.tenant.refresh_from_db()
    assert (alice.tenant.name, alice.tenant.email) == ("Wonder Ltd", "ops@example.com")
    event = event_of(alice, "tenant.changed")
    assert event.before is not None and event.after is not None
    assert (event.actor, event.before["name"], event.after["name"]) == (alice.owner, old, "Wonder Ltd")
    count = AuditEvent.objects.filter(tenant=alice.tenant).count()
    client.post(path(alice, "workspace"), {"name": "Wonder Ltd", "email": "ops@example.com"})
    assert AuditEvent.objects.filter(tenant=alice.tenant).count() == count
    page = said(client.get(path(alice, "workspace")))
    assert alice.tenant.slug in page and f"{alice.tenant.subscription.plan.retention_days} days, by the plan" in page


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "", "email": "a@example.com"}, {"name": "x" * 121, "email": "a@example.com"},
     {"name": "a\nb", "email": "a@example.com"}, {"name": "a\x00b", "email": "a@example.com"},
     {"name": "a", "email": "nobody"}, {"name": "a", "email": "x" * 300 + "@example.com"}],
)  # fmt: skip
def test_what_cannot_be_a_name_or_contact_is_refused(alice: Workspace, body: dict[str, str]) -> None:
    answer = session_of(alice.owner).post(path(alice, "workspace"), body)
    assert answer.status_code == 400 and 'class="wrong"' in said(answer)


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.FINANCE, Role.VIEWER])
def test_others_look_at_the_workspace_and_change_nothing(alice: Workspace, make_member: MakeMember, role: str) -> None:
    client = session_of(make_member(alice, role))
    page = client.get(path(alice, "workspace"))
    assert page.status_code == 200 and "<input" not in said(page).partition("<main")[2]
    for act in ("workspace", "support", "delete"):
        answer = client.post(path(alice, act), {"name": alice.tenant.name, "email": "a@example.com", "days": "7"})
        assert answer.status_code == 403 and "Your role does not allow this" in said(answer)
    for rest in ("audit", "audit.csv", "audit.jsonl", "delete"):
        assert client.get(path(alice, rest)).status_code == 403
    assert not support.is_open(Tenant.objects.get(pk=alice.tenant.pk))


def test_support_looks_only_while_it_may(alice: Workspace, make_member: MakeMember) -> None:
    client = session_of(make_member(alice, Role.ADMIN))
    assert "see no prompts and no answers" in said(client.get(path(alice, "workspace")))
    for days in ("1", "7"):
        assert client.post(path(alice, "support"), {"days": days}).status_code == 302
        assert support.is_open(Tenant.objects.get(pk=alice.tenant.pk))
    assert event_of(alice, "support.granted").before is not None and "End it now" in said(
        client.get(path(alice, "workspace"))
    )
    for days in ("", "30", "-1", "x", "0.5"):
        client.post(path(alice, "support"), {"days": days})
    assert support.is_open(Tenant.objects.get(pk=alice.tenant.pk))
    client.post(path(alice, "support"), {"days": "0"})
    assert not support.is_open(Tenant.objects.get(pk=alice.tenant.pk))
    assert event_of(alice, "support.revoked").after is None


def test_a_workspace_is_deleted_when_its_name_is_written(alice: Workspace, make_member: MakeMember) -> None:
    client, admin = session_of(alice.owner), make_member(alice, Role.ADMIN)
    Invitation.objects.create(
        tenant=alice.tenant, email="x@example.com", role="viewer", expires_at=alice.tenant.created_at
    )
    page = said(client.get(path(alice, "delete")))
    assert "Lost, for good" in page and "The ledger" in page and "your own account ends" in page
    assert "2 accounts that are members nowhere else" in page
    for name in ("", "other", alice.tenant.slug.upper()):
        assert client.post(path(alice, "delete"), {"name": name}).status_code == 400
    assert session_of(admin).post(path(alice, "delete"), {"name": alice.tenant.name}).status_code == 403
    gone = client.post(path(alice, "delete"), {"name": alice.tenant.name})
    assert gone.status_code == 302 and gone["Location"] == "/"
    assert client.get(path(alice)).status_code == 302
    tenant = Tenant.everyone.get(pk=alice.tenant.pk)
    assert deletion.is_finished(tenant) and not Invitation.objects.filter(tenant=tenant).exists()
    events = AuditEvent.objects.filter(tenant=tenant)
    told = " ".join(f"{row.actor_label} {row.target} {row.before} {row.after} {row.ip_address}" for row in events)
    assert alice.owner.email not in told and admin.email not in told and alice.tenant.slug not in told
    assert LedgerEntry.objects.filter(tenant=tenant).count() == 0


def test_who_has_another_workspace_goes_on_to_it(alice: Workspace, mallory: Workspace) -> None:
    Membership.objects.create(user=alice.owner, tenant=mallory.tenant, role=Role.VIEWER)
    client = session_of(alice.owner)
    assert "your own account ends" not in said(client.get(path(alice, "delete")))
    gone = client.post(path(alice, "delete"), {"name": alice.tenant.name})
    assert gone["Location"] == "/workspaces/"
    assert client.get(f"/t/{mallory.tenant.slug}/").status_code == 200


def test_a_deletion_that_cannot_be_finished_now_is_finished_later(
    alice: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: Any) -> None:
        raise OperationalError("lock timeout")

    client = session_of(alice.owner)
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "_close", lambda tenant, by, owner: busy(tenant))
        assert "Nothing was deleted" in said(client.post(path(alice, "delete"), {"name": alice.tenant.name}))
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "_drop_schema", busy)
        assert client.post(path(alice, "delete"), {"name": alice.tenant.name}).status_code == 302
    assert not deletion.is_finished(Tenant.everyone.get(pk=alice.tenant.pk))
    assert finish_deletions() >= 1
    assert deletion.is_finished(Tenant.everyone.get(pk=alice.tenant.pk))


def test_who_is_no_owner_any_more_deletes_nothing(alice: Workspace, make_member: MakeMember) -> None:
    """The gate lets them pass, and another owner takes the role: before anything ends, or while Stripe is asked."""
    make_member(alice, Role.OWNER)
    client = session_of(alice.owner)

    def demote(**_: Any) -> None:
        Tenant.objects.select_for_update(no_key=True).get(pk=alice.tenant.pk)
        Membership.objects.filter(tenant=alice.tenant, user=alice.owner).update(role=Role.ADMIN)

    def delete() -> Any:
        return client.post(path(alice, "delete"), {"name": alice.tenant.name})

    asked: list[Any] = []

    def ask_stripe(**_: Any) -> None:
        asked.append(None)
        with transaction.atomic():
            demote()

    tenant_ending.connect(ask_stripe)
    try:
        assert "your role has changed" in said(while_it_waits(delete, demote)) and asked == []
        Membership.objects.filter(tenant=alice.tenant, user=alice.owner).update(role=Role.OWNER)
        assert "your role has changed" in said(delete()) and asked == [None]
    finally:
        tenant_ending.disconnect(ask_stripe)
    assert Tenant.objects.get(pk=alice.tenant.pk).status == "active"


def test_a_workspace_that_pays_is_canceled_at_stripe_before(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("deliver")
    client, name = session_of(buyer.owner), buyer.tenant.name
    page = said(client.get(path(buyer, "delete")))
    assert "nothing is paid back for the rest of the month" in page and "open ones too, which stay due" in page
    paid.stripe.do("fail", next=20, status=500, path="/v1/")
    kept = client.post(path(buyer, "delete"), {"name": name})
    paid.stripe.do("fail", next=0)
    assert kept.status_code == 400 and "Stripe, which handles payments, does not answer" in said(kept)
    assert Tenant.objects.filter(pk=buyer.tenant.pk).exists()
    assert client.post(path(buyer, "delete"), {"name": name}).status_code == 302
    assert deletion.is_finished(Tenant.everyone.get(pk=buyer.tenant.pk))
    assert subscription_of(buyer).status == "canceled"


def test_the_log_is_newest_first_page_by_page_and_filtered(alice: Workspace, mallory: Workspace) -> None:
    for number in range(60):
        values: dict[str, Any] = {"before": {"weight": number, "same": 1}, "after": {"weight": number + 1, "same": 1}}
        by = {"actor": alice.owner, "ip": "2001:db8::7"}
        audit.record("route.replaced", tenant=alice.tenant, target=f"route {number}", **values, **by)
    audit.record("route.replaced", tenant=mallory.tenant, actor=mallory.owner, target="hers")
    audit.record(
        "cache_policy.changed", tenant=alice.tenant, actor_label="nk-abc-… (bot)", target="<b>", after=[1, "x"]
    )
    client = session_of(alice.owner)
    page = client.get(path(alice, "audit"))
    text = said(page)
    assert "route 59" in text and "route 5 " not in text and "hers" not in text and "&lt;b&gt;" in text
    assert "<b>weight</b> <del>59</del>" in text and "<b>same</b>" not in text and "2001:db8::7" in text
    older = text.partition("after=")[2].partition('"')[0]
    second = said(client.get(f"{path(alice, 'audit')}?after={older}"))
    assert "route 5<" in second and "route 59" not in second and "key.issued" in second
    of_cache = said(client.get(path(alice, "audit"), {"what": "cache"}))
    assert "cache_policy.changed" in of_cache and "route 59" not in of_cache
    assert "tenant.created" in said(client.get(path(alice, "audit"), {"what": "tenant.created"}))
    assert "route 59" not in said(client.get(path(alice, "audit"), {"who": "NK-ABC"}))
    today = f"{event_of(alice, 'tenant.created').at:%Y-%m-%d}"
    assert "route 59" in said(client.get(path(alice, "audit"), {"start": today}))
    assert "Nothing like this was done" in said(client.get(path(alice, "audit"), {"end": "2020-01-01"}))


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("start", "x", 400), ("end", "0001-01-01", 400), ("end", "9999-12-31", 400), ("who", "x" * 300, 400),
     ("who", "a\x00", 400), ("what", "nothing.such", 200), ("after", "x", 302)],
)  # fmt: skip
def test_filters_that_cannot_be_are_named(alice: Workspace, name: str, value: str, status: int) -> None:
    client = session_of(alice.owner)
    assert client.get(path(alice, "audit"), {name: value}).status_code == status
    if status == 400:
        assert client.get(path(alice, "audit.csv"), {name: value}).status_code == 302


def test_the_log_is_taken_away_whole(alice: Workspace, mallory: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.exports.ROWS", 4)
    for number in range(9):
        audit.record(
            "route.created", tenant=alice.tenant, actor=alice.owner, target=f"=route {number}", after={"n": number}
        )
    audit.record("route.created", tenant=mallory.tenant, actor=mallory.owner, target="hers")
    client = session_of(alice.owner)
    rows = list(csv.DictReader(io.StringIO(read(client.get(path(alice, "audit.csv"), {"what": "routing"})))))
    assert [row["target"] for row in rows] == [f"'=route {number}" for number in range(8, -1, -1)]
    assert json.loads(rows[0]["after"]) == {"n": 8} and rows[0]["actor"] == alice.owner.email
    answer = client.get(path(alice, "audit.jsonl"))
    assert f"audit-{alice.tenant.slug}.jsonl" in answer["Content-Disposition"]
    lines = [json.loads(line) for line in read(answer).splitlines()]
    assert len(lines) == AuditEvent.objects.filter(tenant=alice.tenant).count()
    assert lines[-1]["action"] == "tenant.created" and lines[0]["at"].endswith("Z")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tenants_auditevent SET action = 'x' WHERE id = %s",
        "UPDATE tenants_auditevent SET at = now() WHERE id = %s",
        "UPDATE tenants_auditevent SET actor_label = 'somebody else' WHERE id = %s",
        "UPDATE tenants_auditevent SET after = '{}' WHERE id = %s",
        "UPDATE tenants_auditevent SET before = NULL WHERE id = %s",
        "UPDATE tenants_auditevent SET ip_address = NULL WHERE id = %s",
        "UPDATE tenants_auditevent SET actor_id = (SELECT max(id) FROM tenants_user) WHERE id = %s",
        "DELETE FROM tenants_auditevent WHERE id = %s",
        "TRUNCATE tenants_auditevent",
        "SET LOCAL nexus.forgetting = 'on'; UPDATE tenants_auditevent SET action = 'x' WHERE id = %s",
        "SET LOCAL nexus.forgetting = 'on'; UPDATE tenants_auditevent SET after = '{}' WHERE id = %s",
        "SET LOCAL nexus.forgetting = 'on'; DELETE FROM tenants_auditevent WHERE id = %s",
    ],
)
def test_postgres_refuses_to_change_the_log(alice: Workspace, change: str) -> None:
    User.objects.create_user(f"other-{alice.tenant.slug}@example.com")
    event = audit.record("x.y", tenant=alice.tenant, actor=alice.owner, before={"a": 1}, after={"a": 2}, ip="::1")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        for statement in change.split("; "):
            cursor.execute(statement, [event.pk] if "%s" in statement else None)
    event.refresh_from_db()
    assert (event.action, event.before, event.after, event.actor) == ("x.y", {"a": 1}, {"a": 2}, alice.owner)


def test_who_is_gone_stays_named_in_the_log(alice: Workspace) -> None:
    gone = User.objects.create_user(f"gone-{alice.tenant.slug}@example.com")
    event = audit.record("x.y", tenant=alice.tenant, actor=gone)
    gone.delete()
    event.refresh_from_db()
    assert event.actor is None and event.actor_label == f"gone-{alice.tenant.slug}@example.com"


def test_mallory_finds_none_of_alices_settings(alice: Workspace, mallory: Workspace) -> None:
    client = session_of(mallory.owner)
    for rest in ("roles", "workspace", "support", "delete", "audit", "audit.csv", "audit.jsonl"):
        for method in ("get", "post"):
            answer = getattr(client, method)(path(alice, rest), {"name": alice.tenant.name, "days": "7"})
            assert answer.status_code == 404, rest
        assert Client().get(path(alice, rest)).status_code == 302
    assert Tenant.objects.filter(pk=alice.tenant.pk, support_access_until=None).exists()


def test_another_workspace_is_made_with_its_first_key(alice: Workspace) -> None:
    client = session_of(alice.owner)
    assert Client().get("/workspaces/new").status_code == 302
    assert client.get("/workspaces/new").status_code == 200
    mark = {"once": str(uuid.uuid4())}
    made = client.post("/workspaces/new", {"name": "Second thing", **mark})
    assert made.status_code == 201
    membership = Membership.objects.filter(user=alice.owner).latest("pk")
    assert (membership.tenant.name, membership.role) == ("Second thing", Role.OWNER)
    key = membership.tenant.keys.get()
    assert f"nk-{key.public_id}-" in said(made) and key.scopes == []
    # Its page, loaded again.
    assert 'name="once"' in said(client.get("/workspaces/new"))
    again = client.post("/workspaces/new", {"name": "Second thing", **mark}, follow=True)
    assert "sent before" in said(again) and Membership.objects.filter(user=alice.owner).count() == 2
    for name in ("", "x" * 121, "a\x00b", "a\tb"):
        assert client.post("/workspaces/new", {"name": name}).status_code == 400


def test_one_person_owns_so_many_workspaces_at_most(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspaces, "MAX_OWNED", 2)
    codes = at_once(
        *(lambda: session_of(alice.owner).post("/workspaces/new", {"name": "More"}).status_code for _ in range(3))
    )
    assert sorted(codes) == [201, 400, 400]


def test_workspaces_are_limited_by_address_as_sign_ups_are(alice: Workspace, settings: Any) -> None:
    settings.REGISTRATIONS_PER_HOUR = 1
    client, address = session_of(alice.owner), f"2001:db8:{alice.tenant.pk:x}::1"
    codes = [client.post("/workspaces/new", {"name": "More"}, REMOTE_ADDR=address).status_code for _ in range(2)]
    assert codes == [201, 400]
