"""What changes a person's account is in the audit log of each of their workspaces, without a secret in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.socialaccount import signals as of_providers
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.db import transaction
from django.test import Client, RequestFactory

from tenants import deletion, members
from tenants.models import AuditEvent, Membership, Role, User
from tenants.tasks import note_wrong_passwords
from tests.conftest import PASSWORD, Workspace
from tests.flow.test_accounts import NEW_PASSWORD, address, link_in, log_in, logged_in, proven, with_app
from tests.post import mail_to, run_waiting

FROM = "203.0.113.9"


def acts(workspace: Workspace, action: str = "account.") -> list[AuditEvent]:
    rows = AuditEvent.objects.filter(tenant=workspace.tenant, action__startswith=action)
    return list(rows.order_by("at", "pk"))


def names(workspace: Workspace) -> list[str]:
    return [row.action.removeprefix("account.") for row in acts(workspace)]


def test_a_new_password_is_in_each_workspace_of_the_person_and_in_no_other(
    alice: Workspace, mallory: Workspace, make_workspace: Callable[..., Workspace]
) -> None:
    other = make_workspace()
    Membership.objects.create(user=alice.owner, tenant=other.tenant, role=Role.VIEWER)
    client = proven(alice.owner.email)
    fields = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert client.post("/account/password/change/", fields, REMOTE_ADDR=FROM).status_code == 302
    for workspace in (alice, other):
        (row,) = acts(workspace, "account.password")
        assert (row.action, row.actor, row.target) == ("account.password_changed", alice.owner, alice.owner.email)
        assert row.ip_address == FROM and row.before is None and row.after is None
    assert acts(mallory) == []


def test_a_password_set_by_mail_is_told(alice: Workspace) -> None:
    client = Client()
    client.post("/account/password/reset/", {"email": alice.owner.email})
    form = client.get(link_in(mail_to(alice.owner.email)[0]), follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert [row.action for row in acts(alice, "account.password")] == ["account.password_reset"]


def test_a_new_address_is_told_when_it_is_wanted_and_when_it_counts(alice: Workspace) -> None:
    client, new, old = proven(alice.owner.email), address(), alice.owner.email
    client.post("/account/email/", {"action_add": "", "email": new})
    client.post(link_in(mail_to(new)[0]))
    wanted, changed = acts(alice, "account.email")
    assert (wanted.action, wanted.target, wanted.after) == ("account.email_wanted", old, {"email": new})
    assert (changed.action, changed.target) == ("account.email_changed", new)
    assert (changed.before, changed.after) == ({"email": old}, {"email": new})


def test_an_address_that_is_only_confirmed_has_not_changed(alice: Workspace) -> None:
    client = logged_in(alice.owner.email)
    client.post("/account/email/", {"action_send": "", "email": alice.owner.email})
    client.post(link_in(mail_to(alice.owner.email)[0]))
    assert [row.action for row in acts(alice, "account.email")] == ["account.email_confirmed"]


def test_second_factors_come_and_go_and_their_secrets_stay_where_they_are(alice: Workspace) -> None:
    client, secret = with_app(alice.owner)
    codes = RecoveryCodes(Authenticator.objects.get(user=alice.owner, type="recovery_codes")).get_unused_codes()
    client.post("/account/2fa/recovery-codes/generate/")
    client.post("/account/2fa/totp/deactivate/")
    told = [(row.action, (row.before or row.after or {})["kind"]) for row in acts(alice, "account.factor")]
    assert told == [
        ("account.factor_added", "totp"),
        ("account.factor_added", "recovery_codes"),
        ("account.factor_renewed", "recovery_codes"),
        ("account.factor_removed", "totp"),
        ("account.factor_removed", "recovery_codes"),
    ]
    written = json.dumps([[row.before, row.after, row.target] for row in acts(alice)])
    assert not any(word in written for word in (secret, PASSWORD, *codes))


def test_who_knows_the_password_and_not_the_code_is_told(alice: Workspace) -> None:
    with_app(alice.owner)
    client = Client(REMOTE_ADDR=FROM)
    log_in(alice.owner.email, client=client)
    client.post("/account/2fa/authenticate/", {"code": "000000"})
    (row,) = acts(alice, "account.factor_failed")
    assert (row.actor, row.actor_label, row.ip_address) == (None, "not logged in", FROM)
    assert (row.target, row.after) == (alice.owner.email, {"kind": "totp"})


def test_a_recovery_code_that_is_used_is_told(alice: Workspace) -> None:
    with_app(alice.owner)
    codes = RecoveryCodes(Authenticator.objects.get(user=alice.owner, type="recovery_codes")).get_unused_codes()
    client = Client()
    log_in(alice.owner.email, client=client)
    client.post("/account/2fa/authenticate/", {"code": codes[0]})
    assert len(acts(alice, "account.recovery_code_used")) == 1


def test_wrong_passwords_are_told_once_and_only_where_they_were_many(alice: Workspace) -> None:
    client = Client(REMOTE_ADDR=f"203.0.113.{uuid.uuid4().int % 200 + 10}")
    for _ in range(4):
        log_in(alice.owner.email, "not it", client)
    run_waiting()
    assert names(alice) == []
    for _ in range(3):
        log_in(alice.owner.email.upper(), "not it", client)
    run_waiting()
    (row,) = acts(alice, "account.logins_failed")
    assert (row.actor, row.after) == (None, {"wrong_passwords": 5, "within_s": 300})
    # Not again in the same hour; nor is there anything to tell of whom nobody knows.
    note_wrong_passwords(alice.owner.email, FROM)
    note_wrong_passwords(address(), FROM)
    assert len(acts(alice, "account.logins_failed")) == 1


def test_the_same_is_done_for_an_address_without_an_account() -> None:
    """Else the time that it takes would tell whether there is one."""
    nobody, client = address(), Client(REMOTE_ADDR=f"198.51.100.{uuid.uuid4().int % 200 + 10}")
    for _ in range(5):
        log_in(nobody, "not it", client)
    assert [arguments[0] for arguments in run_waiting()] == [nobody]


def test_a_login_is_told_once_a_day_from_one_address(alice: Workspace) -> None:
    for _ in range(2):
        log_in(alice.owner.email, client=Client(REMOTE_ADDR=FROM))
    log_in(alice.owner.email, client=Client(REMOTE_ADDR="203.0.113.10"))
    rows = acts(alice, "account.logged_in")
    assert [(row.actor, row.ip_address, row.after) for row in rows] == [
        (alice.owner, FROM, {"by": "password"}),
        (alice.owner, "203.0.113.10", {"by": "password"}),
    ]


def test_sessions_that_were_ended_are_counted(alice: Workspace) -> None:
    client = logged_in(alice.owner.email)
    client.post("/account/sessions/")
    assert acts(alice, "account.sessions") == [], "there was no other"
    logged_in(alice.owner.email)
    client.post("/account/sessions/")
    assert [row.after for row in acts(alice, "account.sessions")] == [{"sessions": 1}]


def test_providers_come_and_go_without_what_they_know(alice: Workspace, rf: RequestFactory) -> None:
    account = SocialAccount(user=alice.owner, provider="google", uid="4711", extra_data={"email": "a@example.com"})
    login = SocialLogin(user=alice.owner, account=account)
    request = rf.get("/", REMOTE_ADDR=FROM)
    of_providers.social_account_added.send(SocialLogin, request=request, sociallogin=login)
    of_providers.social_account_removed.send(SocialAccount, request=request, socialaccount=account)
    told = [(row.action, row.before, row.after) for row in acts(alice)]
    google = {"provider": "google"}
    assert told == [("account.provider_connected", None, google), ("account.provider_removed", google, None)]


def test_what_did_not_happen_is_not_told(alice: Workspace, rf: RequestFactory) -> None:
    """Two may confirm one address at the same time: the second one's change is taken back, and the row with it."""
    from tenants import account_trail

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        account_trail.record("account.email_changed", alice.owner, rf.get("/"))
        raise ZeroDivisionError
    assert acts(alice) == []


