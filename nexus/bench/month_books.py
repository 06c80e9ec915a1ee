"""What the books of the month's tenants say when all is booked: against each other, and against what was told.

Closes what is over first. Refuses to call a difference small: one unit of 1e-10 USD differs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeVar

import redis
from django.utils import timezone

from analytics import closing, reconciler, reconciliation
from analytics.books import Sums
from analytics.reconciliation import NOTHING, Comparison
from billing import pricing
from billing.bookkeeping import Busy
from billing.closing import due, end_of
from billing.models import LedgerEntry, Subscription
from billing.periods import Period
from nexus.bench.month_told import Told, Used, added
from tenants.models import Tenant

# Holds of killed processes keep a period open until they expire.
CLOSING_S, BUSY_S = 90.0, 30.0
Result = TypeVar("Result")
BOOKS = ("ledger", "redis", "records", "rollups", "days", "closed", "stripe")


class Row(NamedTuple):
    """One book over all periods that it can tell of; `silent` says why it cannot tell of the others."""

    book: str
    sums: Sums
    compared: int
    agree: int
    silent: str = ""


def close(client: redis.Redis, tenants: Sequence[Tenant]) -> int:
    """The periods that are over; how many. Waits until nothing of theirs is in flight."""
    ids, until, closed = {tenant.pk for tenant in tenants}, time.monotonic() + CLOSING_S, 0
    while any(one.tenant_id in ids for one in due(timezone.now(), after=closing.AFTER)):
        closed += sum(one.tenant_id in ids for one in closing.close_due(client, timezone.now()))
        if time.monotonic() > until:
            break
        time.sleep(0.5)
    return closed


def periods(tenant: Tenant) -> list[Period]:
    """All that have something booked."""
    anchor = Subscription.objects.get(tenant=tenant).anchor_at
    starts = LedgerEntry.objects.filter(tenant=tenant).values_list("period_start", flat=True).distinct()
    return [Period(start, end_of(anchor, start)) for start in sorted(starts.order_by())]


def compare(client: redis.Redis, tenants: Sequence[Tenant]) -> list[Comparison]:
    return [_compare(client, tenant, period) for tenant in tenants for period in periods(tenant)]


def _compare(client: redis.Redis, tenant: Tenant, period: Period) -> Comparison:
    return _patiently(lambda: reconciliation.compare(client, tenant, period))


def _patiently(read: Callable[[], Result]) -> Result:
    until = time.monotonic() + BUSY_S
    while True:
        try:
            return read()
        except Busy:
            if time.monotonic() > until:
                raise


class Off(NamedTuple):
    """By how much the counters of a tenant's period differed from the ledger."""

    tenant: str
    period: Period
    sums: Sums


def off(found: Sequence[Comparison]) -> list[Off]:
    """Those whose counters in Redis differ."""
    return [Off(one.tenant.slug, one.period, one.keys.get(None, NOTHING)) for one in found if one.keys]


def reconcile(client: redis.Redis, tenants: Sequence[Tenant]) -> None:
    """What Redis lacks is added, as workers do it a round after they found it: here nobody tells anything any more."""
    repair = functools.partial(reconciliation.repair, client, actor_label=reconciler.NAME, only_short=True)
    for tenant in tenants:
        for period in periods(tenant):
            _patiently(functools.partial(repair, tenant, period))


def rows(found: Sequence[Comparison]) -> list[Row]:
    return [_row(book, found) for book in BOOKS]


def _row(book: str, found: Sequence[Comparison]) -> Row:
    told = [(one, said) for one in found if isinstance(said := one.books[book], Sums)]
    reasons = sorted({said for one in found if isinstance(said := one.books[book], str)})
    total = NOTHING
    for _, said in told:
        total = total.plus(said)
    agree = sum(said == one.ledger and not (book == "redis" and one.keys) for one, said in told)
    return Row(book, total, len(told), agree, f"{len(found) - len(told)} {'; '.join(reasons)}" if reasons else "")


def differing(found: Sequence[Comparison]) -> list[str]:
    return [
        f"{one.tenant.slug} from {one.period.start:%Y-%m-%d %H:%M}: {row.book} says {one.books[row.book]}, the ledger"
        f" {one.ledger}"
        for one in found
        for row in rows([one])
        if row.agree < row.compared
    ]


class Kept(NamedTuple):
    """What all processes were told of a tenant, what may have been in flight when one was killed, and the ledger's."""

    told: Used
    begun: Used
    doubted: Used
    ledger: Used

    @property
    def lost(self) -> bool:
        return any(ours < theirs for ours, theirs in zip(self.ledger, self.told, strict=True))

    @property
    def doubled(self) -> bool:
        most = added([self.told, self.begun, self.doubted])
        return any(ours > theirs for ours, theirs in zip(self.ledger, most, strict=True))


def kept(tenants: Sequence[Tenant], told: Sequence[Told], found: Sequence[Comparison]) -> list[Kept]:
    """In the order of the tenants."""
    return [_kept([one.of(number) for one in told], tenant, found) for number, tenant in enumerate(tenants)]


def _kept(parts: list[tuple[Used, Used, Used]], tenant: Tenant, found: Sequence[Comparison]) -> Kept:
    ledger = added([_as_used(one.ledger) for one in found if one.tenant == tenant])
    columns = [added([part[at] for part in parts]) for at in range(3)]
    return Kept(columns[0], columns[1], columns[2], ledger)


def _as_used(sums: Sums) -> Used:
    return Used(sums.requests, sums.tokens, pricing.units(sums.cost_usd))


def total(each: Sequence[Kept]) -> Kept:
    return Kept(*(added([one[at] for one in each]) for at in range(4)))


def table(rows_before: Sequence[Row], rows_after: Sequence[Row], kept_in_all: Kept) -> str:
    """What reconciles with what: sums over all tenants and periods."""
    return "\n".join(
        [
            f"{'':34}{'requests':>12}{'tokens':>16}{'USD':>22}  periods that agree",
            *_told_lines(kept_in_all),
            *_book_lines(rows_before, rows_after),
        ]
    )


def _told_lines(in_all: Kept) -> Iterator[str]:
    for name, used in (
        ("told: acknowledged to callers", in_all.told),
        ("  in flight at a kill, at most", in_all.begun),
        ("  admitted without an answer", in_all.doubted),
    ):
        yield f"{name:34}{used.requests:>12,}{used.tokens:>16,}{used.units / Decimal(10**10):>22,.10f}"


def _book_lines(before: Sequence[Row], after: Sequence[Row]) -> Iterator[str]:
    for first, last in zip(before, after, strict=True):
        if first.book != "redis":
            yield _line(first.book, last)
        else:
            yield _line("redis, as found", first)
            yield _line("redis, a round later", last)


def _line(name: str, row: Row) -> str:
    if not row.compared:
        return f"{name:34}{row.silent}"
    sums = f"{row.sums.requests:>12,}{row.sums.tokens:>16,}{row.sums.cost_usd:>22,.10f}"
    return f"{name:34}{sums}  {row.agree} of {row.compared}{f'; {row.silent}' if row.silent else ''}"
