"""People's hands on kept answers: found by id, pinned, unpinned, dropped. Sync; each change is in the audit log."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from gateway.cache import exact, policy, removal
from gateway.cache.entries import PINNED_UNTIL
from gateway.cache.rules import rules_of
from gateway.models import CacheEntry, CacheSettings, CacheVector, Route
from gateway.types import Meta
from tenants import audit
from tenants.audit import By
from tenants.db import schema_of
from tenants.management_views import Unavailable, missing
from tenants.models import Tenant


def pin(tenant: Tenant, text: str, by: By) -> uuid.UUID:
    """It never expires, and is not replaced by a newer one. Raises NotFound, Unavailable."""
    with _touching(tenant):
        entry = _find(text)
        before = _audited(entry)
        _hold(entry, PINNED_UNTIL, PINNED_UNTIL, pinned=True)
        exact.write(tenant.pk, [_kept(entry)])
        _record("cache.entry_pinned", tenant, entry, before, by)
        return entry.pk


def unpin(tenant: Tenant, text: str, by: By) -> uuid.UUID:
    """It gets an end again, as if it came now. Raises NotFound, Unavailable."""
    with _touching(tenant):
        entry = _find(text)
        if entry.pinned:
            before = _audited(entry)
            _unpin(tenant, entry)
            _record("cache.entry_unpinned", tenant, entry, before, by)
        return entry.pk


def drop(tenant: Tenant, text: str, by: By) -> None:
    """Also one that is pinned. Raises NotFound, Unavailable."""
    with _touching(tenant):
        entry = _find(text)
        audit.record("cache.entry_deleted", tenant=tenant, target=entry.id.hex, before=_audited(entry), **by)
        sum(removal.remove(tenant, CacheEntry.objects.filter(pk=entry.pk)))


def id_of(text: str) -> uuid.UUID | None:
    """With dashes or without."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _find(text: str) -> CacheEntry:
    entry_id = id_of(text)
    entry = CacheEntry.objects.select_for_update().filter(pk=entry_id).first() if entry_id else None
    if entry is None:
        raise missing("cache entry", text)
    return entry


def _unpin(tenant: Tenant, entry: CacheEntry) -> None:
    row: dict[str, Any] = dict(CacheSettings.objects.values().first() or {})
    route = Route.objects.filter(model=entry.model).first()
    rules = rules_of(row, route.cache if route else None)
    ttl_s = min(rules.ttl_s, policy.classify(entry.prompt, rules.own).ttl_s)
    expires_at = timezone.now() + dt.timedelta(seconds=ttl_s)
    _hold(entry, expires_at, expires_at + dt.timedelta(seconds=rules.keep_stale_s), pinned=False)
    exact.unpin(tenant.pk, entry.fingerprint, ttl_s)


def _hold(entry: CacheEntry, expires_at: dt.datetime, stale_until: dt.datetime, *, pinned: bool) -> None:
    entry.pinned, entry.expires_at, entry.stale_until = pinned, expires_at, stale_until
    entry.save(update_fields=["pinned", "expires_at", "stale_until"])
    CacheVector.objects.filter(entry_id=entry.pk).update(expires_at=expires_at, stale_until=stale_until)


def _kept(entry: CacheEntry) -> exact.Kept:
    return exact.Kept(entry.fingerprint, Meta.read(entry.meta).write(), bytes(entry.answer), None)


def _record(action: str, tenant: Tenant, entry: CacheEntry, before: dict[str, Any], by: By) -> None:
    audit.record_change(action, tenant=tenant, target=entry.id.hex, before=before, after=_audited(entry), **by)


def _audited(entry: CacheEntry) -> dict[str, Any]:
    """Without the texts: those were for being deleted."""
    return {"model": entry.model, "namespace": entry.namespace, "tags": entry.tags, "pinned": entry.pinned}


@contextmanager
def _touching(tenant: Tenant) -> Iterator[None]:
    """One change, whole or not at all. Raises Unavailable where Redis, which has the answers, cannot be asked."""
    try:
        with schema_of(tenant), transaction.atomic():
            yield
    except redis.RedisError as error:
        raise Unavailable(gettext("The cache cannot be reached right now; try again.")) from error
