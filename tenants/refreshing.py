"""Families of refresh tokens: from a key to tokens, from a refresh token to the next, and their end.

Each refresh token is good once. Who shows one a second time ends its family: either of the two who have it is a thief.
"""

from __future__ import annotations

import datetime as dt
import hmac
import time
import uuid
from typing import NamedTuple, Unpack

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tenants import audit, revocations, tokens
from tenants.audit import By
from tenants.models import ApiKey, RefreshFamily, Tenant
from tenants.tokens import ACCESS_S, FAMILY_S, Claims, Refresh

# Of one key; the oldest end.
MAX_FAMILIES = 100
# What has ended is told apart from what never was for so long.
KEPT_DAYS = 1
PURGE_BATCH = 5_000


class Refused(ValueError):
    """No living refresh token of ours: unknown, expired, revoked, or of a key that is."""


class Reused(Refused):
    """It was shown before. Its family has ended."""


class Issued(NamedTuple):
    """Shown once."""

    access: str
    access_s: int
    refresh: str
    refresh_s: int


def issue(key: ApiKey) -> Issued:
    """A new family, for a key that is alive."""
    now = timezone.now()
    family_secret, step_secret = tokens.new_secret(), tokens.new_secret()
    with transaction.atomic():
        family = RefreshFamily.objects.create(
            key=key,
            family_sha256=tokens.digest(family_secret),
            step_sha256=tokens.digest(step_secret),
            expires_at=now + dt.timedelta(seconds=FAMILY_S),
        )
        _make_room(key)
    return _issued(family, key, tokens.render_refresh(family.pk.hex, family_secret, step_secret), now)


def _make_room(key: ApiKey) -> None:
    own = RefreshFamily.objects.filter(key=key, ended_at=None)
    for one in list(own.order_by("-created_at").values_list("pk", flat=True)[MAX_FAMILIES:]):
        _end(one)


def refresh(text: str, **by: Unpack[By]) -> Issued:
    """The next tokens of a family. Of two who come with the same token one gets them. Raises Refused, Reused."""
    shown = tokens.parse_refresh(text)
    if shown is None:
        raise Refused
    now = timezone.now()
    with transaction.atomic():
        family = _locked(shown)
        reused = not hmac.compare_digest(bytes(family.step_sha256), shown.step_sha256)
        if reused:
            # Committed, and told outside of the transaction.
            _end(family.pk)
            audit.record("token.reused", tenant=family.key.tenant, target=str(family.key), after=_told(family), **by)
        elif not family.key.is_alive or family.key.tenant.status != Tenant.Status.ACTIVE:
            raise Refused
        else:
            step_secret = tokens.new_secret()
            family.step_sha256, family.refreshed_at = tokens.digest(step_secret), now
            family.save(update_fields=["step_sha256", "refreshed_at"])
    if reused:
        raise Reused
    following = tokens.render_refresh(family.pk.hex, tokens.family_secret_of(text), step_secret)
    return _issued(family, family.key, following, now)


def revoke(text: str, **by: Unpack[By]) -> bool:
    """Ends the family of a refresh or access token, in every process at once; whether it was alive. No error tells
    whether there is such a token.
    """
    with transaction.atomic():
        family = _family_of(text)
        if family is None:
            return False
        _end(family.pk)
        audit.record("token.revoked", tenant=family.key.tenant, target=str(family.key), after=_told(family), **by)
    return True


def _family_of(text: str) -> RefreshFamily | None:
    """Alive, and locked. A refresh token that was used up still says whose it was."""
    shown = tokens.parse_refresh(text)
    if shown is not None:
        try:
            return _locked(shown)
        except Refused:
            return None
    claims = tokens.signer().read(text)
    return None if claims is None else _living().filter(pk=claims.family).first()


def is_alive(family: str, key: ApiKey) -> bool:
    return RefreshFamily.objects.filter(pk=family, key=key, ended_at=None, expires_at__gt=timezone.now()).exists()


def purge() -> int:
    """Deletes families that are over, in batches; how many there were."""
    before = timezone.now() - dt.timedelta(days=KEPT_DAYS)
    purged = 0
    for over in ({"expires_at__lt": before}, {"ended_at__lt": before}):
        while some := list(RefreshFamily.objects.filter(**over).values_list("pk", flat=True)[:PURGE_BATCH]):
            RefreshFamily.objects.filter(pk__in=some).delete()
            purged += len(some)
    return purged


def _living() -> QuerySet[RefreshFamily]:
    return (
        RefreshFamily.objects.select_for_update(of=("self",))
        .select_related("key__tenant")
        .filter(ended_at=None, expires_at__gt=timezone.now())
    )


def _locked(shown: Refresh) -> RefreshFamily:
    """Whoever does not know what all of the family share has no token of it, old or new. Raises Refused."""
    family = _living().filter(pk=uuid.UUID(shown.family)).first()
    if family is None or not hmac.compare_digest(bytes(family.family_sha256), shown.family_sha256):
        raise Refused
    return family


def _end(family: uuid.UUID) -> None:
    RefreshFamily.objects.filter(pk=family, ended_at=None).update(ended_at=timezone.now())
    revocations.publish(f"family:{family.hex}")


def _told(family: RefreshFamily) -> dict[str, str]:
    return {"tokens_since": family.created_at.isoformat()}


def _issued(family: RefreshFamily, key: ApiKey, refresh_token: str, now: dt.datetime) -> Issued:
    unix = time.time()
    left_s = int((family.expires_at - now).total_seconds())
    access_s = min(ACCESS_S, left_s)
    claims = Claims(key.public_id, key.tenant_id, family.pk.hex, unix + access_s)
    return Issued(tokens.signer().sign(claims, now=unix), access_s, refresh_token, left_s)
