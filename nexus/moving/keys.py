"""What becomes of a tenant's API keys where it arrives: they work as they did. One that leads to a living workspace
here already is brought in revoked, under another name: it cannot lead to two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.utils import timezone

from nexus.moving.numbers import Numbers
from tenants import revocations
from tenants.models import ApiKey, Tenant, new_public_id

Row = dict[str, str | None]


class Settled(NamedTuple):
    revoked: int


def settle(found: Sequence[Row], numbers: Numbers) -> Settled:
    """Gives each its number, and changes the rows where it must."""
    for row, number in zip(found, Numbers.next(numbers.table, len(found)), strict=True):
        numbers[int(row["id"] or 0)] = number
    taken = ApiKey.objects.filter(public_id__in=[row["public_id"] for row in found]).select_related("tenant")
    living = set()
    for key in taken.select_for_update(of=("self",)):
        if key.tenant.status == Tenant.Status.DELETED:
            # Revoked for good, and kept for the ledger, which knows it by its number.
            ApiKey.objects.filter(pk=key.pk).update(public_id=new_public_id())
        else:
            living.add(key.public_id)
    copies = [row for row in found if row["public_id"] in living]
    for row in copies:
        row["public_id"] = new_public_id()
        row["revoked_at"] = row["revoked_at"] or timezone.now().isoformat()
    return Settled(len(copies))


def announce(found: Sequence[Row]) -> None:
    """Processes that were asked too early have noted that there is no such key."""
    for row in found:
        revocations.publish(f"key:{row['public_id']}")
