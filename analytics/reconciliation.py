"""Compares the books of a tenant's period: ledger, Redis, usage records, rollups, the closed period, Stripe.

Exact while traffic flows: the tenant's bookings stand still for the moment in which Redis is read and a snapshot of
Postgres is taken. What a gateway keeps in a file while Redis is away is in no book yet, so nothing differs by it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import redis
from django.db import connection, transaction
from django.utils import timezone

from analytics import books, meters, retention
from analytics.books import Counted, Ledger, Sums
from analytics.signals import drift_found
from billing import bookkeeping, pricing
from billing.closing import end_of
from billing.models import ClosedPeriod, LedgerEntry, Reconciliation, Subscription
from billing.periods import Period, period_at
from tenants import audit, keyspace
from tenants.models import Tenant

logger = logging.getLogger(__name__)

NOTHING = Sums()
# Rounds begin 3 minutes apart and last up to one. What Redis lost, gateways tell again within seconds of its return,
# some of them later than others: what is added before that is there twice.
A_ROUND = dt.timedelta(seconds=150)
# Some rounds: by then it has been added, or Redis goes on losing.
MENDED_AFTER = dt.timedelta(minutes=15)


class Comparison(NamedTuple):
    """`books`: what each says, or why it is not compared, each as of the same moment and of the same usage. `parts`
    says what that took: what was waiting, late or adjusted, charged or not. `keys` are those whose counters are off,
    and by how much.
    """

    tenant: Tenant
    period: Period
    at: dt.datetime
    books: dict[str, Sums | str]
    parts: dict[str, Sums]
    keys: dict[int | None, Sums]

    @property
    def ledger(self) -> Sums:
        ledger = self.books["ledger"]
        assert isinstance(ledger, Sums)
        return ledger

    @property
    def is_short_in_redis(self) -> bool:
        """Whether Redis' counters lack some of what is booked, and have nothing beyond it."""
        return bool(self.keys) and all(value <= 0 for apart in self.keys.values() for value in apart)

    @property
    def is_only_short(self) -> bool:
        """Whether that is all that differs."""
        others = (book for name, book in self.books.items() if name != "redis" and isinstance(book, Sums))
        return self.is_short_in_redis and all(book == self.ledger for book in others)

    @property
    def drift(self) -> Sums:
        """The largest difference from the ledger, each sum for itself."""
        apart = [book.minus(self.ledger) for book in self.books.values() if isinstance(book, Sums)]
        columns: Any = zip(*apart, *self.keys.values(), strict=True)
        return Sums(*(max(column, key=abs) for column in columns))


def periods_of(tenant: Tenant, now: dt.datetime) -> list[Period]:
    """Those worth a comparison: the one that was closed last, those that are over and not closed, and that of now."""
    anchor = Subscription.objects.get(tenant=tenant).anchor_at
    closed = ClosedPeriod.objects.filter(tenant=tenant).order_by("-period_start").first()
    used = LedgerEntry.objects.filter(tenant=tenant)
    if closed is not None:
        used = used.filter(period_start__gte=closed.period_start)
    starts = {*used.values_list("period_start", flat=True).distinct().order_by(), period_at(anchor, now).start}
    return [Period(start, end_of(anchor, start)) for start in sorted(starts)]


def compare(client: redis.Redis, tenant: Tenant, period: Period, *, ask_stripe: bool = False) -> Comparison:
    """Raises Busy, when it cannot be told right now; RedisError."""
    at_stripe = meters.ask(tenant, period) if ask_stripe else None
    with contextlib.ExitStack() as standing:
        standing.enter_context(bookkeeping.still(tenant.pk))
        # Those whose booking was cut off before they were counted.
        bookkeeping.count_adjustments(client, tenant.pk, period.start)
        counted = books.read_redis(client, tenant.pk, period)
        with _snapshot():
            ledger = books.read_ledger(tenant, period.start)
            # From here on others may book: this transaction does not see it.
            standing.close()
            return _compared(tenant, period, ledger, counted, at_stripe)


@contextlib.contextmanager
def _snapshot() -> Iterator[None]:
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _compared(
    tenant: Tenant, period: Period, ledger: Ledger, counted: Counted, at_stripe: Sums | str | None
) -> Comparison:
    waiting = _waiting(tenant, counted)
    off = _off(ledger, counted, waiting)
    by_hand = ledger.by_kind[LedgerEntry.Kind.ADJUSTMENT]
    said: dict[str, Sums | str] = {"ledger": ledger.total, "redis": "no counters"}
    if counted.used:
        said["redis"] = ledger.total.plus(off.get(None, NOTHING))
    if (gone := retention.purged(tenant, period)) is None:
        kept = books.read_records(tenant, period)
        of_records = {"records": kept.records, "rollups": kept.hours, "days": kept.days}
        said |= {name: sums.plus(by_hand) for name, sums in of_records.items()}
    else:
        said |= dict.fromkeys(("records", "rollups", "days"), gone)
    said["closed"] = books.read_closed(tenant, period.start, ledger)
    said["stripe"], reported, uncharged = meters.read(tenant, period, ledger.total, at_stripe)
    late = ledger.by_kind[LedgerEntry.Kind.LATE]
    parts = {"waiting": waiting[None], "late": late, "adjusted": by_hand}
    parts |= {"reported": reported, "uncharged": uncharged}
    return Comparison(tenant, period, timezone.now(), said, parts, off)


