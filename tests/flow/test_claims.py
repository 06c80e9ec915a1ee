"""Somebody has signed up with an address that is not theirs, and the person whose it is comes."""

from __future__ import annotations

import json
import time
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from tenants import apikeys
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User
from tests.conftest import PASSWORD, Workspace
from tests.flow.test_accounts import NEW_PASSWORD, address, link_in, log_in, logged_in, proven, sign_up, with_app
from tests.pages import flat
from tests.post import mail_to


def reset(email: str) -> Client:
    """By the link that comes to the mailbox; then logged in."""
    client = Client()
    client.post("/account/password/reset/", {"email": email})
    path = client.get(link_in(mail_to(email)[-1]), follow=True).redirect_chain[-1][0]
    assert client.post(path, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}).status_code == 302
    assert log_in(email, NEW_PASSWORD, client).status_code == 302
    return client


def squatted() -> tuple[str, Client]:
    """An address, and the session of a squatter who has signed up with it and set up all that keeps others out."""
    email = address()
    sign_up(Client(), email)
    user = User.objects.get(email=email)
    squatter, _ = with_app(user)
    SocialAccount.objects.create(user=user, provider="github", uid=email)
    Authenticator.objects.create(user=user, type="webauthn", data={"name": "Squatter's", "credential": {}})
    return email, squatter


def test_whoever_has_the_mailbox_gets_the_account_alone() -> None:
    email, squatter = squatted()
    wished = address()
    squatter.post("/account/email/", {"action_add": "", "email": wished})
    to_confirm = link_in(mail_to(wished)[-1])
    owner = reset(email)
    user = User.objects.get(email=email)
    assert owner.get("/account/").status_code == 200, "no second factor is asked for"
    assert squatter.get("/account/").status_code == 302
    assert not Authenticator.objects.filter(user=user).exists() and not SocialAccount.objects.filter(user=user).exists()
    squatter.post(to_confirm)
    user.refresh_from_db()
    assert user.email == email
    (known,) = EmailAddress.objects.filter(user=user)
    assert (known.email, known.verified, known.primary) == (email, True, True)
    row = AuditEvent.objects.get(action="account.claimed", actor=user)
    assert row.before == {"factors": ["recovery_codes", "totp", "webauthn"], "providers": ["github"]}


def test_the_person_says_which_keys_stay() -> None:
    email, _ = squatted()
    user = User.objects.get(email=email)
    tenant = Tenant.objects.get(memberships__user=user)
    mine = apikeys.issue(tenant, name="mine").key
    owner = reset(email)
    assert owner.get("/workspaces/").headers["Location"] == "/account/claimed/"
    notice = "somebody made keys in it"
    assert notice in flat(owner.get(f"/t/{tenant.slug}/keys/"))
    page = flat(owner.get("/account/claimed/"))
    assert "mine" in page and "default" in page and notice not in page
    later = apikeys.issue(tenant, name="later").key
    answered = owner.post("/account/claimed/", {"keep": [mine.public_id, "of-nobody"]}, follow=True)
    assert "1 key was revoked." in flat(answered) and notice not in flat(answered)
    alive = {key.name for key in apikeys.living(tenant)}
    assert alive == {"mine", later.name}
    row = AuditEvent.objects.get(tenant=tenant, action="account.claim_answered")
    assert row.actor == user and row.after is not None and row.after["kept"] == [str(mine)]
    assert len(row.after["revoked"]) == 1 and AuditEvent.objects.filter(tenant=tenant, action="key.revoked").exists()
    assert owner.get("/account/claimed/").headers["Location"] == "/workspaces/"
    owner.post("/account/claimed/")
    assert {key.name for key in apikeys.living(tenant)} == alive, "a second answer changes nothing"


def test_a_managing_key_that_a_stranger_had_by_api_is_asked_about() -> None:
    email = address()
    body = json.dumps({"email": email, "admin": True})
    strangers = Client().post("/api/register", body, content_type="application/json").json()
    asked: dict[str, Any] = {"headers": {"Authorization": f"Bearer {strangers['api_key']}"}}
    assert Client().get("/v1/admin/api-keys", **asked).status_code == 200
    owner = reset(email)
    page = flat(owner.get("/workspaces/", follow=True))
    assert '<span class="badge">admin</span>' in page
    owner.post("/account/claimed/")
    deadline = time.monotonic() + 5
    while Client().get("/v1/admin/api-keys", **asked).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_who_was_let_in_is_shown(mallory: Workspace) -> None:
    email, _ = squatted()
    tenant = Tenant.objects.get(memberships__user__email=email)
    Membership.objects.create(user=mallory.owner, tenant=tenant, role="owner")
    assert f"{mallory.owner.email} (Owner)" in flat(reset(email).get("/account/claimed/"))


def test_keys_of_workspaces_of_others_are_not_the_persons_to_revoke(alice: Workspace) -> None:
    email, _ = squatted()
    Membership.objects.create(user=User.objects.get(email=email), tenant=alice.tenant, role="admin")
    owner = reset(email)
    assert alice.api_key.public_id not in flat(owner.get("/account/claimed/"))
    owner.post("/account/claimed/")
    assert ApiKey.objects.get(pk=alice.api_key.pk).revoked_at is None


def test_a_confirmed_account_keeps_its_second_factor(alice: Workspace) -> None:
    EmailAddress.objects.create(user=alice.owner, email=alice.owner.email, verified=True, primary=True)
    with_app(alice.owner)
    client = reset(alice.owner.email)
    assert client.get("/account/").status_code == 302, "the code is asked for"
    alice.owner.refresh_from_db()
    assert alice.owner.claimed_at is None and Authenticator.objects.filter(user=alice.owner, type="totp").exists()


def test_a_wish_for_an_address_is_no_way_into_the_account(mallory: Workspace) -> None:
    """A link to the address leads to the account of which it is, not to one that has asked for it."""
    wished = address()
    proven(mallory.owner.email).post("/account/email/", {"action_add": "", "email": wished})
    before = len(mail_to(wished))
    Client().post("/account/password/reset/", {"email": wished})
    assert len(mail_to(wished)) == before


def test_the_page_of_a_confirmation_warns_who_has_not_signed_up() -> None:
    client, email = Client(), address()
    sign_up(client, email)
    link = link_in(mail_to(email)[0])
    assert "do not confirm" in flat(Client().get(link)) and "do not confirm" not in flat(client.get(link))


def test_there_is_nothing_to_say_for_others(alice: Workspace) -> None:
    assert Client().get("/account/claimed/").headers["Location"].startswith("/login/")
    client = logged_in(alice.owner.email, PASSWORD)
    assert client.get("/account/claimed/").headers["Location"] == "/workspaces/"
    client.post("/account/claimed/")
    assert ApiKey.objects.get(pk=alice.api_key.pk).revoked_at is None
