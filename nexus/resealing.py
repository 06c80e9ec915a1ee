"""All that is kept encrypted, and its encryption anew with the first of NEXUS_ENCRYPTION_KEYS. A test finds what is
missing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Model

from analytics.alerts.models import WebhookEndpoint
from gateway.models import Provider
from tenants import secretbox
from tenants.db import schema_of
from tenants.models import Tenant

# In each workspace's schema.
COLUMNS: dict[type[Model], tuple[str, ...]] = {
    Provider: ("credential",),
    WebhookEndpoint: ("secret", "previous_secret"),
}
# What is encrypted of a second factor, one text or a list of them (tenants.accounts.SecretsAdapter).
FACTORS = ("secret", "seed", "migrated_codes")


class Done(NamedTuple):
    """How many were encrypted anew, and the names of those that no key opens."""

    resealed: int
    unreadable: list[str]


def reseal_all() -> Done:
    resealed, unreadable = 0, []
    for outcome in _outcomes():
        if outcome is None:
            resealed += 1
        else:
            unreadable.append(outcome)
    return Done(resealed, unreadable)


def _outcomes() -> Iterator[str | None]:
    """None for each that was done, the name of each that cannot be."""
    for tenant in Tenant.objects.order_by("pk"):
        for model, fields in COLUMNS.items():
            with schema_of(tenant), transaction.atomic():
                for row in model._default_manager.select_for_update():
                    yield from _of_row(row, fields, f"{tenant.slug}/{_name(row)}")
    with transaction.atomic():
        for factor in Authenticator.objects.select_for_update():
            yield from _of_factor(factor)


def _of_row(row: Any, fields: tuple[str, ...], name: str) -> Iterator[str | None]:
    for field in fields:
        sealed = getattr(row, field)
        if not sealed:
            continue
        try:
            setattr(row, field, secretbox.reseal(bytes(sealed)))
        except secretbox.Unreadable:
            yield name
            continue
        row.save(update_fields=[field])
        yield None


def _name(row: Any) -> str:
    """Not an endpoint's URL, which may hold a secret itself."""
    return row.name if isinstance(row, Provider) else f"webhook {row.pk}"


def _of_factor(factor: Authenticator) -> Iterator[str | None]:
    for part in FACTORS:
        sealed = factor.data.get(part)
        if not sealed:
            continue
        try:
            many = [_reseal(one) for one in sealed] if isinstance(sealed, list) else _reseal(sealed)
        except secretbox.Unreadable:
            yield f"second factor {factor.pk} ({factor.type})"
            continue
        factor.data[part] = many
        factor.save(update_fields=["data"])
        yield None


def _reseal(text: str) -> str:
    return secretbox.reseal(text.encode()).decode()