def test_the_page_shows_them_by_themselves(alice: Workspace) -> None:
    client = proven(alice.owner.email)
    client.post("/account/email/", {"action_add": "", "email": address()})
    page = client.get(f"/t/{alice.tenant.slug}/settings/audit", {"what": "accounts"}).content.decode()
    assert "account.email_wanted" in page and "tenant.created" not in page


def test_who_is_forgotten_leaves_no_address_in_other_workspaces(
    alice: Workspace, make_member: Callable[[Workspace, str], Any], make_workspace: Callable[..., Workspace]
) -> None:
    """Former addresses are in these rows, too."""
    other, bob = make_workspace(), make_member(alice, "viewer")
    Membership.objects.create(user=bob, tenant=other.tenant, role=Role.OWNER)
    client, old, new = proven(bob.email), bob.email, address()
    client.post("/account/email/", {"action_add": "", "email": new})
    client.post(link_in(mail_to(new)[0]))
    members.leave(Membership.objects.get(user=bob, tenant=alice.tenant), ip=None)
    Membership.objects.filter(user=other.owner, tenant=other.tenant).delete()
    deletion.delete(other.tenant, actor=bob)
    assert not User.objects.filter(email=new).exists()
    left = [f"{row.actor_label} {row.target} {row.before} {row.after}" for row in acts(alice)]
    assert left and not any(old in text or new in text for text in left)
