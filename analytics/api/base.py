"""What the views of this API share: who sees what, and how money, keys and shares are written."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from tenants import roles
from tenants.management_views import ManagementView
from tenants.models import ApiKey
from tenants.roles import Action

MONEY_DIGITS = 10


class OwnView(ManagementView):
    """For any valid key. One without the scope “figures” sees what was asked with it alone, any other the workspace."""

    action = Action.FIGURES

    permission_classes: tuple[type[BasePermission], ...] = ()

    @property
    def own_key_id(self) -> int | None:
        """Whose requests it may see; None: those of all keys."""
        return None if roles.does(self.key.scopes, Action.FIGURES) else self.key.pk


class AnyAnswer(BaseContentNegotiation):
    """For views that know by their own parameter what they answer; errors are JSON."""

    def select_parser(self, request: Request, parsers: list[Any]) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], str(renderers[0].media_type)


def money(usd: Decimal) -> str:
    """All digits that the tables have, and no exponent."""
    return f"{usd:.{MONEY_DIGITS}f}"


def names_of_keys(ids: Iterable[int | None]) -> dict[int | None, tuple[str, str]]:
    """Public id and name of each. One that is gone is told by its number; none at all by an empty text."""
    wanted = set(ids)
    found = ApiKey.objects.filter(pk__in=[pk for pk in wanted if pk is not None]).values_list("pk", "public_id", "name")
    known: dict[int | None, tuple[str, str]] = {None: ("", "")}
    known |= {pk: (public_id, name) for pk, public_id, name in found}
    return {pk: known.get(pk, (f"#{pk}", "")) for pk in wanted}


def share(used: int, limit: int | None) -> dict[str, int | float | None]:
    """Without a limit, what is left and the percentage are null."""
    if limit is None:
        return {"used": used, "limit": None, "remaining": None, "percent": None}
    percent = round(100 * used / limit, 2) if limit else 100.0
    return {"used": used, "limit": limit, "remaining": max(0, limit - used), "percent": percent}


def budget(used: Decimal, limit: Decimal | None) -> dict[str, str | float | None]:
    """The same of money, as text."""
    if limit is None:
        return {"used": money(used), "limit": None, "remaining": None, "percent": None}
    percent = float(round(100 * used / limit, 2)) if limit else 100.0
    left = max(Decimal(0), limit - used)
    return {"used": money(used), "limit": money(limit), "remaining": money(left), "percent": percent}
