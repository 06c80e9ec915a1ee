"""What a plan, a workspace and a key may be held to: one list of fields, as values and as columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants.writing import number


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit. Requests and tokens by the minute, hour and day are sliding windows; with a burst, those of the
    minute are a token bucket of that size instead. Monthly ones count in the billing period, budgets in hard dollars.
    """

    requests_per_minute: int | None = None
    requests_per_hour: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_hour: int | None = None
    tokens_per_day: int | None = None
    request_burst: int | None = None
    token_burst: int | None = None
    concurrency: int | None = None
    monthly_requests: int | None = None
    monthly_tokens: int | None = None
    daily_budget_usd: Decimal | None = None
    monthly_budget_usd: Decimal | None = None


NO_LIMITS = Limits()
LIMIT_FIELDS = tuple(field.name for field in dataclasses.fields(Limits))
BUDGET_FIELDS = ("daily_budget_usd", "monthly_budget_usd")
COUNT_FIELDS = tuple(name for name in LIMIT_FIELDS if name not in BUDGET_FIELDS)


class BudgetMode(models.TextChoices):
    HARD = "hard", _("Refuse what would exceed it")
    WARN = "warn", _("Let it pass, and tell")


# Lua's numbers are exact up to here.
LARGEST = 2**53
LARGEST_USD = Decimal(900_000)


def _usd(help_text: Any) -> models.DecimalField:
    return models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        help_text=help_text,
        validators=[MinValueValidator(0), MaxValueValidator(LARGEST_USD)],
    )


class Budgeted(models.Model):
    """Dollars by the UTC day and by the billing period. Empty is no budget."""

    daily_budget_usd = _usd(_("Of what providers charge, by the UTC day."))
    monthly_budget_usd = _usd(_("Of what providers charge, in a billing period."))
    budget_mode = models.CharField(max_length=4, choices=BudgetMode.choices, default=BudgetMode.HARD)

    class Meta:
        abstract = True


class Limited(Budgeted):
    """Columns for all of `Limits`. Empty is no limit."""

    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    requests_per_hour = models.PositiveIntegerField(null=True, blank=True)
    requests_per_day = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_hour = models.PositiveBigIntegerField(null=True, blank=True)
    tokens_per_day = models.PositiveBigIntegerField(null=True, blank=True)
    request_burst = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Makes a token bucket of this size of the requests a minute.")
    )
    token_burst = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Makes a token bucket of this size of the tokens a minute.")
    )
    concurrency = models.PositiveIntegerField(null=True, blank=True, help_text=_("Requests in flight at once."))
    monthly_requests = models.PositiveBigIntegerField(null=True, blank=True)
    monthly_tokens = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        abstract = True


def check(limits: Mapping[str, Any]) -> None:
    """Limits as people send them. Raises ValueError with a sentence about the first that could not be applied."""
    for name, value in limits.items():
        if name == "budget_mode":
            if value not in BudgetMode.values:
                raise ValueError(gettext("budget_mode is %(modes)s.") % {"modes": ", ".join(BudgetMode.values)})
        elif name in BUDGET_FIELDS:
            if value is not None and not _is_budget(value):
                text = gettext("%(name)s must be US dollars from 0 to %(most)s, with cents, or null for none.")
                raise ValueError(text % {"name": name, "most": number(LARGEST_USD)})
        elif name not in COUNT_FIELDS:
            known = ", ".join((*LIMIT_FIELDS, "budget_mode"))
            raise ValueError(gettext("%(name)s is not a limit; there are %(known)s.") % {"name": name, "known": known})
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST):
            text = gettext("%(name)s must be a whole number from 0 to %(most)s, or null for no limit.")
            raise ValueError(text % {"name": name, "most": LARGEST})
        elif value == 0 and name.endswith("_burst"):
            raise ValueError(gettext("%(name)s must be at least 1, or null for a sliding window.") % {"name": name})


def _is_budget(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return False
    try:
        usd = Decimal(str(value))
    except ArithmeticError:
        return False
    return usd.is_finite() and 0 <= usd <= LARGEST_USD and usd == round(usd, 2)
