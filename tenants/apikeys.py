"""Issues, rotates and revokes API keys. The text of a key exists only in what `issue` and `rotate` return."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from tenants import audit, keys
from tenants.models import ApiKey, Tenant, User

# An app gets this long to take over the new key.
OVERLAP_S = 24 * 3600


class KeyIsDead(ValueError):
    """Revoked or expired: a successor would bring back what was taken away."""


class Issued(NamedTuple):
    """A key, and its text, which is shown once."""

    key: ApiKey
    text: str


def issue(
    tenant: Tenant,
    *,
    name: str = "default",
    created_by: User | None = None,
    scopes: Sequence[str] = (),
    ip: str | None = None,
    **limits: int | None,
) -> Issued:
    secret = keys.new_secret()
    with transaction.atomic():
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            secret_sha256=keys.digest(secret),
            scopes=list(scopes),
            created_by=created_by,
            **limits,
        )
        audit.record("key.issued", tenant=tenant, actor=created_by, target=str(key), ip=ip)
    return Issued(key, keys.render(key.public_id, secret))


def rotate(key: ApiKey, *, overlap_s: int = OVERLAP_S, actor: User | None = None, ip: str | None = None) -> Issued:
    """A new key with the same rights; the old one goes on for `overlap_s` seconds. Raises KeyIsDead."""
    secret = keys.new_secret()
    with transaction.atomic():
        # Two rotations at once: the second waits, then rotates what the first has left to live.
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= timezone.now()):
            raise KeyIsDead(f"{old} is revoked or expired: issue a new key instead.")
        new = ApiKey.objects.create(
            tenant=old.tenant,
            name=old.name,
            secret_sha256=keys.digest(secret),
            scopes=old.scopes,
            allowed_models=old.allowed_models,
            priority=old.priority,
            requests_per_minute=old.requests_per_minute,
            tokens_per_minute=old.tokens_per_minute,
            monthly_requests=old.monthly_requests,
            monthly_tokens=old.monthly_tokens,
            expires_at=old.expires_at,
            created_by=actor,
        )
        until = timezone.now() + dt.timedelta(seconds=overlap_s)
        old.expires_at = min(until, old.expires_at or until)
        old.save(update_fields=["expires_at"])
        audit.record(
            "key.rotated",
            tenant=old.tenant,
            actor=actor,
            target=str(old),
            after={"new_key": new.public_id, "old_key_until": old.expires_at.isoformat()},
            ip=ip,
        )
    return Issued(new, keys.render(new.public_id, secret))


def revoke(key: ApiKey, *, actor: User | None = None, ip: str | None = None) -> None:
    """At once, in every process. A second time changes nothing."""
    with transaction.atomic():
        current = ApiKey.objects.select_for_update().get(pk=key.pk)
        if current.revoked_at is None:
            current.revoked_at = timezone.now()
            current.save(update_fields=["revoked_at"])
            audit.record("key.revoked", tenant=current.tenant, actor=actor, target=str(current), ip=ip)
    key.revoked_at = current.revoked_at
