"""What an alert says: its title and its line, from its kind and facts, in the language of whoever reads it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from analytics.alerts.kinds import KINDS, TEST, TEST_KIND, Kind
from tenants import kept
from tenants.limits import BudgetMode
from tenants.writing import day, exact, moment, number

Facts = dict[str, Any]


class _Words(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "–"


def title_of(kind: str, facts: Facts) -> str:
    found, words = _find(kind), {name: _word(name, fact) for name, fact in facts.items() if fact is not None}
    try:
        return str(found.title).format_map(words)
    except KeyError:
        return str(found.plain_title or found.title).format_map(_Words(words))


def line_of(kind: str, facts: Facts) -> str:
    words = _Words({name: _word(name, fact) for name, fact in facts.items() if fact is not None})
    line = _LINES[kind](facts) if kind in _LINES else _find(kind).line
    return str(line).format_map(words)


def _find(kind: str) -> Kind:
    """Rows of a kind that this version does not have say their name."""
    return TEST_KIND if kind == TEST else KINDS.get(kind) or Kind(kind, kind, "", "")


# --- words ------------------------------------------------------------------------------------------------------------

_DAYS = {"grace_until", "next_attempt_at", "trial_end"}
_MOMENTS = {"failing_since", "hour", "period_start", "span"}


def _word(name: str, fact: Any) -> Any:
    """Facts are JSON: times are texts there, and so is money."""
    if name in _DAYS or name in _MOMENTS:
        return _at(str(fact), as_day=name in _DAYS)
    if isinstance(fact, bool):
        return fact
    if name.endswith("_usd"):
        return number(Decimal(str(fact)), len(str(fact).partition(".")[2]))
    if isinstance(fact, int | float):
        return f"{exact(fact)} %" if name == "percent" else exact(fact)
    return kept.read(fact) if isinstance(fact, str) else fact


def _at(text: str, *, as_day: bool) -> str:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    # A day alone has no time.
    return day(at) if as_day or len(text) == len("2026-11-21") else moment(at)


# --- lines that depend on the facts -----------------------------------------------------------------------------------


def _budget(facts: Facts) -> str:
    only_warns = facts.get("mode") == BudgetMode.WARN
    end = (
        _("The budget is a warning: nothing is refused.")
        if only_warns
        else _("The budget is hard: what would exceed it is refused.")
    )
    return f"{_spent(facts)} {end}"


def _spent(facts: Facts) -> str:
    if len(str(facts.get("span", ""))) == len("2026-11-21"):
        return _("{used_usd} of {limit_usd} USD ({percent} reached) on {span} (UTC).")
    return _("{used_usd} of {limit_usd} USD ({percent} reached) in the period from {span}.")


def _failed_payment(facts: Facts) -> str:
    sentences = [
        _("A payment for the plan “{plan}” failed.")
        if facts.get("amount_usd") is None
        else _("A payment of {amount_usd} USD for the plan “{plan}” failed.")
    ]
    if facts.get("next_attempt_at"):
        sentences.append(_("It is tried again on {next_attempt_at}."))
    if facts.get("grace_until"):
        sentences.append(_("The plan stays until {grace_until}."))
    if facts.get("invoice_url"):
        sentences.append(_("The invoice: {invoice_url}"))
    return " ".join(sentences)


def _trial(facts: Facts) -> str:
    if facts.get("trial_end"):
        ends = _("The trial of the plan “{plan}” ends on {trial_end}.")
    else:
        ends = _("The trial of the plan “{plan}” ends soon.")
    if facts.get("card_known"):
        return f"{ends} {_('Then the plan is paid for by the card on file.')}"
    return f"{ends} {_('Add a card to keep the plan.')}"


def _semantic_tier(facts: Facts) -> str:
    if facts.get("semantic") == "off":
        return _("{reason} The semantic tier is off.")
    return _("{reason} The semantic tier's threshold is {threshold}.")


_LINES: dict[str, Callable[[Facts], str | Promise]] = {
    "budget_daily": _budget,
    "budget_monthly": _budget,
    "cache_budget_exceeded": _semantic_tier,
    "payment_failed": _failed_payment,
    "trial_ends": _trial,
}
