"""Whether a workspace's books agree with its ledger, in words: from the last comparison of its period."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from billing.figures import count, moment, usd
from billing.models import Reconciliation
from tenants.models import Tenant

# Each book, what it is, and why it is there.
BOOKS = (
    ("redis", "Counters", "By which calls are let in, or refused with 402"),
    ("records", "Usage records", "One for each call, with its tokens and price"),
    ("rollups", "Sums by the hour", "What the dashboard and the reports show"),
    ("stripe", "Stripe's meters", "What a metered plan is invoiced by"),
    ("closed", "Closed period", "The sums that were kept when the period was over"),
)
# What comparisons say of books that there is nothing to compare with.
_NOT_COMPARED = {
    "not metered": "not used: nothing of this period is metered",
    "not closed": "not yet: the period is still open",
    "no counters": "not there: nothing was counted lately",
}


class Book(NamedTuple):
    """`verdict`: agrees, differs or absent; `says` is the same for people."""

    name: str
    what: str
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
        return Agreement(f"The books agree as of {compared}", True, books)
    return Agreement(f"The books differ since {moment(found.drifting_since)}; compared {compared}", False, books)


def _book(books: dict[str, Any], source: str, name: str, what: str) -> Book:
    said = books.get(source, {"not_compared": "not compared"})
    if why := said.get("not_compared"):
        return Book(name, what, "absent", _NOT_COMPARED.get(why, why))
    apart = _apart(said, books["ledger"])
    says = apart or "agrees"
    if source == "stripe" and (free := books.get("parts", {}).get("uncharged")):
        says += f"; {count(free['requests'])} requests and {usd(Decimal(free['cost_usd']))} of models are not charged:"
        says += " used outside the metered plan, or booked after it was left"
    return Book(name, what, "differs" if apart else "agrees", says)


def _apart(said: dict[str, Any], ledger: dict[str, Any]) -> str:
    """For example “+2 requests, −$0.001000”; nothing when they agree."""
    requests, tokens = (said[name] - ledger[name] for name in ("requests", "tokens"))
    cost = Decimal(said["cost_usd"]) - Decimal(ledger["cost_usd"])
    differences = [
        (requests, f"{count(requests)} requests"),
        (tokens, f"{count(tokens)} tokens"),
        (cost, usd(cost, 10)),
    ]
    return ", ".join(f"{'+' if number > 0 else ''}{text}" for number, text in differences if number)
