"""Gives a workspace back what it has used of its period's quotas: adjustments in the ledger, and nothing is deleted.

Requests and tokens, of the workspace and of each key; budgets in dollars stay, as what was spent was spent.
"""

from __future__ import annotations

import uuid
from typing import Unpack

from django.db import transaction
from django.db.models import Sum

from billing import bookkeeping
from billing.bookkeeping import Correction
from billing.models import LedgerEntry
from tenants.audit import By
from tenants.models import ApiKey, Tenant


def reset_quota(tenant: Tenant, *, batch: uuid.UUID, reason: str, **by: Unpack[By]) -> Correction:
    """What was given back, once for each `batch`; what is on its way to the ledger counts on. Raises ValueError."""
    requests = tokens = 0
    with transaction.atomic():
        bookkeeping.be_alone(tenant.pk)
        if LedgerEntry.objects.filter(tenant=tenant, batch__in=[_part(batch, key) for key in _keys(tenant)]).exists():
            return Correction()
        period = bookkeeping.open_period(tenant)
        used = (
            LedgerEntry.objects.filter(tenant=tenant, period_start=period.start)
            .values("key_id")
            .annotate(of_requests=Sum("requests"), of_tokens=Sum("tokens"))
            .order_by("key_id")
        )
        keys = ApiKey.objects.filter(tenant=tenant).in_bulk([row["key_id"] for row in used if row["key_id"]])
        for row in used:
            back = Correction(-row["of_requests"], -row["of_tokens"])
            if any(back):
                _give(tenant, back, keys.get(row["key_id"]), row["key_id"], batch, reason, by)
                requests, tokens = requests + back.requests, tokens + back.tokens
    return Correction(requests, tokens)


def _give(
    tenant: Tenant, back: Correction, key: ApiKey | None, key_id: int | None, batch: uuid.UUID, reason: str, by: By
) -> None:
    bookkeeping.adjust(tenant, back, batch=_part(batch, key_id), reason=reason, key=key, **by)


def _keys(tenant: Tenant) -> list[int | None]:
    return [None, *ApiKey.objects.filter(tenant=tenant).values_list("pk", flat=True)]


def _part(batch: uuid.UUID, key_id: int | None) -> uuid.UUID:
    """A batch has one adjustment; each key gets its own."""
    return uuid.uuid5(batch, str(key_id))
