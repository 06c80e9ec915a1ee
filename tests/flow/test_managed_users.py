"""A workspace's members by API."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress

from tenants import apikeys, members
from tenants.models import Membership, User
from tests.conftest import Workspace
from tests.management import audited, call, confirm, made, refused

PATH = "/v1/admin/users"


def roles(workspace: Workspace) -> dict[str, str]:
    return dict(Membership.objects.filter(tenant=workspace.tenant).values_list("user__email", "role"))


def test_who_has_signed_up_is_added_changed_and_removed(admin: Workspace, mallory: Workspace) -> None:
    email = mallory.owner.email
    confirm(mallory)
    member = made(admin, PATH, {"email": f" {email.upper()} ", "role": "finance"})
    assert (member["id"], member["email"], member["role"], member["active"]) == (
        mallory.owner.pk, email, "finance", True,
    )  # fmt: skip
    assert call(admin, "GET", f"{PATH}/{member['id']}").json() == member
    changed = call(admin, "PATCH", f"{PATH}/{member['id']}", {"role": "admin"})
    assert changed.json() == {**member, "role": "admin"}
    assert call(admin, "DELETE", f"{PATH}/{member['id']}").status_code == 204
    assert call(admin, "DELETE", f"{PATH}/{member['id']}").status_code == 404
    assert roles(admin) == {admin.owner.email: "owner"} and User.objects.filter(email=email).exists()
    rows = [(event.action, event.target, event.before, event.after) for event in audited(admin)]
    assert rows == [
        ("member.added", email, None, {"role": "finance"}),
        ("member.changed", email, {"role": "finance"}, {"role": "admin"}),
        ("member.removed", email, {"role": "admin"}, None),
    ]


@pytest.mark.parametrize("scope", ["team", "admin"])
def test_no_key_makes_changes_or_removes_an_owner(admin: Workspace, mallory: Workspace, scope: str) -> None:
    issued = apikeys.issue(admin.tenant, scopes=[scope])
    other = Membership.objects.create(user=mallory.owner, tenant=admin.tenant, role="viewer")
    owner, viewer = f"{PATH}/{admin.owner.pk}", f"{PATH}/{mallory.owner.pk}"
    for method, path, body in (
        ("POST", PATH, {"email": "somebody@example.com", "role": "owner"}),
        ("PATCH", viewer, {"role": "owner"}),
        ("PATCH", owner, {"role": "viewer"}),
        ("DELETE", owner, None),
    ):
        answer = call(None, method, path, body, Authorization=f"Bearer {issued.text}")
        assert "owner can, who has logged in" in refused(answer, 403)
    assert roles(admin) == {admin.owner.email: "owner", mallory.owner.email: "viewer"}
    # Nor the second one.
    Membership.objects.filter(pk=other.pk).update(role="owner")
    refused(call(None, "DELETE", viewer, Authorization=f"Bearer {issued.text}"), 403)


def test_who_has_not_signed_up_or_is_a_member_is_refused(admin: Workspace) -> None:
    assert "/signup/" in refused(call(admin, "POST", PATH, {"email": "nobody@example.com"}), 400, "email")
    refused(call(admin, "POST", PATH, {"email": admin.owner.email}), 409)


def test_who_only_says_the_address_is_theirs_gets_in_nowhere(admin: Workspace, mallory: Workspace) -> None:
    """Mallory has signed up with the address of somebody whom this workspace's people know."""
    email = mallory.owner.email
    told = refused(call(admin, "POST", PATH, {"email": email, "role": "admin"}), 400, "email")
    assert "An invitation confirms it" in told
    EmailAddress.objects.create(user=mallory.owner, email=email, verified=False, primary=True)
    refused(call(admin, "POST", PATH, {"email": email, "role": "admin"}), 400, "email")
    # Nor does another address of theirs count.
    EmailAddress.objects.create(user=mallory.owner, email=f"own-{email}", verified=True)
    refused(call(admin, "POST", PATH, {"email": email, "role": "admin"}), 400, "email")
    assert roles(admin) == {admin.owner.email: "owner"}


def test_a_workspace_has_so_many_members_at_most(
    admin: Workspace, mallory: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 1)
    confirm(mallory)
    refused(call(admin, "POST", PATH, {"email": mallory.owner.email}), 409)


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "email"), ({"email": "x"}, "email"), ({"email": "a@b.example", "role": "king"}, "role"), ({"id": 1}, "id")],
)
def test_a_bad_field_is_named(admin: Workspace, body: dict[str, str], param: str) -> None:
    refused(call(admin, "POST", PATH, body), 400, param)


def test_a_user_that_is_not_there_is_404(admin: Workspace) -> None:
    for number in ("0", "999999999", "9" * 40, "-1", "x"):
        assert call(admin, "GET", f"{PATH}/{number}").status_code == 404
