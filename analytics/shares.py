"""Links that show a workspace's savings to whoever has them, for a while: made, found, revoked.

A link holds the workspace and a secret, signed: one that we did not make is refused before anything is looked up. Of
the secret the workspace's own table has the SHA-256. Sync.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import NamedTuple

from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from analytics import spans
from analytics.models import SavingsShare
from analytics.spans import Span
from tenants import audit, members
from tenants.audit import By
from tenants.db import schema_of
from tenants.members import Refused
from tenants.models import Tenant

# Links of a workspace that work at the same time, and that are listed.
MAX_ALIVE, LISTED = 50, 200
# `opened_at` is no more exact than this.
OPENED_EVERY = dt.timedelta(minutes=1)
_SALT = "analytics.shares"
_LONGEST = 200


class Wish(NamedTuple):
    """What a link is to show. A custom span stays, “this month” is always the current one."""

    span: Span
    label: str
    shows_keys: bool
    lives_days: int


class Opened(NamedTuple):
    tenant: Tenant
    share: SavingsShare


def make(tenant: Tenant, wish: Wish, by: By) -> tuple[SavingsShare, str]:
    """With its token, which is nowhere else. Within the tenant's schema. Raises Refused."""
    now, secret = timezone.now(), secrets.token_urlsafe(32)
    is_custom = wish.span.name == spans.CUSTOM
    actor = by.get("actor")
    # Two at once would both find the last place free.
    with members.changing(tenant):
        if _alive(now).count() >= MAX_ALIVE:
            raise Refused(_("%(number)s links work already. Revoke one first.") % {"number": MAX_ALIVE})
        share = SavingsShare.objects.create(
            token_sha256=_digest(secret),
            label=wish.label,
            range="" if is_custom else wish.span.name,
            first_day=wish.span.first_day if is_custom else None,
            last_day=wish.span.last_day if is_custom else None,
            shows_keys=wish.shows_keys,
            created_by=actor.email if actor else by.get("actor_label", ""),
            expires_at=now + dt.timedelta(days=wish.lives_days),
        )
        audit.record("savings.shared", tenant=tenant, target=_name(share), after=_facts(share), **by)
    return share, signing.dumps([tenant.pk, secret], salt=_SALT)


def revoke(tenant: Tenant, share_id: int, by: By) -> SavingsShare | None:
    """None: there is no such link. Within the tenant's schema."""
    with transaction.atomic():
        share = SavingsShare.objects.select_for_update().filter(pk=share_id).first()
        if share is not None and share.revoked_at is None:
            share.revoked_at = timezone.now()
            share.save(update_fields=["revoked_at"])
            audit.record("savings.unshared", tenant=tenant, target=_name(share), before=_facts(share), **by)
    return share


def find(token: str) -> Opened | None:
    """One that works now. Of a workspace that is suspended or gone none does."""
    if len(token) > _LONGEST:
        return None
    try:
        tenant_id, secret = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    tenant = Tenant.objects.filter(pk=tenant_id, status=Tenant.Status.ACTIVE).first()
    if tenant is None:
        return None
    with schema_of(tenant):
        share = _alive(timezone.now()).filter(token_sha256=_digest(secret)).first()
    return None if share is None else Opened(tenant, share)


def note_opened(share: SavingsShare) -> None:
    """Within the tenant's schema."""
    now = timezone.now()
    stale = Q(opened_at=None) | Q(opened_at__lt=now - OPENED_EVERY)
    SavingsShare.objects.filter(stale, pk=share.pk).update(opened_at=now)


def span_of(share: SavingsShare, now: dt.datetime) -> Span:
    if share.first_day is None or share.last_day is None:
        return spans.span_of(share.range, now)
    return spans.custom(share.first_day, share.last_day, now)


def is_alive(share: SavingsShare, now: dt.datetime) -> bool:
    return share.revoked_at is None and share.expires_at > now


def _alive(now: dt.datetime) -> QuerySet[SavingsShare]:
    return SavingsShare.objects.filter(revoked_at=None, expires_at__gt=now)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _name(share: SavingsShare) -> str:
    return share.label or f"#{share.pk}"


def _facts(share: SavingsShare) -> dict[str, str | bool]:
    shown = share.range or f"{share.first_day} – {share.last_day}"
    return {"range": shown, "shows_keys": share.shows_keys, "expires_at": share.expires_at.isoformat()}
