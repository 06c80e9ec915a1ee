"""Issues, rotates and revokes API keys. The text of a key exists only in what `issue` and `rotate` return."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

from django.db import transaction
from django.utils import timezone

from tenants import audit, keys
from tenants.audit import By
from tenants.limits import LIMIT_FIELDS
from tenants.models import ApiKey, Tenant, User

# An app gets this long to take over the new key.
OVERLAP_S = 24 * 3600
# What a key may do, and how much of it: all that its successor has, too.
RIGHTS = ("scopes", "allowed_models", "priority", *LIMIT_FIELDS, "budget_mode", "expires_at")


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
    actor_label: str = "",
    ip: str | None = None,
    **rights: Any,
) -> Issued:
    """`rights` are of `RIGHTS`. `actor_label` says who did it where no person is known."""
    secret = keys.new_secret()
    with transaction.atomic():
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            secret_sha256=keys.digest(secret),
            scopes=list(scopes),
            created_by=created_by,
            **rights,
        )
        audit.record("key.issued", tenant=tenant, actor=created_by, actor_label=actor_label, target=str(key), ip=ip)
    return Issued(key, keys.render(key.public_id, secret))


def rotate(key: ApiKey, *, overlap_s: int = OVERLAP_S, **by: Unpack[By]) -> Issued:
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
            created_by=by.get("actor"),
            **{name: getattr(old, name) for name in RIGHTS},
        )
        until = timezone.now() + dt.timedelta(seconds=overlap_s)
        old.expires_at = min(until, old.expires_at or until)
        old.save(update_fields=["expires_at"])
        audit.record(
            "key.rotated",
            tenant=old.tenant,
            target=str(old),
            after={"new_key": new.public_id, "old_key_until": old.expires_at.isoformat()},
            **by,
        )
    return Issued(new, keys.render(new.public_id, secret))


def revoke(key: ApiKey, **by: Unpack[By]) -> None:
    """At once, in every process. A second time changes nothing."""
    with transaction.atomic():
        current = ApiKey.objects.select_for_update().get(pk=key.pk)
        if current.revoked_at is None:
            current.revoked_at = timezone.now()
            current.save(update_fields=["revoked_at"])
            audit.record("key.revoked", tenant=current.tenant, target=str(current), **by)
    key.revoked_at = current.revoked_at
