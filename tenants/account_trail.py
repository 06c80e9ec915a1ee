"""What changes a person's account, by allauth's signals: a row in the audit log of each of their workspaces.

Who they are lets them into all of these, so all are to know. No row has a password, a code, a secret or a link.
"""

from __future__ import annotations

from typing import Any

from allauth.account import signals as of_account
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.mfa import signals as of_factors
from allauth.mfa.models import Authenticator
from allauth.socialaccount import signals as of_providers
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.core.cache import cache
from django.dispatch import receiver
from django.http import HttpRequest

from tenants import addresses, audit
from tenants.models import Tenant, User

# Whoever fails to get in may be anybody.
STRANGER = "not logged in"
DAY_S, HOUR_S = 86_400, 3_600
# As allauth counts: then it refuses logins of this account for as long.
WRONG_PASSWORDS, WITHIN_S = 5, 300


def record(
    action: str, user: User, request: HttpRequest | None, *, is_theirs: bool = True, **values: dict[str, Any] | None
) -> None:
    """`is_theirs`: the person did it. `values` are before and after."""
    ip = addresses.client_address(request) if request is not None else None
    by: audit.By = {"actor": user, "ip": ip} if is_theirs else {"actor_label": STRANGER, "ip": ip}
    _record(action, user, by, **values)


def record_wrong_passwords(address: str, ip: str | None) -> None:
    """Once an hour, however long somebody goes on. Where nobody has the address, nothing happens."""
    user = User.objects.filter(email=address.strip().lower(), is_active=True).first()
    if user is not None and cache.add(f"wrong-passwords:{user.pk}", 1, HOUR_S):
        after = {"wrong_passwords": WRONG_PASSWORDS, "within_s": WITHIN_S}
        _record("account.logins_failed", user, {"actor_label": STRANGER, "ip": ip}, after=after)


def _record(action: str, user: User, by: audit.By, **values: dict[str, Any] | None) -> None:
    workspaces = Tenant.objects.filter(memberships__user=user).order_by("pk")
    audit.record_everywhere(action, workspaces, target=user.email, **values, **by)


@receiver(of_account.user_logged_in)
def note_login(request: HttpRequest, user: User, **_: Any) -> None:
    """Once a day from one address: people log in often, and a log of that would hide the rest."""
    address = addresses.client_address(request)
    seen = f"logged-in:{user.pk}:{addresses.neighbourhood(address) if address else ''}"
    if cache.add(seen, 1, DAY_S):
        ways = [str(way.get("type") or way["method"]) for way in get_authentication_records(request, user)]
        record("account.logged_in", user, request, after={"by": ", ".join(ways)} if ways else None)


@receiver(of_account.password_changed)
def note_password(request: HttpRequest, user: User, **_: Any) -> None:
    record("account.password_changed", user, request)


@receiver(of_account.password_set)
def note_first_password(request: HttpRequest, user: User, **_: Any) -> None:
    record("account.password_set", user, request)


@receiver(of_account.password_reset)
def note_reset(request: HttpRequest, user: User, **_: Any) -> None:
    record("account.password_reset", user, request)


@receiver(of_account.email_added)
def note_wanted_address(request: HttpRequest, user: User, email_address: EmailAddress, **_: Any) -> None:
    record("account.email_wanted", user, request, after={"email": email_address.email})


@receiver(of_account.email_removed)
def note_unwanted_address(request: HttpRequest, user: User, email_address: EmailAddress, **_: Any) -> None:
    record("account.email_not_wanted", user, request, before={"email": email_address.email})


@receiver(of_account.email_changed)
def note_address(
    request: HttpRequest,
    user: User,
    from_email_address: EmailAddress | None,
    to_email_address: EmailAddress,
    **_: Any,
) -> None:
    after = {"email": to_email_address.email}
    if from_email_address is None:
        record("account.email_confirmed", user, request, after=after)
    else:
        record("account.email_changed", user, request, before={"email": from_email_address.email}, after=after)


@receiver(of_factors.authenticator_added)
def note_factor(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    record("account.factor_added", user, request, after=_told(authenticator))


@receiver(of_factors.authenticator_removed)
def note_lost_factor(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    record("account.factor_removed", user, request, before=_told(authenticator))


@receiver(of_factors.authenticator_reset)
def note_new_codes(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    record("account.factor_renewed", user, request, after=_told(authenticator))


@receiver(of_factors.authenticator_used)
def note_used_code(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Of a recovery code alone: whoever uses one has lost the rest, or is somebody else."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        record("account.recovery_code_used", user, request)


@receiver(of_factors.authentication_failed)
def note_failed_factor(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Whoever comes so far knows the password."""
    record("account.factor_failed", user, request, is_theirs=False, after=_told(authenticator))


def _told(authenticator: Authenticator) -> dict[str, Any]:
    told = {"kind": str(authenticator.type)}
    return {**told, "name": authenticator.data["name"]} if authenticator.data.get("name") else told


@receiver(of_providers.social_account_added)
def note_provider(request: HttpRequest, sociallogin: SocialLogin, **_: Any) -> None:
    record("account.provider_connected", sociallogin.user, request, after={"provider": sociallogin.account.provider})


@receiver(of_providers.social_account_removed)
def note_lost_provider(request: HttpRequest, socialaccount: SocialAccount, **_: Any) -> None:
    record("account.provider_removed", socialaccount.user, request, before={"provider": socialaccount.provider})
