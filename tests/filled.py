"""A workspace in which every page has something to show, and people for the pages that are about an account."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from typing import Any, NamedTuple

from allauth.account.forms import default_token_generator
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from analytics import shares, spans
from analytics.models import SavingsShare, UsageRecord
from analytics.shares import Wish
from analytics.tasks import compare_all_books
from billing.models import MeterReport, PriceOverride
from gateway import setups
from gateway.models import Route
from tenants import apikeys, invitations
from tenants.db import schema_of
from tenants.models import Invitation, Membership, Tenant, User
from tests.booked import book
from tests.browser import test_alerts, test_cache, test_savings, test_settings
from tests.calls import make_route
from tests.conftest import PASSWORD, Workspace, new_workspace
from tests.management import manages
from tests.paying import Payments, subscribe
from tests.usage import miss

# Written as people write them: long, and not of one word.
NAME = "Nordic Kettles & Teapots AS"


class Filled(NamedTuple):
    """`parts` says, for each page that is about one of many, about which."""

    workspace: Workspace
    parts: dict[str, dict[str, Any]]
    # Of one person with a password alone, one with all that protects an account, one who came by Google.
    plain: User
    guarded: User
    without_password: User
    operator: User
    viewer: User
    # Links as they are in letters: those that work, and those that do not any more.
    tokens: dict[str, str]
    passkey_id: int


def fill(paid: Payments) -> Filled:
    workspace = new_workspace("free")
    Tenant.objects.filter(pk=workspace.tenant.pk).update(name=NAME)
    User.objects.filter(pk=workspace.owner.pk).update(name="Alice Lindqvist-Østergård")
    manages(workspace)
    subscribe(paid.stripe, workspace)
    # While there is nothing that could differ.
    compare_all_books()
    entry_id = test_cache.give_history(paid.gateway, workspace)
    parts, tokens = _fill_routing(workspace), _invite(workspace) | _letters(new_workspace().owner)
    test_savings.fill(workspace)
    _for(parts, ("cache-entry", "cache-drop"), id=entry_id)
    _for(parts, ("alert-webhook", "alert-webhook-delete"), id=test_alerts.fill(workspace).pk)
    _for(parts, ("alert-rule",), kind="error_rate")
    _fill_keys(workspace)
    _for(parts, ("key", "key-rotate", "key-revoke"), public_id=workspace.api_key.public_id)
    _, developer, _, viewer = test_settings.people_of(workspace)
    _for(parts, ("member", "member-remove"), id=developer.pk)
    tokens |= _share(workspace, parts)
    with schema_of(workspace.tenant):
        _for(parts, ("request",), ref=UsageRecord.objects.latest("at").pk)
    _fill_books(workspace)
    protected = guarded()
    passkey = Authenticator.objects.filter(user=protected, type=Authenticator.Type.WEBAUTHN).latest("pk")
    people = (new_workspace().owner, protected, without_password(), operator(), viewer)
    return Filled(workspace, parts, *people, tokens, passkey.pk)


def _for(parts: dict[str, dict[str, Any]], pages: tuple[str, ...], **part: Any) -> None:
    parts.update(dict.fromkeys(pages, part))


def _fill_routing(workspace: Workspace) -> dict[str, dict[str, Any]]:
    url = "https://llm.eu-north-1.example.com/v1"
    setups.configure_provider(workspace.tenant, name="fake", kind="openai", base_url=url, api_key="sk-upstream")
    make_route(workspace, "house", "gpt-4o", "gpt-4o-mini", strategy="weighted")
    make_route(
        workspace, "house-fast", "gpt-4o-mini", "gpt-4.1-nano-2025-04-14", strategy="fastest", hedge_after_ms=800
    )
    variants = [{"variant": "fake/gpt-4o"}] * 3 + [{"variant": "fake/gpt-4o-mini", "latency_ms": 1900.0}]
    book(workspace, *(miss(workspace, model="house", **facts) for facts in variants))
    with schema_of(workspace.tenant):
        route = {"id": Route.objects.get(model="house").pk}
    provider = {"name": "fake"}
    return {"route": route, "route-delete": route, "provider": provider, "provider-delete": provider}


def _fill_keys(workspace: Workspace) -> None:
    by = {"created_by": workspace.owner}
    limits: dict[str, Any] = {"requests_per_minute": 600, "allowed_models": ["gpt-4o-mini", "house"]}
    shop = apikeys.issue(workspace.tenant, name="Checkout assistant", scopes=["figures", "cache"], **limits, **by)
    apikeys.rotate(shop.key)
    apikeys.revoke(apikeys.issue(workspace.tenant, name="laptop of Emil", **by).key)


def _invite(workspace: Workspace) -> dict[str, str]:
    """One who may come, one whose link is too old, and the part of each in a link."""
    coming = invitations.invite(workspace.owner, workspace.tenant, _address("coming"), "finance", ip=None)
    late = invitations.invite(workspace.owner, workspace.tenant, _address("late"), "viewer", ip=None)
    letters = {"invitation": invitations.letter(coming.pk), "invitation over": invitations.letter(late.pk)}
    Invitation.objects.filter(pk=late.pk).update(expires_at=timezone.now() - dt.timedelta(days=1))
    return {name: letter.token for name, letter in letters.items() if letter is not None}


def _letters(user: User) -> dict[str, str]:
    """The part of a link that is in a letter about a password, and in one about an address. A login ends the first."""
    address = EmailAddress.objects.create(user=user, email=user.email, primary=True)
    reset = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    return {"reset": reset, "confirm": EmailConfirmationHMAC(address).key}


def _share(workspace: Workspace, parts: dict[str, dict[str, Any]]) -> dict[str, str]:
    wish = Wish(spans.span_of(spans.MONTH, timezone.now()), "Board of directors", True, 30)
    with schema_of(workspace.tenant):
        share, token = shares.make(workspace.tenant, wish, {"actor": workspace.owner, "ip": None})
        ended, over = shares.make(workspace.tenant, wish, {"actor": workspace.owner, "ip": None})
        SavingsShare.objects.filter(pk=ended.pk).update(revoked_at=timezone.now())
    parts["savings-unshare"] = {"share_id": share.pk}
    return {"shared": token, "share revoked": over}


def _fill_books(workspace: Workspace) -> None:
    """What operators look at."""
    now = timezone.now()
    PriceOverride.objects.create(
        catalog="openai",
        model=f"of-{workspace.tenant.slug}",
        effective_from=now,
        input_usd_per_mtok=1,
        output_usd_per_mtok=2,
    )
    MeterReport.objects.create(
        tenant=workspace.tenant,
        meter="nexus_requests",
        period_start=now,
        value=1_204,
        at=now,
        identifier=uuid.uuid4().hex,
    )


# --- people ---------------------------------------------------------------------------------------------------------


def guarded() -> User:
    """With an authenticator app, recovery codes, two passkeys and a Google account."""
    user: User = new_workspace().owner
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    EmailAddress.objects.create(user=user, email=_address("new"), verified=False, primary=False)
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)
    for browser in ("Firefox/141.0", "Chrome/140.0"):
        agent = f"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 {browser}"
        UserSession.objects.create(user=user, ip="203.0.113.7", user_agent=agent, session_key=_kept_session(user))
    for name in ("Laptop", "The blue security key in the office safe"):
        Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data=_passkey(name))
    SocialAccount.objects.create(user=user, provider="google", uid=uuid.uuid4().hex, extra_data={"email": user.email})
    # With two workspaces one is asked which.
    Membership.objects.create(user=user, tenant=new_workspace().tenant, role="developer")
    return user


def without_password() -> User:
    user: User = new_workspace().owner
    user.set_unusable_password()
    user.save(update_fields=["password"])
    return user


def operator() -> User:
    return User.objects.create_superuser(_address("operator"), PASSWORD)


def _kept_session(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def session_of(user: User) -> str:
    """The session's key of who has just given the password once more."""
    key = _kept_session(user)
    request = HttpRequest()
    request.session = SessionStore(key)
    record_authentication(request, user, "password", reauthenticated=True)
    request.session.save()
    return key


def _passkey(name: str) -> dict[str, Any]:
    """As a browser answers that was asked to make one."""
    key = {1: 2, 3: -7, -1: 1, -2: os.urandom(32), -3: os.urandom(32)}
    made = AttestedCredentialData.create(bytes(16), os.urandom(16), ES256(key))
    flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV | AuthenticatorData.FLAG.AT
    facts = AuthenticatorData.create(sha256(b"localhost"), flags, 0, made)
    id_ = websafe_encode(made.credential_id)
    attested = websafe_encode(bytes(AttestationObject.create("none", facts, {})))
    client = b'{"type":"webauthn.create","challenge":"AAAA","origin":"http://localhost"}'
    response = {"clientDataJSON": websafe_encode(client), "attestationObject": attested}
    credential = {"id": id_, "rawId": id_, "type": "public-key", "response": response}
    return {"name": name, "credential": {**credential, "clientExtensionResults": {"credProps": {"rk": True}}}}


def _address(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:12]}@example.com"