def _waiting(tenant: Tenant, counted: Counted) -> dict[int | None, Sums]:
    """What Redis has counted and nobody has booked, by key. An event may be there twice, or be booked already."""
    there = books.are_recorded(tenant, counted.waiting)
    return books.sums_of(event for event_id, event in counted.waiting.items() if event_id not in there)


def _off(ledger: Ledger, counted: Counted, waiting: dict[int | None, Sums]) -> dict[int | None, Sums]:
    """By how much the counters of which keys, or of the tenant (None), are off."""
    off: dict[int | None, Sums] = {}
    for key_id in {*counted.used, *ledger.by_key, *waiting} if counted.used else ():
        booked = counted.used.get(key_id, NOTHING).minus(waiting.get(key_id, NOTHING))
        if (apart := booked.minus(ledger.by_key.get(key_id, NOTHING))) != NOTHING:
            off[key_id] = apart
    return off


def keep(found: Comparison) -> Reconciliation:
    """As the last comparison of its period; tells of a drift that the one before had found too.

    Not if Redis only lacks something: workers add that.
    """
    drift = found.drift
    with transaction.atomic():
        Reconciliation.objects.get_or_create(
            tenant=found.tenant, period_start=found.period.start, defaults={"compared_at": found.at, "books": {}}
        )
        row = Reconciliation.objects.select_for_update().get(tenant=found.tenant, period_start=found.period.start)
        since = row.drifting_since
        row.compared_at, row.books = found.at, as_json(found)
        row.drift_requests, row.drift_tokens, row.drift_usd = drift
        row.drifting_since = (since or found.at) if drift != NOTHING else None
        row.save()
    if drift != NOTHING:
        logger.warning("the books of %s from %s differ: %s", found.tenant, found.period.start, drift)
        if since is not None and not (found.is_only_short and found.at - since < MENDED_AFTER):
            drift_found.send_robust(sender=Reconciliation, tenant=found.tenant, comparison=row)
    return row


def has_lasted(found: Comparison, last: Reconciliation | None) -> bool:
    """Whether Redis' counters lacked as much a round ago, or more: gateways have told again what they will."""
    if last is None or not found.is_short_in_redis or found.at - last.compared_at < A_ROUND:
        return False
    then: dict[int | None, Sums] = {int(key_id): _sums(apart) for key_id, apart in last.books["keys"].items()}
    if "not_compared" not in last.books["redis"]:
        then[None] = _sums(last.books["redis"]).minus(_sums(last.books["ledger"]))
    # What is missing anew is in neither of them for long enough.
    newly = (apart.minus(then.get(key_id, NOTHING)) for key_id, apart in found.keys.items())
    return all(value >= 0 for apart in newly for value in apart)


def as_json(found: Comparison) -> dict[str, Any]:
    """By source, then what they are made of."""
    said = {
        name: _plain(book) if isinstance(book, Sums) else {"not_compared": book} for name, book in found.books.items()
    }
    said["parts"] = {name: _plain(part) for name, part in found.parts.items() if part != NOTHING}
    said["keys"] = {str(key_id): _plain(apart) for key_id, apart in found.keys.items() if key_id is not None}
    return said


def _plain(sums: Sums) -> dict[str, Any]:
    return {**sums._asdict(), "cost_usd": str(sums.cost_usd)}


def _sums(plain: dict[str, Any]) -> Sums:
    return Sums(plain["requests"], plain["tokens"], Decimal(plain["cost_usd"]))


# Counters that have expired meanwhile must not come back as a few fields.
_ADD = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for at = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1]) end
return 1
"""


def repair(
    client: redis.Redis, tenant: Tenant, period: Period, *, actor_label: str, only_short: bool = False
) -> dict[int | None, Sums]:
    """Adds to Redis' counters what they lack, so that what is counted meanwhile stays; by how much they were off.

    With `only_short` nothing is changed where some are too high. Other books are not repaired: they are written with
    the ledger, in one transaction. Raises Busy, RedisError.
    """
    with bookkeeping.still(tenant.pk), transaction.atomic():
        bookkeeping.count_adjustments(client, tenant.pk, period.start)
        counted = books.read_redis(client, tenant.pk, period)
        off = _off(books.read_ledger(tenant, period.start), counted, _waiting(tenant, counted))
        if only_short and any(value > 0 for apart in off.values() for value in apart):
            return {}
        if off:
            before = {str(key_id or "workspace"): _plain(apart) for key_id, apart in off.items()}
            audit.record(
                "ledger.counters_repaired",
                tenant=tenant,
                target=period.start.isoformat(),
                actor_label=actor_label,
                before={"off_by": before},
            )
            client.eval(_ADD, 1, keyspace.quota(tenant.pk, period.id), *_changes(off))
    return off


def _changes(off: dict[int | None, Sums]) -> list[str]:
    """Field, amount, and so on."""
    changes = []
    for key_id, apart in off.items():
        scope = "" if key_id is None else f"k{key_id}:"
        for name, value in zip("rtc", (apart.requests, apart.tokens, pricing.units(apart.cost_usd)), strict=True):
            changes += [f"{scope}{name}", str(-value)]
    return changes
