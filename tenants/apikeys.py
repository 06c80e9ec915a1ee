"""Issues, rotates and revokes API keys. The text of a key exists only in what `issue` and `rotate` return."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Unpack

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext

from tenants import audit, keys
from tenants.audit import By
from tenants.limits import LIMIT_FIELDS
from tenants.models import ApiKey, Tenant, User
from tenants.writing import number

# An app gets this long to take over the new key.
OVERLAP_S = 24 * 3600
# What a key may do, and how much of it: all that its successor has, too.
RIGHTS = ("scopes", "allowed_models", "priority", *LIMIT_FIELDS, "budget_mode", "expires_at")


MAX_KEYS = 1_000


class TooManyKeys(ValueError):
    """The workspace has as many as it may have."""


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


def living(tenant: Tenant) -> QuerySet[ApiKey]:
    """Those that are neither revoked nor expired."""
    return ApiKey.objects.filter(tenant=tenant, revoked_at=None).exclude(expires_at__lte=timezone.now())


def living_first(tenant: Tenant) -> QuerySet[ApiKey]:
    """All of them, `is_over` says which; by name, those of one name the newest first."""
    living_ones = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    is_over = Case(When(living_ones, then=Value(False)), default=Value(True))
    return ApiKey.objects.filter(tenant=tenant).annotate(is_over=is_over).order_by("is_over", "name", "-pk")


def check_room(tenant: Tenant) -> None:
    """Raises TooManyKeys. Under the tenant's lock, if two at once are not to pass."""
    if living(tenant).count() >= MAX_KEYS:
        raise TooManyKeys(
            gettext("A workspace has %(most)s keys at most. Revoke some first.") % {"most": number(MAX_KEYS)}
        )


def change(key: ApiKey, values: Mapping[str, Any], **by: Unpack[By]) -> None:
    """`values`: the name, or of `RIGHTS`; other processes follow within a second. Raises KeyIsDead."""
    with transaction.atomic():
        current = ApiKey.objects.select_for_update().get(pk=key.pk)
        if not current.is_alive:
            raise KeyIsDead(gettext("%(key)s is revoked or expired: issue a new key instead.") % {"key": current})
        before, after = audit.set_differing(current, values)
        if before:
            audit.record(
                "key.changed",
                tenant=current.tenant,
                target=str(current),
                before=json.loads(json.dumps(before, cls=DjangoJSONEncoder)),
                after=json.loads(json.dumps(after, cls=DjangoJSONEncoder)),
                **by,
            )


def rotate(key: ApiKey, *, overlap_s: int = OVERLAP_S, **by: Unpack[By]) -> Issued:
    """A new key with the same rights; the old one goes on for `overlap_s` seconds. Raises KeyIsDead."""
    secret = keys.new_secret()
    with transaction.atomic():
        # Two rotations at once: the second waits, then rotates what the first has left to live.
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        if not old.is_alive:
            raise KeyIsDead(gettext("%(key)s is revoked or expired: issue a new key instead.") % {"key": old})
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
