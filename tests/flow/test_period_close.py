"""A period is closed once, when nothing of it is on its way; what comes later is booked beside it."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from analytics import booking, closing, reconciliation
from analytics.books import Sums
from analytics.events import UsageEvent
from analytics.tasks import close_periods, compare_books, drain_usage, purge_records
from billing import bookkeeping, subscriptions
from billing.models import ClosedPeriod, LedgerEntry, Plan, Reconciliation, Subscription
from billing.periods import Period
from tenants import keyspace
from tests import usage
from tests.conftest import Workspace
from tests.paying import wait_for
from tests.together import at_once
from tests.traffic import ended_ago, gateway, period_of, run, use
from tests.usage import COST_USD, miss, send, stream_of

AN_HOUR = dt.timedelta(hours=1)

pytestmark = pytest.mark.usefixtures("no_books_marked")


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with usage.client() as connected:
        yield connected


def close(client: redis.Redis, now: dt.datetime | None = None) -> None:
    closing.close_due(client, now or timezone.now())


def closed_of(workspace: Workspace) -> list[ClosedPeriod]:
    return list(ClosedPeriod.objects.filter(tenant=workspace.tenant).order_by("period_start"))


def used_until(workspace: Workspace, ago: dt.timedelta, count: int = 2) -> Period:
    """A period that ended so long ago, with so many calls."""
    period = ended_ago(workspace, ago)
    use(workspace, *[{}] * count, now=period.end - dt.timedelta(seconds=10))
    return period


def test_a_period_is_closed_with_what_the_ledger_says(alice: Workspace) -> None:
    period = used_until(alice, AN_HOUR)
    use(alice, {})
    drain_usage()
    close_periods()
    (closed,) = closed_of(alice)
    # She came to Scale a moment ago.
    assert (closed.period_start, closed.period_end, closed.plan_code) == (period.start, period.end, "free")
    assert (closed.requests, closed.tokens, closed.cost_usd) == (2, 60, 2 * COST_USD)
    assert closed.closed_at >= period.end
    compare_books()
    (then, now) = Reconciliation.objects.filter(tenant=alice.tenant).order_by("period_start")
    assert then.books["closed"] == then.books["ledger"] == then.books["redis"] == then.books["records"]
    assert then.drifting_since is None and now.books["closed"] == {"not_compared": "not closed"}


def test_a_closed_period_has_the_plan_that_was_in_force_as_it_ended(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    end = timezone.now().replace(microsecond=0) + dt.timedelta(seconds=1)
    Subscription.objects.filter(tenant=alice.tenant).update(anchor_at=end)
    wait_for(lambda: timezone.now() > end)
    # Twice, before anybody comes to close it.
    subscriptions.change_plan(alice.tenant, "pro")
    subscriptions.change_plan(alice.tenant, "free")
    close(client, end + closing.AFTER)
    (closed,) = closed_of(alice)
    assert (closed.period_end, closed.plan_code) == (end, "scale")


def test_a_period_is_not_closed_before_some_minutes_have_passed(alice: Workspace, client: redis.Redis) -> None:
    period = used_until(alice, dt.timedelta(seconds=30))
    drain_usage()
    close(client)
    assert closed_of(alice) == []
    close(client, period.end + closing.AFTER)
    assert len(closed_of(alice)) == 1


def test_a_period_waits_for_its_events_and_its_calls(alice: Workspace, client: redis.Redis) -> None:
    period = ended_ago(alice, AN_HOUR)
    at = period.end - dt.timedelta(seconds=10)
    use(alice, {}, now=at)
    drain_usage()

    async def late_answer() -> None:
        async with gateway(alice) as one:
            call = await one.admit(alice, at)
            await asyncio.to_thread(close_elsewhere, client)
            assert await asyncio.to_thread(count_elsewhere, alice) == 0
            await call.settle()

    run(late_answer())
    close(client)
    assert closed_of(alice) == []
    drain_usage()
    close(client)
    assert [closed.requests for closed in closed_of(alice)] == [2]


def close_elsewhere(client: redis.Redis) -> None:
    try:
        close(client)
    finally:
        connections.close_all()


def count_elsewhere(workspace: Workspace) -> int:
    try:
        return len(closed_of(workspace))
    finally:
        connections.close_all()


def test_a_call_whose_process_died_holds_no_period_up(alice: Workspace, client: redis.Redis) -> None:
    period = used_until(alice, AN_HOUR)
    drain_usage()

    async def die() -> str:
        async with gateway(alice) as one:
            return (await one.admit(alice, period.end - dt.timedelta(seconds=5))).account.holds_key

    holds = run(die())
    close(client)
    assert closed_of(alice) == []
    members: Any = client.zrange(holds, 0, -1)
    for member in members:
        client.zadd(holds, {member: timezone.now().timestamp() - 1})
    close(client)
    assert len(closed_of(alice)) == 1


def test_another_tenants_events_in_the_same_stream_hold_nothing_up(alice: Workspace, client: redis.Redis) -> None:
    used_until(alice, AN_HOUR)
    drain_usage()
    neighbour = alice.tenant.pk + keyspace.PARTITIONS
    send(stream_of(alice), miss(alice, tenant_id=neighbour), miss(alice))
    client.xadd(stream_of(alice), {b"e": b"{not json"})
    close(client)
    assert len(closed_of(alice)) == 1


def test_a_dead_letter_holds_nothing_up_and_is_reported(
    alice: Workspace, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    period = used_until(alice, AN_HOUR)
    send(stream_of(alice), miss(alice, model="gpt\x00", period=int(period.id)))
    drain_usage()
    close(client)
    assert [closed.requests for closed in closed_of(alice)] == [2]
    assert f"tenant {alice.tenant.pk}: closed from {period.id} without 1 dead letters" in caplog.text


def test_what_comes_after_the_closing_is_late_and_beside_it(alice: Workspace, client: redis.Redis) -> None:
    period = used_until(alice, AN_HOUR)
    drain_usage()
    close(client)
    use(alice, {}, now=period.end - dt.timedelta(seconds=5))
    use(alice, {})
    drain_usage()
    kinds = LedgerEntry.objects.filter(tenant=alice.tenant).order_by("pk").values_list("kind", "requests")
    assert sorted(kinds) == [("late", 1), ("usage", 1), ("usage", 2)]
    found = reconciliation.compare(client, alice.tenant, period)
    assert found.books["closed"] == found.books["redis"] == found.ledger == Sums(3, 90, 3 * COST_USD)
    assert found.parts["late"] == Sums(1, 30, COST_USD)
    assert found.drift == reconciliation.NOTHING
    assert [closed.requests for closed in closed_of(alice)] == [2]


def test_periods_that_ended_while_everything_was_down_are_closed_in_turn(alice: Workspace, client: redis.Redis) -> None:
    last = ended_ago(alice, AN_HOUR)
    starts = [period_of(alice, last.start - dt.timedelta(days=days)).start for days in (100, 40, 0)]
    for number, start in enumerate(starts, start=1):
        send(stream_of(alice), *(use_of(alice, start) for _ in range(number)))
    drain_usage()
    close(client)
    # A month without usage has no row.
    assert [(closed.period_start, closed.requests) for closed in closed_of(alice)] == [
        *zip(starts, (1, 2, 3), strict=True)
    ]
    assert closed_of(alice)[-1].period_end == last.end
    # Of a period that was left out because it was empty.
    send(stream_of(alice), use_of(alice, period_of(alice, starts[0] - dt.timedelta(days=40)).start))
    drain_usage()
    close(client)
    assert LedgerEntry.objects.filter(tenant=alice.tenant, kind="late").count() == 1
    assert len(closed_of(alice)) == 3


def use_of(workspace: Workspace, start: dt.datetime) -> UsageEvent:
    return miss(workspace, period=int(start.timestamp()), at=start.timestamp() + 60)


def test_a_tenant_without_usage_gets_no_row(alice: Workspace, client: redis.Redis) -> None:
    ended_ago(alice, AN_HOUR)
    close(client)
    assert closed_of(alice) == []


def test_an_anchor_that_moves_ends_the_period(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    (start,) = LedgerEntry.objects.filter(tenant=alice.tenant).values_list("period_start", flat=True)
    moved = start + dt.timedelta(days=2)
    Subscription.objects.filter(tenant=alice.tenant).update(anchor_at=moved)
    close(client, moved)
    assert closed_of(alice) == []
    # The call's hold is gone, whatever the clock says.
    close(client, moved + closing.AFTER)
    (closed,) = closed_of(alice)
    assert (closed.period_start, closed.period_end) == (start, moved)


def test_two_workers_close_a_period_once_and_bookings_beside_them_are_in_it_or_late(
    alice: Workspace, client: redis.Redis
) -> None:
    period = used_until(alice, AN_HOUR, count=1)
    drain_usage()

    def book() -> None:
        for _ in range(20):
            booking.book(alice.tenant, [miss(alice, period=int(period.id), at=period.end.timestamp() - 1)])

    at_once(lambda: close(client), lambda: close(client), book)
    (closed,) = closed_of(alice)
    booked = LedgerEntry.objects.filter(tenant=alice.tenant)
    assert closed.requests == sum(entry.requests for entry in booked if entry.kind == "usage")
    assert sum(entry.requests for entry in booked) == 21


def test_a_closed_period_is_not_changed(alice: Workspace, client: redis.Redis) -> None:
    used_until(alice, AN_HOUR)
    drain_usage()
    close(client)
    (closed,) = closed_of(alice)
    for change in (lambda: closed.delete(), lambda: ClosedPeriod.objects.filter(pk=closed.pk).update(requests=0)):
        with pytest.raises(DatabaseError, match="closed period"), transaction.atomic():
            change()


def test_a_closed_period_takes_no_adjustment(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    (start,) = LedgerEntry.objects.filter(tenant=alice.tenant).values_list("period_start", flat=True)
    nothing = dict.fromkeys(("requests", "tokens", "cost_usd", "saved_usd", "platform_cost_usd", "unpriced"), 0)
    ClosedPeriod.objects.create(tenant=alice.tenant, period_start=start, period_end=start, **nothing)
    with pytest.raises(ValueError, match="closed"):
        bookkeeping.adjust(alice.tenant, bookkeeping.Correction(requests=1), batch=uuid.uuid4(), reason="a test")


def keeps_records_for_a_week(workspace: Workspace) -> None:
    Plan.objects.get_or_create(
        code="short", defaults={"name": "Short", "retention_days": 7, "position": 99, "is_public": False}
    )
    Subscription.objects.filter(tenant=workspace.tenant).update(plan="short")


def purged_of(workspace: Workspace, client: redis.Redis, *days: int) -> Period:
    """A closed period, after requests so many days before its end and the purge of what need not be kept."""
    period = ended_ago(workspace, AN_HOUR)
    for ago in days:
        use(workspace, {}, now=period.end - dt.timedelta(days=ago))
    drain_usage()
    close_periods()
    reconciliation.keep(reconciliation.compare(client, workspace.tenant, period))
    purge_records()
    return period


def test_records_are_purged_once_their_closed_books_agree(alice: Workspace, client: redis.Redis) -> None:
    keeps_records_for_a_week(alice)
    period = ended_ago(alice, AN_HOUR)
    use(alice, {}, now=period.end - dt.timedelta(days=20))
    drain_usage()
    purge_records()
    assert reconciliation.compare(client, alice.tenant, period).books["records"] == Sums(1, 30, COST_USD)
    close_periods()
    purge_records()
    reconciliation.keep(reconciliation.compare(client, alice.tenant, period))
    purge_records()
    found = reconciliation.compare(client, alice.tenant, period)
    why = f"records of periods that began before {period.start:%Y-%m-%d} are deleted"
    assert found.books["records"] == found.books["rollups"] == why
    assert found.drift == reconciliation.NOTHING


def test_closed_books_agree_after_an_upgrade_to_a_plan_that_keeps_records_for_longer(
    alice: Workspace, client: redis.Redis
) -> None:
    keeps_records_for_a_week(alice)
    period = purged_of(alice, client, 20, 1)
    Subscription.objects.filter(tenant=alice.tenant).update(plan="scale")
    found = reconciliation.compare(client, alice.tenant, period)
    assert found.drift == reconciliation.NOTHING and isinstance(found.books["records"], str)
    # The longer plan's purge does not forget what the shorter one's has deleted.
    purge_records()
    assert reconciliation.compare(client, alice.tenant, period).drift == reconciliation.NOTHING


def test_closed_books_are_compared_whole_after_a_downgrade_until_records_are_purged(
    alice: Workspace, client: redis.Redis
) -> None:
    period = purged_of(alice, client, 20, 1)
    keeps_records_for_a_week(alice)
    assert reconciliation.compare(client, alice.tenant, period).books["records"] == Sums(2, 60, 2 * COST_USD)
    purge_records()
    assert isinstance(reconciliation.compare(client, alice.tenant, period).books["records"], str)
