"""An operator looks at a workspace: with a reason, for an hour, told to its people; and changes nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from nexus import urls
from tenants import support
from tenants.models import AuditEvent, Invitation, Membership, Tenant, User
from tests.conftest import Workspace
from tests.pages import flat
from tests.sockets import session_of

# The admin's models are registered when its paths are.
assert urls.urlpatterns

REASON = "Ticket 4711: the bill looks wrong"


@pytest.fixture
def operator() -> User:
    user, _ = User.objects.get_or_create(email="looker@example.com", defaults={"is_staff": True, "is_superuser": True})
    return user


@pytest.fixture
def client(operator: User) -> Client:
    return session_of(operator)


def look_in(client: Client, workspace: Workspace, reason: str = REASON) -> Any:
    return client.post(f"/admin/tenants/tenant/{workspace.tenant.pk}/look-in/", {"reason": reason})


def page_of(workspace: Workspace, rest: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/{rest}"


def events(workspace: Workspace) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(tenant=workspace.tenant, action__startswith="support.").order_by("pk"))


def wind(client: Client, back: dt.timedelta) -> None:
    """As if it had begun earlier."""
    session = client.session
    kept = session["impersonation"]
    session["impersonation"] = {**kept, "until": (dt.datetime.fromisoformat(kept["until"]) - back).isoformat()}
    session.save()


def test_an_operator_sees_a_workspace_with_a_banner_and_its_people_can_read_why(
    client: Client, alice: Workspace
) -> None:
    assert client.get(page_of(alice)).status_code == 404
    assert "audit log" in flat(client.get(f"/admin/tenants/tenant/{alice.tenant.pk}/look-in/"))
    assert look_in(client, alice).headers["Location"] == page_of(alice)
    for path in (page_of(alice), page_of(alice, "billing/"), "/workspaces/", "/admin/"):
        page = flat(client.get(path))
        assert "looking at" in page and alice.tenant.name in page and "Stop looking" in page, path
    assert REASON in flat(client.get(page_of(alice)))
    (entered,) = events(alice)
    assert (entered.action, entered.actor_label) == ("support.entered", "looker@example.com")
    assert entered.after and entered.after["reason"] == REASON and entered.ip_address == "127.0.0.1"
    assert REASON in flat(session_of(alice.owner).get(page_of(alice, "settings/audit")))
    assert "Stop looking" not in flat(session_of(alice.owner).get(page_of(alice)))


def test_it_ends_by_the_button(client: Client, alice: Workspace) -> None:
    look_in(client, alice)
    answer = client.post(reverse("impersonation-end"))
    assert answer.headers["Location"] == reverse("admin:tenants_tenant_change", args=[alice.tenant.pk])
    assert client.get(page_of(alice)).status_code == 404
    assert "Stop looking" not in flat(client.get("/workspaces/"))
    left = events(alice)[-1]
    assert (left.action, left.actor_label) == ("support.left", "looker@example.com")
    assert left.after == {"reason": REASON, "ended_by": "the button"}
    client.post(reverse("impersonation-end"))
    assert len(events(alice)) == 2


def test_it_ends_after_an_hour_on_whatever_page_comes_next(client: Client, alice: Workspace) -> None:
    look_in(client, alice)
    wind(client, dt.timedelta(minutes=59))
    assert client.get(page_of(alice)).status_code == 200
    wind(client, dt.timedelta(minutes=2))
    assert "Stop looking" not in flat(client.get("/workspaces/"))
    assert client.get(page_of(alice)).status_code == 404
    assert events(alice)[-1].after == {"reason": REASON, "ended_by": "its time was over"}


def test_it_ends_at_logout(client: Client, alice: Workspace, operator: User) -> None:
    look_in(client, alice)
    client.post(reverse("logout"))
    assert events(alice)[-1].after == {"reason": REASON, "ended_by": "logging out"}
    client.force_login(operator)
    assert client.get(page_of(alice)).status_code == 404


def test_another_workspace_ends_the_one_before(client: Client, alice: Workspace, mallory: Workspace) -> None:
    look_in(client, alice)
    look_in(client, mallory)
    assert client.get(page_of(alice)).status_code == 404 and client.get(page_of(mallory)).status_code == 200
    assert [event.action for event in events(alice)] == ["support.entered", "support.left"]


def test_nothing_is_changed_by_who_only_looks(client: Client, alice: Workspace) -> None:
    look_in(client, alice)
    before = AuditEvent.objects.filter(tenant=alice.tenant).count()
    paths = [
        "settings/invite", "settings/leave", "settings/transfer", "settings/delete", "settings/workspace", "keys/new",
        f"keys/{alice.api_key.public_id}/revoke", "billing/", "billing/checkout/", "billing/budget/", "alerts/read/",
        "alerts/webhooks/new/", "alerts/rules/drift/", "nothing-there",
    ]  # fmt: skip
    answers = [client.post(page_of(alice, path), {"email": "x@example.com", "role": "viewer"}) for path in paths]
    assert [answer.status_code for answer in answers] == [403] * len(paths)
    assert "change nothing" in flat(answers[0])
    for method in (client.put, client.patch, client.delete):
        assert method(page_of(alice, "settings/")).status_code == 403
    assert AuditEvent.objects.filter(tenant=alice.tenant).count() == before
    assert not Invitation.objects.filter(tenant=alice.tenant).exists()
    assert Membership.objects.filter(tenant=alice.tenant).count() == 1
    # Nor is what a viewer would not see.
    assert client.get(page_of(alice, "settings/audit")).status_code == 403
    assert client.get(page_of(alice, "playground/")).status_code == 403


def test_content_is_shown_only_while_the_workspace_lets_support_in(client: Client, alice: Workspace) -> None:
    look_in(client, alice)
    content = page_of(alice, "cache/entries/")
    assert client.get(content).status_code == 403
    support.grant(alice.tenant, 1)
    assert client.get(content).status_code == 200
    assert client.get(page_of(alice, "playground/")).status_code == 403
    assert client.post(page_of(alice, "cache/review/"), {}).status_code == 403
    support.revoke(alice.tenant)
    assert client.get(content).status_code == 403


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "a\u202eb"])
def test_without_a_reason_nobody_looks_in(client: Client, alice: Workspace, reason: str) -> None:
    assert look_in(client, alice, reason).status_code == 400
    assert client.get(page_of(alice)).status_code == 404 and events(alice) == []


def test_only_operators_look_in_and_only_while_they_are(alice: Workspace, mallory: Workspace) -> None:
    stranger = session_of(mallory.owner)
    assert look_in(stranger, alice).status_code == 302
    assert stranger.get(page_of(alice)).status_code == 404 and events(alice) == []
    mallory.owner.is_staff = mallory.owner.is_superuser = True
    mallory.owner.save()
    look_in(stranger, alice)
    assert stranger.get(page_of(alice)).status_code == 200
    User.objects.filter(pk=mallory.owner.pk).update(is_superuser=False)
    assert stranger.get(page_of(alice)).status_code == 404


def test_a_member_is_told_to_open_it_as_such(client: Client, alice: Workspace, operator: User) -> None:
    Membership.objects.create(user=operator, tenant=alice.tenant, role="finance")
    answer = look_in(client, alice)
    assert answer.status_code == 400 and "You are a member" in flat(answer)


def test_a_workspace_that_is_deleted_meanwhile_is_gone(client: Client, alice: Workspace) -> None:
    look_in(client, alice)
    Tenant.objects.filter(pk=alice.tenant.pk).update(status="deleted")
    try:
        assert client.get(page_of(alice)).status_code == 404
        assert client.post(reverse("impersonation-end")).status_code == 302
    finally:
        Tenant.everyone.filter(pk=alice.tenant.pk).update(status="active")


def test_every_page_a_viewer_may_see_opens(client: Client, alice: Workspace) -> None:
    look_in(client, alice)
    pages = ["", "requests/", "savings/", "cache/", "keys/", "routing/", "billing/", "alerts/", "settings/"]
    assert [client.get(page_of(alice, rest)).status_code for rest in pages] == [200] * len(pages)
    assert client.get(page_of(alice, "settings/leave")).status_code in {200, 302, 404}


def test_who_looks_at_nothing_pays_no_query_for_it(alice: Workspace) -> None:
    owner = session_of(alice.owner)
    with CaptureQueriesContext(connection) as captured:
        owner.get(page_of(alice, "alerts/"))
    assert sum("django_session" in query["sql"] for query in captured) == 1
