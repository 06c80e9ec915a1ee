"""The team in the browser: invitations from the letter to the membership, roles, leaving, ownership."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenants import invitations, members
from tenants.models import AuditEvent, Invitation, Membership, Role, User
from tenants.tasks import send_invitation
from tests.conftest import PASSWORD, Workspace
from tests.sockets import session_of
from tests.together import at_once

MakeMember = Callable[[Workspace, str], Any]


def path(workspace: Workspace, rest: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/settings/{rest}"


def stranger() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.com"


def roles_in(workspace: Workspace) -> dict[str, str]:
    return dict(Membership.objects.filter(tenant=workspace.tenant).values_list("user__email", "role"))


def acts(workspace: Workspace, prefix: str) -> list[tuple[str, str, Any, Any]]:
    rows = AuditEvent.objects.filter(tenant=workspace.tenant, action__startswith=prefix).order_by("pk")
    return [(row.action, row.target, row.before, row.after) for row in rows]


def invite(workspace: Workspace, email: str, role: str = "developer", by: User | None = None) -> Any:
    return session_of(by or workspace.owner).post(path(workspace, "invite"), {"email": email, "role": role})


def invitation_of(workspace: Workspace, email: str) -> Invitation:
    return Invitation.objects.get(tenant=workspace.tenant, email=email)


def link_of(workspace: Workspace, email: str) -> str:
    """The path in the letter, which is sent now."""
    send_invitation(invitation_of(workspace, email).pk)
    (letter,) = [message for message in mail.outbox if message.to == [email]][-1:]
    found = re.search(r"http://[^/\s]+(/invitations/\S+)", str(letter.body))
    assert found is not None
    return found[1]


def said(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_who_has_no_account_is_invited_makes_one_and_is_a_member(alice: Workspace) -> None:
    email = stranger()
    assert invite(alice, f" {email.upper()} ", "finance").status_code == 302
    link = link_of(alice, email)
    letter = mail.outbox[-1]
    assert alice.tenant.name in letter.subject and alice.owner.email in str(letter.body) and "Finance" in letter.body
    token = link.rpartition("/")[2]
    row = invitation_of(alice, email)
    assert row.sent_at is not None and token not in str(vars(row)) and len(bytes(row.token_sha256 or b"")) == 32
    client = Client()
    page = client.get(link)
    assert page.status_code == 200 and email in said(page) and "Make my account and join" in said(page)
    weak = client.post(link, {"password": "short"})
    assert weak.status_code == 400 and "too short" in said(weak)
    joined = client.post(link, {"name": "Fin Ance", "password": PASSWORD})
    assert joined.status_code == 302 and joined["Location"] == f"/t/{alice.tenant.slug}/"
    assert client.get(joined["Location"]).status_code == 200
    assert roles_in(alice)[email] == "finance"
    user = User.objects.get(email=email)
    assert user.name == "Fin Ance" and user.check_password(PASSWORD) and user.memberships.count() == 1
    assert EmailAddress.objects.get(user=user).verified
    assert client.get(link).status_code == 404
    assert acts(alice, "invitation.") == [("invitation.created", email, None, {"role": "finance"})]
    assert acts(alice, "member.")[-1] == (
        "member.added", email, None, {"role": "finance", "invited_by": alice.owner.email},
    )  # fmt: skip


def test_who_has_an_account_logs_in_and_accepts(alice: Workspace, mallory: Workspace) -> None:
    email = mallory.owner.email
    invite(alice, email, "viewer")
    link = link_of(alice, email)
    page = Client().get(link)
    assert f"/login/?next={link}" in page.content.decode()
    client = session_of(mallory.owner)
    assert client.post(link).status_code == 302
    assert roles_in(alice)[email] == "viewer"
    assert client.get(path(alice)).status_code == 200


def test_a_link_is_for_its_address_alone(alice: Workspace, mallory: Workspace) -> None:
    email = stranger()
    invite(alice, email)
    link = link_of(alice, email)
    client = session_of(mallory.owner)
    page = client.get(link)
    assert page.status_code == 200 and f"This invitation is for {email}" in said(page)
    assert client.post(link).status_code == 403
    assert mallory.owner.email not in roles_in(alice)


def test_a_link_ends_when_it_is_sent_again_withdrawn_or_old(alice: Workspace) -> None:
    email, client = stranger(), session_of(alice.owner)
    invite(alice, email)
    first = link_of(alice, email)
    row = invitation_of(alice, email)
    assert client.post(path(alice, f"invitations/{row.pk}/again")).status_code == 302
    assert Client().get(first).status_code == 404
    second = link_of(alice, email)
    assert Client().get(second).status_code == 200
    Invitation.objects.filter(pk=row.pk).update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert Client().get(second).status_code == 404 and "Expired" in said(client.get(path(alice)))
    # Not open any more: the same address can be invited anew.
    assert invite(alice, email, "viewer").status_code == 302
    third, row = link_of(alice, email), invitation_of(alice, email)
    assert client.post(path(alice, f"invitations/{row.pk}/withdraw")).status_code == 302
    assert Client().get(third).status_code == 404
    assert client.post(path(alice, f"invitations/{row.pk}/withdraw")).status_code == 404
    actions = [action for action, *_ in acts(alice, "invitation.")]
    assert actions == [f"invitation.{each}" for each in ("created", "sent_again", "created", "withdrawn")]


def test_an_invitation_can_be_declined_without_an_account(alice: Workspace) -> None:
    email = stranger()
    invite(alice, email)
    link = link_of(alice, email)
    assert Client().post(link, {"decline": "1"}).status_code == 302
    assert Client().get(link).status_code == 404 and not User.objects.filter(email=email).exists()
    assert acts(alice, "invitation.")[-1][:2] == ("invitation.declined", email)


@pytest.mark.parametrize("token", ["x", "A" * 43, "é" * 43, "A" * 5000, "%00" * 43])
def test_a_link_that_never_was_says_so(token: str) -> None:
    for method in ("get", "post"):
        answer = getattr(Client(), method)(f"/invitations/{token}")
        assert answer.status_code == 404 and "This invitation is over" in said(answer)


def test_members_and_the_invited_are_not_invited_twice(alice: Workspace, mallory: Workspace) -> None:
    email = stranger()
    assert "is a member already" in said(invite(alice, alice.owner.email.upper()))
    answers = at_once(*(lambda: invite(alice, email).status_code for _ in range(4)))
    assert sorted(answers) == [302, 400, 400, 400]
    assert Invitation.objects.filter(tenant=alice.tenant, email=email).count() == 1
    assert "is invited already" in said(invite(alice, email))
    # Another workspace may invite the same person.
    assert invite(mallory, email).status_code == 302


def test_accepting_twice_at_once_makes_one_member(alice: Workspace, mallory: Workspace) -> None:
    invite(alice, mallory.owner.email, "viewer")
    link = link_of(alice, mallory.owner.email)
    answers = at_once(*(lambda: session_of(mallory.owner).post(link).status_code for _ in range(4)))
    assert answers.count(302) >= 1 and set(answers) <= {302, 403, 404}
    assert Membership.objects.filter(tenant=alice.tenant, user=mallory.owner).count() == 1


def test_a_workspace_has_so_many_members_at_most(
    alice: Workspace, mallory: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = stranger()
    invite(alice, mallory.owner.email)
    monkeypatch.setattr(members, "MAX_MEMBERS", 2)
    assert "2 members at most" in said(invite(alice, email))
    link = link_of(alice, mallory.owner.email)
    monkeypatch.setattr(members, "MAX_MEMBERS", 1)
    full = session_of(mallory.owner).post(link)
    assert full.status_code == 403 and "1 members at most" in said(full)


def test_letters_are_limited_by_the_hour(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "MAX_SENT", 1)
    assert invite(alice, stranger()).status_code == 302
    assert "1 invitations an hour at most" in said(invite(alice, stranger()))


@pytest.mark.parametrize(
    "body",
    [{}, {"email": "x"}, {"email": "a" * 300 + "@example.com"}, {"email": "a@example.com", "role": "king"},
     {"email": "a@example.com\x00", "role": "viewer"}],
)  # fmt: skip
def test_what_cannot_be_invited_is_refused_beside_the_form(alice: Workspace, body: dict[str, str]) -> None:
    answer = session_of(alice.owner).post(path(alice, "invite"), body)
    assert answer.status_code == 400 and 'role="alert"' in said(answer)
    assert not Invitation.objects.filter(tenant=alice.tenant).exists()


def test_a_letter_is_sent_once_also_when_its_task_comes_twice(alice: Workspace) -> None:
    email = stranger()
    invite(alice, email)
    link = link_of(alice, email)
    send_invitation(invitation_of(alice, email).pk)
    send_invitation(2**40)
    assert [message.to for message in mail.outbox].count([email]) == 1 and Client().get(link).status_code == 200


def test_an_invitation_of_who_may_not_invite_any_more_is_void(alice: Workspace, make_member: MakeMember) -> None:
    former, email = make_member(alice, Role.ADMIN), stranger()
    assert invite(alice, email, by=former).status_code == 302
    link = link_of(alice, email)
    Membership.objects.filter(tenant=alice.tenant, user=former).update(role=Role.VIEWER)
    assert Client().get(link).status_code == 404
    assert "Void" in said(session_of(alice.owner).get(path(alice)))
    # Who may, takes it over by sending it again.
    session_of(alice.owner).post(path(alice, f"invitations/{invitation_of(alice, email).pk}/again"))
    assert Client().get(link_of(alice, email)).status_code == 200


def test_roles_are_changed_and_people_removed_and_it_is_in_the_log(alice: Workspace, make_member: MakeMember) -> None:
    bob, owner = make_member(alice, Role.VIEWER), session_of(alice.owner)
    of_bob = session_of(bob)
    assert owner.post(path(alice, f"members/{bob.pk}/"), {"role": "finance"}).status_code == 302
    assert owner.post(path(alice, f"members/{bob.pk}/"), {"role": "finance"}).status_code == 302
    assert owner.post(path(alice, f"members/{bob.pk}/"), {"role": "king"}).status_code == 400
    assert roles_in(alice)[bob.email] == "finance" and of_bob.get(path(alice)).status_code == 200
    asked = owner.get(path(alice, f"members/{bob.pk}/remove"))
    assert f"Remove {bob.email}?" in said(asked) and roles_in(alice)[bob.email]
    assert owner.post(path(alice, f"members/{bob.pk}/remove")).status_code == 302
    assert of_bob.get(path(alice)).status_code == 404 and bob.email not in roles_in(alice)
    assert owner.post(path(alice, f"members/{bob.pk}/remove")).status_code == 404
    assert acts(alice, "member.") == [
        ("member.changed", bob.email, {"role": "viewer"}, {"role": "finance"}),
        ("member.removed", bob.email, {"role": "finance"}, None),
    ]
    event = AuditEvent.objects.get(tenant=alice.tenant, action="member.removed")
    assert event.actor == alice.owner and event.ip_address == "127.0.0.1"


def test_admins_cannot_touch_owners_or_name_any(alice: Workspace, make_member: MakeMember) -> None:
    admin, bob = make_member(alice, Role.ADMIN), make_member(alice, Role.VIEWER)
    client = session_of(admin)
    assert invite(alice, stranger(), "owner", by=admin).status_code == 400
    assert client.post(path(alice, f"members/{bob.pk}/"), {"role": "owner"}).status_code == 400
    for role in ("viewer", "admin"):
        assert client.post(path(alice, f"members/{alice.owner.pk}/"), {"role": role}).status_code == 400
    client.post(path(alice, f"members/{alice.owner.pk}/remove"))
    invite(alice, email := stranger(), "owner")
    row = invitation_of(alice, email)
    for act in ("again", "withdraw"):
        client.post(path(alice, f"invitations/{row.pk}/{act}"))
    assert client.get(path(alice, "transfer")).status_code == 403
    assert roles_in(alice) == {alice.owner.email: "owner", admin.email: "admin", bob.email: "viewer"}
    assert invitation_of(alice, email).invited_by == alice.owner
    assert "Owners are changed and removed by owners only" in said(
        client.get(path(alice, f"members/{alice.owner.pk}/"))
    )


def test_the_last_owner_stays(alice: Workspace, make_member: MakeMember) -> None:
    client = session_of(alice.owner)
    assert "last owner" in said(client.post(path(alice, "leave")))
    assert "last owner" in said(client.post(path(alice, f"members/{alice.owner.pk}/"), {"role": "admin"}))
    second = make_member(alice, Role.OWNER)
    User.objects.filter(pk=second.pk).update(is_active=False)
    assert "last owner" in said(client.post(path(alice, "leave")))
    User.objects.filter(pk=second.pk).update(is_active=True)
    codes = at_once(
        lambda: session_of(alice.owner).post(path(alice, "leave")).status_code,
        lambda: session_of(second).post(path(alice, "leave")).status_code,
    )
    assert sorted(codes) == [302, 400] and list(roles_in(alice).values()) == ["owner"]


def test_anybody_leaves_and_sees_nothing_any_more(alice: Workspace, make_member: MakeMember) -> None:
    bob = make_member(alice, Role.VIEWER)
    client = session_of(bob)
    assert "Leave" in said(client.get(path(alice, "leave")))
    assert client.post(path(alice, "leave"))["Location"] == "/workspaces/"
    assert client.get(path(alice)).status_code == 404
    assert acts(alice, "member.left") == [("member.left", bob.email, {"role": "viewer"}, None)]


def test_ownership_goes_to_a_member_when_the_name_is_written(
    alice: Workspace, mallory: Workspace, make_member: MakeMember
) -> None:
    bob, client = make_member(alice, Role.DEVELOPER), session_of(alice.owner)
    heir = Membership.objects.get(tenant=alice.tenant, user=bob).pk
    theirs = Membership.objects.get(tenant=mallory.tenant).pk
    own = Membership.objects.get(tenant=alice.tenant, user=alice.owner).pk
    name = alice.tenant.name
    for given, named in ((heir, "other"), (heir, ""), (theirs, name), (own, name), ("x", name), (2**70, name)):
        assert client.post(path(alice, "transfer"), {"heir": given, "name": named}).status_code == 400, (given, named)
    assert roles_in(alice)[bob.email] == "developer"
    assert client.post(path(alice, "transfer"), {"heir": heir, "name": f" {name} "}).status_code == 302
    assert roles_in(alice) == {alice.owner.email: "admin", bob.email: "owner"}
    assert client.get(path(alice, "transfer")).status_code == 403
    assert [target for _, target, *_ in acts(alice, "member.changed")] == [bob.email, alice.owner.email]


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.FINANCE, Role.VIEWER])
def test_others_look_at_the_team_and_change_nothing(alice: Workspace, make_member: MakeMember, role: str) -> None:
    client, email = session_of(make_member(alice, role)), stranger()
    invite(alice, email)
    page = client.get(path(alice))
    assert page.status_code == 200 and alice.owner.email in said(page)
    assert email not in said(page) and "Last login" not in said(page) and "/settings/invite" not in said(page)
    row = invitation_of(alice, email).pk
    for act in ("invite", f"invitations/{row}/again", f"invitations/{row}/withdraw",
                f"members/{alice.owner.pk}/", f"members/{alice.owner.pk}/remove", "transfer"):  # fmt: skip
        assert client.post(path(alice, act), {"email": stranger(), "role": "owner"}).status_code == 403, act


def test_a_stranger_finds_no_page_and_cannot_reach_what_is_alices(alice: Workspace, mallory: Workspace) -> None:
    from tenants.settings_urls import urlpatterns

    invite(alice, email := stranger())
    row, client = invitation_of(alice, email), session_of(mallory.owner)
    routes = [str(each.pattern).removeprefix("t/<slug:slug>/settings/") for each in urlpatterns]
    for route in (each for each in routes if "/" not in each or each.startswith(("members", "invitations/<int"))):
        rest = route.replace("<int:id>", str(alice.owner.pk if "members" in route else row.pk))
        for method in ("get", "post"):
            assert getattr(client, method)(path(alice, rest)).status_code == 404, rest
            if "<int:id>" in route:
                # By her own workspace, with Alice's ids.
                assert getattr(client, method)(path(mallory, rest)).status_code in {404, 405}, rest
        assert Client().get(path(alice, rest)).status_code == 302
    assert invitation_of(alice, email) == row and roles_in(alice) == {alice.owner.email: "owner"}
    for huge in (2**63, 2**70):
        assert client.get(path(mallory, f"members/{huge}/")).status_code == 404
        assert client.post(path(mallory, f"invitations/{huge}/withdraw")).status_code == 404


def test_another_site_changes_nothing(alice: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)
    for act in ("invite", "leave", "transfer", "delete", "support", "workspace"):
        assert client.post(path(alice, act), {"email": "a@example.com", "role": "viewer"}).status_code == 403
    assert client.get(path(alice, "invite")).status_code == 405


def test_a_large_team_costs_as_many_queries_as_a_small_one(alice: Workspace, make_member: MakeMember) -> None:
    client = session_of(alice.owner)
    client.get(path(alice))
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(path(alice))
    for _ in range(12):
        make_member(alice, Role.VIEWER)
        invite(alice, stranger())
    secured = make_member(alice, Role.DEVELOPER)
    Authenticator.objects.create(user=secured, type=Authenticator.Type.TOTP, data={})
    with CaptureQueriesContext(connection) as many:
        page = client.get(path(alice))
    assert len(many) <= len(few) + 1 and said(page).count(">On<") == 1
    found = said(client.get(path(alice), {"q": secured.email[:20].upper()}))
    assert secured.email in found and found.count('<th scope="row">') == 13
    for odd in ("\x00", "%", "x" * 5000):
        assert client.get(path(alice), {"q": odd}).status_code == 200
    assert client.get(path(alice), {"after": "nothing"}).status_code == 302
