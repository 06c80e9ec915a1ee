"""Whether a workspace's books agree with its ledger, in words: from the last comparison of its period."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.figures import count, usd
from billing.models import Reconciliation
from tenants.models import Tenant
from tenants.writing import moment

# Each book, what it is, and why it is there.
BOOKS: tuple[tuple[str, Promise, Promise], ...] = (
    ("redis", gettext_lazy("Counters"), gettext_lazy("By which calls are let in, or refused with 402")),
    ("records", gettext_lazy("Usage records"), gettext_lazy("One for each call, with its tokens and price")),
    ("rollups", gettext_lazy("Sums by the hour"), gettext_lazy("What the dashboard and the reports show")),
    ("days", gettext_lazy("Sums by the day"), gettext_lazy("What they show of longer ranges")),
    ("stripe", gettext_lazy("Stripe's meters"), gettext_lazy("What a metered plan is invoiced by")),
    ("closed", gettext_lazy("Closed period"), gettext_lazy("The sums that were kept when the period was over")),
)
# What comparisons say of books that there is nothing to compare with.
_NOT_COMPARED: dict[str, Promise] = {
    "not metered": gettext_lazy("not used: nothing of this period is metered"),
    "not closed": gettext_lazy("not yet: the period is still open"),
    "no counters": gettext_lazy("not there: nothing was counted lately"),
    "not compared": gettext_lazy("not compared"),
}


class Book(NamedTuple):
    """`verdict`: agrees, differs or absent; `says` is the same for people."""

    name: Promise
    what: Promise
    verdict: str
    says: str


class Agreement(NamedTuple):
    title: str
    agrees: bool
    books: list[Book]


def of(tenant: Tenant, period_start: dt.datetime) -> Agreement | None:
    """None: nobody has compared yet."""
    found = Reconciliation.objects.filter(tenant=tenant, period_start=period_start).first()
    if found is None or not found.books:
        return None
    books = [_book(found.books, *each) for each in BOOKS]
    compared = moment(found.compared_at)
    if found.drifting_since is None:
        return Agreement(_("The books agree as of %(compared)s") % {"compared": compared}, True, books)
    title = _("The books differ since %(since)s; compared %(compared)s")
    return Agreement(title % {"since": moment(found.drifting_since), "compared": compared}, False, books)


def _book(books: dict[str, Any], source: str, name: Promise, what: Promise) -> Book:
    said = books.get(source, {"not_compared": "not compared"})
    if why := said.get("not_compared"):
        return Book(name, what, "absent", str(_NOT_COMPARED.get(why, why)))
    apart = _apart(said, books["ledger"])
    says = apart or _("agrees")
    if source == "stripe" and (free := books.get("parts", {}).get("uncharged")):
        says = _(
            "%(verdict)s; %(requests)s requests and %(usd)s of models are not charged: used outside the metered plan,"
            " or booked after it was left"
        ) % {"verdict": says, "requests": count(free["requests"]), "usd": usd(Decimal(free["cost_usd"]))}
    return Book(name, what, "differs" if apart else "agrees", says)


def _apart(said: dict[str, Any], ledger: dict[str, Any]) -> str:
    """For example “+2 requests, −$0.001000”; nothing when they agree."""
    requests, tokens = (said[name] - ledger[name] for name in ("requests", "tokens"))
    cost = Decimal(said["cost_usd"]) - Decimal(ledger["cost_usd"])
    differences = [
        (requests, _("%(number)s requests") % {"number": _signed(requests, count(requests))}),
        (tokens, _("%(number)s tokens") % {"number": _signed(tokens, count(tokens))}),
        (cost, _signed(cost, usd(cost, 10))),
    ]
    return ", ".join(text for number, text in differences if number)


def _signed(number: Decimal | int, text: str) -> str:
    return f"+{text}" if number > 0 else text
