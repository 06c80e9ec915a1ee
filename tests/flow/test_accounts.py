"""One's account: login by email, new passwords, confirmed addresses, second factors, sessions, other providers."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import httpx2
import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client, RequestFactory, override_settings

from tenants import registration
from tenants.accounts import ProviderAdapter
from tenants.models import ApiKey, Membership, Role, User
from tests import servers
from tests.conftest import PASSWORD, Workspace
from tests.post import mail_to

NEW_PASSWORD = "a quite different 8 one"
NOBODY_LISTENS = "redis://127.0.0.1:1/0"
MANDATORY = {"EMAIL_VERIFICATION": "mandatory", "ACCOUNT_EMAIL_VERIFICATION": "mandatory"}


def address() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.com"


def log_in(email: str, password: str = PASSWORD, client: Client | None = None, **more: str) -> Any:
    return (client or Client()).post("/login/", {"login": email, "password": password, **more})


def logged_in(email: str, password: str = PASSWORD) -> Client:
    client = Client()
    assert log_in(email, password, client).status_code == 302
    return client


def proven(email: str) -> Client:
    """Logged in, and asked for the password once more."""
    client = logged_in(email)
    assert client.post("/account/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return client


def link_in(message: Any) -> str:
    """Its path; at our own address."""
    found = re.search(r"http://localhost:8000(/account/\S+)", message.body)
    assert found is not None, message.body
    return found[1]


def sign_up(client: Client, email: str, **more: str) -> Any:
    return client.post("/signup/", {"email": email, "name": "Tea", "password": PASSWORD, **more})


# --- login ----------------------------------------------------------------------------------------------------------


def test_whoever_was_registered_over_the_api_logs_in_however_the_address_is_written() -> None:
    email = address()
    registration.register(email, password=PASSWORD)
    answer = log_in(email.upper())
    assert answer.status_code == 302 and answer.headers["Location"] == "/workspaces/"


def test_the_form_leads_on_and_to_this_site_only(alice: Workspace) -> None:
    there = f"/t/{alice.tenant.slug}/keys/"
    assert log_in(alice.owner.email, next=there).headers["Location"] == there
    assert log_in(alice.owner.email, next="https://evil.example/").headers["Location"] == "/workspaces/"
    assert there.encode() in Client().get(f"/login/?next={there}").content


def test_guessing_ends_after_five_times_for_one_address(alice: Workspace) -> None:
    client = Client(REMOTE_ADDR="203.0.113.77")
    for _ in range(5):
        assert b"Please enter a correct" in log_in(alice.owner.email, "not it", client).content
    assert b"Too many failed login attempts" in log_in(alice.owner.email, PASSWORD, client).content


def test_one_gets_in_though_redis_is_away(alice: Workspace, settings: Any) -> None:
    away = {**settings.CACHES["default"], "LOCATION": NOBODY_LISTENS}
    with override_settings(CACHES={"default": away}):
        assert log_in(alice.owner.email).status_code == 302
        assert b"Please enter a correct" in log_in(alice.owner.email, "not it").content


def test_a_password_stays_hashed_with_argon2(alice: Workspace) -> None:
    logged_in(alice.owner.email)
    alice.owner.refresh_from_db()
    assert alice.owner.password.startswith("argon2$")


def test_logging_out_asks_for_a_form() -> None:
    email = address()
    registration.register(email, password=PASSWORD)
    client = logged_in(email)
    assert client.get("/logout/").status_code == 200
    assert client.get("/account/").status_code == 200
    assert client.post("/logout/").headers["Location"] == "/"
    assert client.get("/account/").status_code == 302


# --- a new password -------------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_set_anew_by_mail_and_the_link_works_once(alice: Workspace) -> None:
    client = Client()
    there = client.post("/account/password/reset/", {"email": alice.owner.email.upper()})
    (message,) = mail_to(alice.owner.email)
    link = link_in(message)
    form = client.get(link, follow=True)
    path = form.redirect_chain[-1][0]
    assert client.post(path, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}).status_code == 302
    logged_in(alice.owner.email, NEW_PASSWORD)
    assert b"Please enter a correct" in log_in(alice.owner.email).content
    assert b"This link is over" in Client().get(link, follow=True).content

    nowhere = Client().post("/account/password/reset/", {"email": address()})
    assert (there.status_code, there.headers["Location"]) == (nowhere.status_code, nowhere.headers["Location"])
    assert len(mail_to(alice.owner.email)) == 2, "the link, and that the password was changed"


def test_a_page_says_where_mails_go_when_none_are_sent() -> None:
    console = "django.core.mail.backends.console.EmailBackend"
    words = b"printed to its worker"
    assert words not in Client().get("/account/password/reset/").content
    with override_settings(EMAIL_BACKEND=console):
        for page in ("/account/password/reset/", "/account/password/reset/done/"):
            assert words in Client().get(page).content


def test_a_weak_new_password_is_refused(alice: Workspace) -> None:
    fields = {"oldpassword": PASSWORD, "password1": "12345", "password2": "12345"}
    page = logged_in(alice.owner.email).post("/account/password/change/", fields)
    assert page.status_code == 200 and b"too short" in page.content


# --- the address ----------------------------------------------------------------------------------------------------


def test_an_address_is_confirmed_by_its_link_and_the_reminder_goes() -> None:
    client, email = Client(), address()
    assert sign_up(client, email).status_code == 201
    reminder = b"Please confirm that"
    assert reminder in client.get("/account/").content
    (message,) = mail_to(email)
    link = link_in(message)
    assert EmailAddress.objects.filter(email=email, verified=True).count() == 0, "a look at the link confirms nothing"
    client.get(link)
    assert reminder in client.get("/account/").content
    client.post(link)
    assert reminder not in client.get("/account/").content


def test_where_it_must_be_confirmed_nobody_gets_in_before() -> None:
    client, email = Client(), address()
    with override_settings(**MANDATORY):
        answer = sign_up(client, email)
        assert answer.headers["Location"] == "/account/confirm-email/"
        assert client.get("/workspaces/").status_code == 302
        assert not ApiKey.objects.filter(tenant__email=email).exists(), "a key that nobody was shown"
        assert log_in(email).headers["Location"] == "/account/confirm-email/"
        client.post(link_in(mail_to(email)[0]))
        assert log_in(email).headers["Location"] == "/workspaces/"


def test_a_new_address_counts_once_it_is_confirmed(alice: Workspace) -> None:
    client, new, old = proven(alice.owner.email), address(), alice.owner.email
    client.post("/account/email/", {"action_add": "", "email": new})
    (message,) = mail_to(new)
    alice.owner.refresh_from_db()
    assert alice.owner.email == old
    client.post(link_in(message))
    alice.owner.refresh_from_db()
    assert alice.owner.email == new
    logged_in(new)
    assert b"Please enter a correct" in log_in(old).content


def test_a_change_may_be_called_off_and_the_present_address_stays(alice: Workspace) -> None:
    client, new = proven(alice.owner.email), address()
    client.post("/account/email/", {"action_add": "", "email": new})
    for email in (alice.owner.email, new):
        client.post("/account/email/", {"action_remove": "", "email": email})
    assert [known.email for known in EmailAddress.objects.filter(user=alice.owner)] == [alice.owner.email]
    alice.owner.refresh_from_db()
    logged_in(alice.owner.email)


def test_an_address_that_is_anothers_is_not_taken(alice: Workspace, mallory: Workspace) -> None:
    client, new = proven(mallory.owner.email), address()
    page = client.post("/account/email/", {"action_add": "", "email": alice.owner.email})
    assert page.status_code == 200 and b"There is an account with this address" in page.content
    assert mail_to(alice.owner.email) == []
    # Nor is one with which somebody has signed up before it was confirmed.
    client.post("/account/email/", {"action_add": "", "email": new})
    registration.register(new, password=PASSWORD)
    page = client.post(link_in(mail_to(new)[0]), follow=True)
    assert b"There is an account with this address" in page.content
    mallory.owner.refresh_from_db()
    assert mallory.owner.email != new
    assert not EmailAddress.objects.filter(user=mallory.owner, email=new, verified=True).exists()


def test_the_mail_to_confirm_is_sent_again_also_to_who_was_registered_over_the_api(alice: Workspace) -> None:
    client = logged_in(alice.owner.email)
    client.post("/account/email/", {"action_send": "", "email": alice.owner.email})
    client.post(link_in(mail_to(alice.owner.email)[0]))
    assert b"Please confirm that" not in client.get("/account/").content


# --- second factors -------------------------------------------------------------------------------------------------


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


def with_app(user: User) -> tuple[Client, str]:
    """Logged in, with an authenticator app; and its secret."""
    client = proven(user.email)
    secret = client.get("/account/2fa/totp/activate/").context["form"].secret
    assert client.post("/account/2fa/totp/activate/", {"code": code_of(secret)}).status_code == 302
    return client, secret


def test_with_an_app_the_password_alone_does_not_let_in(alice: Workspace) -> None:
    _, secret = with_app(alice.owner)
    client = Client()
    assert log_in(alice.owner.email, client=client).headers["Location"] == "/account/2fa/authenticate/"
    assert client.get("/workspaces/").status_code == 302
    assert client.post("/account/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert client.get("/workspaces/").headers["Location"].startswith("/login/")
    assert secret not in str(Authenticator.objects.get(user=alice.owner, type="totp").data), "kept encrypted"


def test_a_recovery_code_lets_in_once(alice: Workspace) -> None:
    owner, _ = with_app(alice.owner)
    code = owner.get("/account/2fa/recovery-codes/").context["unused_codes"][0]
    ends = []
    for _ in range(2):
        client = Client()
        log_in(alice.owner.email, client=client)
        ends.append(client.post("/account/2fa/authenticate/", {"code": code}).status_code)
    assert ends == [302, 200]


def test_nobody_removes_anothers_key(alice: Workspace, mallory: Workspace) -> None:
    key = Authenticator.objects.create(user=alice.owner, type="webauthn", data={"name": "Alice's", "credential": {}})
    client = proven(mallory.owner.email)
    for what in ("remove", "edit"):
        assert client.post(f"/account/2fa/webauthn/keys/{key.pk}/{what}/", {"name": "mine"}).status_code == 404
    assert Authenticator.objects.filter(pk=key.pk).exists()


# --- sessions -------------------------------------------------------------------------------------------------------


def test_what_protects_the_account_changes_only_for_who_proves_it_again(alice: Workspace) -> None:
    client = logged_in(alice.owner.email)
    for path in ("email/", "2fa/totp/activate/", "2fa/webauthn/add/", "2fa/recovery-codes/generate/"):
        answer = client.post(f"/account/{path}", {"action_add": "", "email": address()})
        assert answer.headers["Location"].startswith("/account/reauthenticate/"), path


def test_other_sessions_are_seen_and_ended(alice: Workspace) -> None:
    here, there = logged_in(alice.owner.email), logged_in(alice.owner.email)
    assert here.get("/account/sessions/").content.count(b"<td>127.0.0.1</td>") == 2
    here.post("/account/sessions/")
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302


# --- other providers ------------------------------------------------------------------------------------------------


def test_without_clients_no_provider_is_offered() -> None:
    page = Client().get("/login/").content
    assert b"Continue with" not in page and Client().get("/account/google/login/").status_code == 404


def test_a_provider_that_is_set_up_is_offered_and_asked() -> None:
    clients = {"NEXUS_GOOGLE_CLIENT_ID": "g-client", "NEXUS_GOOGLE_CLIENT_SECRET": "g-secret"}
    half = {"NEXUS_GITHUB_CLIENT_ID": "without its secret"}
    with servers.gateway(**clients, **half) as gateway, httpx2.Client(base_url=gateway.url) as browser:
        page = browser.get("/login/")
        assert "Continue with Google" in page.text and "GitHub" not in page.text
        assert "https://accounts.google.com" in page.headers["content-security-policy"]
        form = browser.get("/account/google/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert token is not None
        sent = browser.post("/account/google/login/", data={"csrfmiddlewaretoken": token[1]})
        assert sent.status_code == 302 and sent.headers["location"].startswith("https://accounts.google.com/")
        assert "client_id=g-client" in sent.headers["location"]


def test_who_comes_by_a_provider_has_a_workspace_too(rf: RequestFactory) -> None:
    email = address()
    login = SocialLogin(
        user=User(email=email),
        account=SocialAccount(provider="google", uid=uuid.uuid4().hex),
        email_addresses=[EmailAddress(email=email, verified=True, primary=True)],
    )
    request = rf.get("/")
    request.session = SessionStore()
    user = ProviderAdapter(request).save_user(request, login)
    membership = Membership.objects.get(user=user)
    assert membership.role == Role.OWNER and membership.tenant.email == email
    assert not user.has_usable_password()


@pytest.mark.parametrize("name", ["Eve\nBcc: x", "Eve \u202eBcc: x", "\0Eve Bcc: x", " Eve Bcc: x "])
def test_a_name_from_elsewhere_is_one_line_that_reads_as_it_is(rf: RequestFactory, name: str) -> None:
    login = SocialLogin(user=User(), account=SocialAccount(provider="google", uid="x"))
    user = ProviderAdapter(rf.get("/")).populate_user(rf.get("/"), login, {"email": address(), "name": name})
    assert user.name in ("Eve Bcc: x", "EveBcc: x")


@pytest.mark.parametrize("path", ["", "email/", "password/change/", "2fa/", "2fa/webauthn/", "sessions/"])
def test_ones_account_is_for_who_has_logged_in(alice: Workspace, path: str) -> None:
    assert Client().get(f"/account/{path}").headers["Location"].startswith("/login/?next=")
    assert logged_in(alice.owner.email).get(f"/account/{path}").status_code == 200
