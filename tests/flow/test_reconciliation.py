"""Whether the books agree, told exactly while they are written; what differs is found, told and repaired."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import io
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from analytics import books, reconciliation
from analytics.books import Sums
from analytics.events import HIT_SEMANTIC
from analytics.models import DAY_S, HOUR_S, UsageRollup
from analytics.reconciliation import Comparison
from analytics.signals import drift_found
from analytics.tasks import drain_usage
from billing import bookkeeping
from billing.bookkeeping import Busy, Correction
from billing.models import LedgerEntry, Reconciliation
from tenants import keyspace
from tenants.db import schema_of
from tenants.models import AuditEvent
from tests import usage
from tests.conftest import Workspace
from tests.traffic import ended_ago, gateway, period_of, run, use
from tests.usage import COST_USD, miss, send, stream_of

ONE = Sums(1, 30, COST_USD)


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with usage.client() as connected:
        yield connected


def compare(client: redis.Redis, workspace: Workspace) -> Comparison:
    return reconciliation.compare(client, workspace.tenant, period_of(workspace))


def compare_elsewhere(client: redis.Redis, workspace: Workspace) -> Comparison:
    """In a thread that has its own connection to Postgres."""
    try:
        return compare(client, workspace)
    finally:
        connections.close_all()


def counters_of(workspace: Workspace) -> str:
    return keyspace.quota(workspace.tenant.pk, period_of(workspace).id)


def correct(workspace: Workspace, *, batch: uuid.UUID | None = None, **sums: Any) -> LedgerEntry:
    return bookkeeping.adjust(workspace.tenant, Correction(**sums), batch=batch or uuid.uuid4(), reason="a test")


def test_all_books_agree_on_every_kind_of_answer(alice: Workspace, client: redis.Redis) -> None:
    use(
        alice,
        {},
        {"cost_usd": None},
        {"cost_usd": Decimal("0.0000000001")},
        {"status": 502, "prompt_tokens": 0, "completion_tokens": 0, "billed_tokens": 0, "cost_usd": Decimal(0)},
        {"status": 499, "error": "client_left"},
        {"outcome": HIT_SEMANTIC, "billed_tokens": 0, "cost_usd": Decimal(0), "saved_usd": COST_USD},
    )
    drain_usage()
    found = compare(client, alice)
    expected = Sums(5, 120, 2 * COST_USD + Decimal("0.0000000001"))
    for book in ("ledger", "redis", "records", "rollups", "days"):
        assert found.books[book] == expected, book
    assert (found.books["closed"], found.books["stripe"]) == ("not closed", "not metered")
    assert found.drift == reconciliation.NOTHING


def test_what_waits_in_the_stream_is_no_difference(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    use(alice, {}, {})
    found = compare(client, alice)
    assert found.books["redis"] == found.ledger == ONE
    assert found.parts["waiting"] == Sums(2, 60, 2 * COST_USD)


def test_an_event_that_is_sent_again_is_no_difference(alice: Workspace, client: redis.Redis) -> None:
    (booked,) = use(alice, {})
    drain_usage()
    (waits,) = use(alice, {})
    # As a gateway does after Redis broke: both are in the stream once more.
    send(stream_of(alice), booked, waits)
    assert compare(client, alice).drift == reconciliation.NOTHING
    drain_usage()
    assert compare(client, alice).books["redis"] == Sums(2, 60, 2 * COST_USD)


def test_calls_in_flight_and_settlements_in_a_spool_are_in_no_book(alice: Workspace, client: redis.Redis) -> None:
    async def cut_off() -> None:
        async with gateway(alice) as one:
            call = await one.admit(alice)
            found = await asyncio.to_thread(compare_elsewhere, client, alice)
            assert found.books["redis"] == found.ledger == reconciliation.NOTHING
            await call.settle()
            # Told twice, as a spool is after a crash.
            await call.settle()

    run(cut_off())
    drain_usage()
    found = compare(client, alice)
    assert found.books["redis"] == found.ledger == ONE


def test_comparisons_are_exact_while_traffic_flows_and_is_booked(
    make_workspace: Callable[..., Workspace], client: redis.Redis
) -> None:
    alice = make_workspace(requests_per_minute=None)
    over = threading.Event()

    async def traffic(seed: int) -> None:
        chance = random.Random(seed)
        async with gateway(alice) as one:
            while not over.is_set():
                call = await one.admit(alice)
                await asyncio.sleep(chance.random() * 0.003)
                event = await call.settle()
                if chance.random() < 0.1:
                    await asyncio.to_thread(send, stream_of(alice), event)

    def book() -> None:
        try:
            while not over.is_set():
                drain_usage()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(traffic(seed),)) for seed in range(2)]
    threads += [threading.Thread(target=book) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        found = [compare(client, alice) for _ in range(40)]
        correct(alice, requests=-3, tokens=7)
        found += [compare(client, alice) for _ in range(20)]
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert [one.drift for one in found] == [reconciliation.NOTHING] * 60
    assert found[0].ledger.requests < found[-1].ledger.requests
    drain_usage()
    assert compare(client, alice).drift == reconciliation.NOTHING


def test_another_periods_usage_in_the_same_hour_is_told_apart(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    before = period_of(alice).start - dt.timedelta(seconds=1)
    send(stream_of(alice), *(miss(alice, at=before.timestamp(), period=int(before.timestamp())) for _ in range(3)))
    drain_usage()
    found = compare(client, alice)
    assert found.books["records"] == found.books["rollups"] == found.ledger == ONE


@pytest.mark.parametrize(
    ("rows", "book"),
    [
        ("usagerecord", "records"),
        (f"usagerollup WHERE width_s = {HOUR_S}", "rollups"),
        (f"usagerollup WHERE width_s = {DAY_S}", "days"),
    ],
)
def test_what_is_missing_in_a_table_is_found(alice: Workspace, client: redis.Redis, rows: str, book: str) -> None:
    # Long before: neither in the first nor in the last hour of the period, which the records stand for.
    ended_ago(alice, dt.timedelta(days=5))
    use(alice, {}, {}, now=timezone.now() - dt.timedelta(days=2))
    drain_usage()
    with connection.cursor() as cursor:
        schema = alice.tenant.schema_name
        table = rows.split()[0]
        cursor.execute(
            f"DELETE FROM {schema}.analytics_{table} WHERE id = (SELECT id FROM {schema}.analytics_{rows} LIMIT 1)"
        )
    found = compare(client, alice)
    assert found.books[book] != found.ledger == Sums(2, 60, 2 * COST_USD)
    assert found.drift.requests < 0


def test_counters_that_are_off_are_told_the_second_time_and_repaired_by_the_difference(
    alice: Workspace, client: redis.Redis
) -> None:
    told: list[Any] = []

    def listen(tenant: Any, comparison: Reconciliation, **_: Any) -> None:
        if tenant == alice.tenant:
            told.append(comparison)

    drift_found.connect(listen)
    try:
        use(alice, {})
        drain_usage()
        client.hincrby(counters_of(alice), "r", 5)
        client.hincrby(counters_of(alice), f"k{alice.api_key.pk}:c", -2)
        first = reconciliation.keep(compare(client, alice))
        assert (first.drift_requests, first.drift_usd) == (5, Decimal("-2e-10")) and not told
        second = reconciliation.keep(compare(client, alice))
        assert told == [second] and second.drifting_since == first.drifting_since
        # Used and not booked meanwhile.
        use(alice, {})
        off = reconciliation.repair(client, alice.tenant, period_of(alice), actor_label="a test")
        assert off[None] == Sums(5, 0, Decimal(0))
        assert reconciliation.keep(compare(client, alice)).drifting_since is None
        assert reconciliation.repair(client, alice.tenant, period_of(alice), actor_label="a test") == {}
        assert AuditEvent.objects.filter(tenant=alice.tenant, action="ledger.counters_repaired").count() == 1
    finally:
        drift_found.disconnect(listen)


def test_without_counters_in_redis_nothing_differs_and_nothing_is_repaired(
    alice: Workspace, client: redis.Redis
) -> None:
    use(alice, {})
    drain_usage()
    client.delete(counters_of(alice))
    assert compare(client, alice).books["redis"] == "no counters"
    assert reconciliation.repair(client, alice.tenant, period_of(alice), actor_label="a test") == {}
    assert not client.exists(counters_of(alice))


def test_an_adjustment_is_counted_once_by_whoever_comes_first(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    batch = uuid.uuid4()
    entry = correct(alice, batch=batch, requests=-10, tokens=5, cost_usd=Decimal("-0.25"))
    assert correct(alice, batch=batch, requests=-10, tokens=5, cost_usd=Decimal("-0.25")) == entry
    assert bookkeeping.count_adjustments(client, alice.tenant.pk, entry.period_start) == 0
    found = compare(client, alice)
    assert found.books["redis"] == found.books["records"] == found.ledger == Sums(-9, 35, COST_USD - Decimal("0.25"))
    assert found.drift == reconciliation.NOTHING
    event = AuditEvent.objects.get(tenant=alice.tenant, action="ledger.adjusted")
    assert event.after is not None and event.after["reason"] == "a test"
    # Counters that are seeded later have it from the ledger.
    client.delete(counters_of(alice))
    use(alice, {})
    assert client.hget(counters_of(alice), "r") == b"-8"
    assert compare(client, alice).drift == reconciliation.NOTHING


def test_an_adjustment_whose_process_died_is_counted_by_the_next_comparison(
    alice: Workspace, client: redis.Redis
) -> None:
    use(alice, {})
    drain_usage()
    before: Any = client.hgetall(counters_of(alice))
    correct(alice, tokens=100)
    client.hset(counters_of(alice), mapping=before)
    assert compare(client, alice).drift == reconciliation.NOTHING
    assert client.hget(counters_of(alice), "t") == b"130"


def test_an_adjustment_of_a_key_is_in_its_counters_and_the_days(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    correction = Correction(cost_usd=Decimal(1))
    bookkeeping.adjust(alice.tenant, correction, batch=uuid.uuid4(), reason="a test", key=alice.api_key)
    for scope in ("", f"k{alice.api_key.pk}:"):
        assert client.hget(counters_of(alice), f"{scope}c") == client.hget(counters_of(alice), f"{scope}dc")
        assert int(client.hget(counters_of(alice), f"{scope}c") or 0) == 10**10 + int(COST_USD * 10**10)


@pytest.mark.parametrize(
    ("sums", "reason"),
    [
        ({}, "nothing"),
        ({"requests": 1}, " "),
        ({"requests": 1}, "r" * 201),
        ({"tokens": 10**13}, "large"),
        ({"cost_usd": Decimal("NaN")}, "no number"),
        ({"cost_usd": Decimal(10**7)}, "large"),
    ],
)
def test_a_senseless_adjustment_is_refused(alice: Workspace, sums: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError):
        bookkeeping.adjust(alice.tenant, Correction(**sums), batch=uuid.uuid4(), reason=reason)
    assert not LedgerEntry.objects.filter(tenant=alice.tenant).exists()


def test_an_adjustment_of_another_workspaces_key_is_refused(alice: Workspace, mallory: Workspace) -> None:
    with pytest.raises(ValueError, match="another workspace"):
        bookkeeping.adjust(
            alice.tenant, Correction(requests=1), batch=uuid.uuid4(), reason="a test", key=mallory.api_key
        )


def test_a_comparison_waits_for_a_booking_and_gives_up_in_time(
    alice: Workspace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeping, "PATIENCE_MS", 100)
    held, done = threading.Event(), threading.Event()

    def book() -> None:
        try:
            with transaction.atomic():
                bookkeeping.join(alice.tenant.pk)
                held.set()
                done.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=book)
    thread.start()
    try:
        assert held.wait(30)
        with pytest.raises(Busy):
            compare(client, alice)
    finally:
        done.set()
        thread.join(30)
    assert compare(client, alice).drift == reconciliation.NOTHING


def test_records_are_looked_for_from_a_day_before_the_period_to_a_day_after_it(
    alice: Workspace, client: redis.Redis
) -> None:
    """Whose time is further off says so: all that came since are not read for it."""
    period = ended_ago(alice, dt.timedelta(days=5))
    (event,) = use(alice, {}, now=period.end - dt.timedelta(days=1))
    clock_off = dataclasses.replace(event, id=str(uuid.uuid4()), at=(period.end + dt.timedelta(hours=23)).timestamp())
    far_off = dataclasses.replace(event, id=str(uuid.uuid4()), at=(period.end + dt.timedelta(hours=25)).timestamp())
    send(stream_of(alice), clock_off, far_off)
    drain_usage()
    found = reconciliation.compare(client, alice.tenant, period)
    assert (found.ledger.requests, found.books["records"]) == (3, Sums(2, 60, 2 * COST_USD))


def test_the_command_prints_what_differs_and_repairs_it(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    client.hincrby(counters_of(alice), "t", 1_000)
    text = io.StringIO()
    with pytest.raises(CommandError, match="differ: 1"):
        call_command("reconcile", "--tenant", alice.tenant.slug, stdout=text)
    assert "differs" in text.getvalue() and "1,030" in text.getvalue()
    call_command("reconcile", "--tenant", alice.tenant.slug, "--repair", stdout=text)
    assert "All books agree." in text.getvalue()
    assert client.hget(counters_of(alice), "t") == b"30"
    with pytest.raises(CommandError, match="no workspace"):
        call_command("reconcile", "--tenant", "nobody", stdout=text)


def test_a_sum_by_day_that_is_wrong_is_added_up_again(alice: Workspace) -> None:
    ended_ago(alice, dt.timedelta(days=5))
    use(alice, {}, {}, now=timezone.now() - dt.timedelta(days=2))
    drain_usage()
    with schema_of(alice.tenant):
        UsageRollup.objects.filter(width_s=DAY_S).update(cost_usd=0)
    text = io.StringIO()
    call_command("reconcile", "--tenant", alice.tenant.slug, "--repair", stdout=text)
    assert "sums by day were corrected" in text.getvalue() and "All books agree." in text.getvalue()


def test_nobody_is_told_of_another_tenants_events(alice: Workspace, client: redis.Redis) -> None:
    neighbour = alice.tenant.pk + keyspace.PARTITIONS
    send(stream_of(alice), miss(alice, tenant_id=neighbour, model=f'"tenant_id":{alice.tenant.pk},'))
    found = list(books.events_in(client, stream_of(alice), alice.tenant.pk))
    assert found == []
