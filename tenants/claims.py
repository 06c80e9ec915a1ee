"""An account whose address nobody has confirmed may have been opened by somebody else. Whoever sets its password by a
link from the mailbox has it alone from then on, and says which of the keys that were made before may go on.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from allauth.account import signals as of_account
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from tenants import account_trail, apikeys, audit
from tenants.models import ApiKey, Membership, Role, Tenant, User


class Left(NamedTuple):
    """What somebody else may have left behind in a workspace."""

    tenant: Tenant
    keys: list[ApiKey]
    # Who else is a member.
    people: list[Membership]


@receiver(of_account.password_reset)
def take_over(request: HttpRequest, user: User, **_: object) -> None:
    """Takes away what would let others in, and what would keep the person out: a second factor that is not theirs."""
    with transaction.atomic():
        current = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        addresses = EmailAddress.objects.filter(user=current)
        if addresses.filter(email=current.email, verified=True).exists():
            return
        factors, providers = Authenticator.objects.filter(user=current), SocialAccount.objects.filter(user=current)
        before = {
            "factors": sorted(factors.values_list("type", flat=True)),
            "providers": sorted(providers.values_list("provider", flat=True)),
        }
        factors.delete()
        providers.delete()
        # The link to another one might still be followed.
        addresses.exclude(email=current.email).delete()
        addresses.update_or_create(user=current, email=current.email, defaults={"verified": True, "primary": True})
        current.claimed_at = timezone.now()
        if not left(current):
            current.claimed_at = None
        current.save(update_fields=["claimed_at"])
        account_trail.record("account.claimed", current, request, before=before)
    for session in UserSession.objects.filter(user=current):
        session.end()


def left(user: User) -> list[Left]:
    """In the workspaces that are theirs; of what there is to ask about."""
    if user.claimed_at is None:
        return []
    owned = Tenant.objects.filter(memberships__user=user, memberships__role=Role.OWNER).order_by("name", "pk")
    found = []
    for tenant in owned:
        people = Membership.objects.filter(tenant=tenant).exclude(user=user).select_related("user")
        keys = apikeys.living(tenant).filter(created_at__lt=user.claimed_at).order_by("-pk")
        rest = Left(tenant, list(keys), list(people.order_by("user__email")))
        if rest.keys or rest.people:
            found.append(rest)
    return found


def answer(user: User, kept: Collection[str], *, ip: str | None) -> int:
    """Revokes the keys that are not to be kept, by `public_id`; how many. A second answer finds nothing to do."""
    with transaction.atomic():
        current = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        by: audit.By = {"actor": current, "ip": ip}
        revoked = 0
        for each in left(current):
            over = [key for key in each.keys if key.public_id not in kept]
            for key in over:
                apikeys.revoke(key, **by)
            after = {
                "kept": [str(key) for key in each.keys if key.public_id in kept],
                "revoked": [str(key) for key in over],
            }
            audit.record("account.claim_answered", tenant=each.tenant, target=current.email, after=after, **by)
            revoked += len(over)
        current.claimed_at = None
        current.save(update_fields=["claimed_at"])
    return revoked
