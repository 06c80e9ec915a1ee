"""From the usage streams to records, rollups and ledger: nothing lost, nothing twice, nobody held up."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from analytics import booking, drain, rollups
from analytics.events import HIT_SEMANTIC, UsageEvent
from analytics.models import DAY_S, HOUR_S, MINUTE_S, UsageRecord, UsageRollup
from analytics.tasks import drain_usage, purge_records
from billing.models import ClosedPeriod, LedgerEntry, Reconciliation
from tenants import keyspace, workspaces
from tenants.db import schema_of
from tests import usage
from tests.conftest import Workspace
from tests.together import at_once
from tests.usage import COST_USD, exact_hit, miss, send, stream_of


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with usage.client() as connected:
        yield connected


def records_of(workspace: Workspace) -> list[UsageRecord]:
    with schema_of(workspace.tenant):
        return list(UsageRecord.objects.order_by("at"))


def sums_of(workspace: Workspace) -> dict[str, tuple[int, int, Decimal, Decimal]]:
    """Requests that were answered, billed tokens, cost and saving: by each of the accounts."""

    def summed(rows: Any, tokens: str = "billed_tokens") -> tuple[int, Decimal, Decimal]:
        sums = rows.aggregate(t=Sum(tokens), c=Sum("cost_usd"), s=Sum("saved_usd"))
        return sums["t"] or 0, sums["c"] or Decimal(0), sums["s"] or Decimal(0)

    def rolled(width_s: int) -> tuple[int, int, Decimal, Decimal]:
        rows = UsageRollup.objects.filter(width_s=width_s)
        counts = rows.aggregate(all=Sum("requests"), failed=Sum("errors"))
        return ((counts["all"] or 0) - (counts["failed"] or 0), *summed(rows))

    ledger = LedgerEntry.objects.filter(tenant=workspace.tenant)
    with schema_of(workspace.tenant):
        return {
            "records": (UsageRecord.objects.filter(status__lt=400).count(), *summed(UsageRecord.objects.all())),
            "minutes": rolled(MINUTE_S),
            "hours": rolled(HOUR_S),
            "days": rolled(DAY_S),
            "ledger": (ledger.aggregate(n=Sum("requests"))["n"] or 0, *summed(ledger, "tokens")),
        }


def abandon(client: redis.Redis, stream: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Takes what is new in the stream as a worker does that then dies; time passes."""
    replies: Any = client.xreadgroup(drain.GROUP, drain.CONSUMER, {stream: ">"})
    taken: list[tuple[bytes, dict[bytes, bytes]]] = replies[0][1]
    age(client, stream)
    return taken


def age(client: redis.Redis, stream: str) -> None:
    """As if all that is pending had been taken long ago."""
    for pending in client.xpending_range(stream, drain.GROUP, "-", "+", 10_000):
        client.xclaim(
            stream, drain.GROUP, drain.CONSUMER, 0, [pending["message_id"]], idle=drain.ABANDONED_MS + 1, justid=True
        )


def is_empty(client: redis.Redis, stream: str) -> bool:
    pending: Any = client.xpending(stream, drain.GROUP)
    return client.xlen(stream) == 0 and pending["pending"] == 0


def last_letter(client: redis.Redis, stream: str) -> dict[bytes, bytes]:
    letters: Any = client.xrevrange(keyspace.dead_letters_of(stream), count=1)
    return letters[0][1] if letters else {}


def test_records_rollups_and_ledger_add_up_to_the_same(alice: Workspace, client: redis.Redis) -> None:
    events = [
        miss(alice),
        miss(alice, cost_usd=Decimal("0.00000001234567")),
        miss(alice, model="unheard-of", cost_usd=None, catalog="", upstream_model=""),
        miss(alice, status=502, error="provider_failed", prompt_tokens=0, completion_tokens=0, billed_tokens=0),
        miss(alice, outcome=HIT_SEMANTIC, similarity=0.91, billed_tokens=0, cost_usd=Decimal(0), saved_usd=COST_USD),
        exact_hit(alice),
    ]
    send(stream_of(alice), *events)
    assert drain_usage() >= len(events)
    sums = sums_of(alice)
    assert sums["records"] == sums["minutes"] == sums["hours"] == sums["days"] == sums["ledger"]
    assert sums["ledger"][:2] == (5, 90)
    assert len(records_of(alice)) == 6
    assert is_empty(client, stream_of(alice))


def test_an_exact_hit_saves_what_its_answer_costs_today(alice: Workspace) -> None:
    send(stream_of(alice), exact_hit(alice))
    drain_usage()
    (record,) = records_of(alice)
    assert (record.cost_usd, record.saved_usd) == (0, COST_USD)
    assert (record.prompt_tokens, record.completion_tokens, record.billed_tokens) == (10, 20, 0)
    assert record.provider == "openai"


def test_an_answer_without_a_known_price_is_counted_but_not_free(alice: Workspace) -> None:
    send(stream_of(alice), miss(alice, cost_usd=None))
    drain_usage()
    assert records_of(alice)[0].cost_usd is None
    with schema_of(alice.tenant):
        assert UsageRollup.objects.get(width_s=HOUR_S).unpriced == 1


def test_an_event_delivered_twice_counts_once(alice: Workspace) -> None:
    event = miss(alice)
    send(stream_of(alice), event, event)
    drain_usage()
    send(stream_of(alice), event, miss(alice))
    drain_usage()
    sums = sums_of(alice)
    assert (
        sums["records"]
        == sums["minutes"]
        == sums["hours"]
        == sums["days"]
        == sums["ledger"]
        == (2, 60, 2 * COST_USD, 0)
    )


def test_a_worker_that_dies_before_it_books_loses_nothing(alice: Workspace, client: redis.Redis) -> None:
    stream = stream_of(alice)
    send(stream, miss(alice))
    drain_usage()
    send(stream, miss(alice), miss(alice))
    assert len(abandon(client, stream)) == 2
    drain_usage()
    assert len(records_of(alice)) == 3
    assert is_empty(client, stream)


def test_a_worker_that_dies_between_commit_and_acknowledgement_counts_nothing_twice(
    alice: Workspace, client: redis.Redis
) -> None:
    stream = stream_of(alice)
    send(stream, miss(alice))
    drain_usage()
    send(stream, miss(alice), miss(alice))
    taken = abandon(client, stream)
    assert len(booking.book(alice.tenant, [UsageEvent.read(fields) for _, fields in taken])) == 2
    drain_usage()
    assert sums_of(alice)["records"] == sums_of(alice)["ledger"] == (3, 90, 3 * COST_USD, 0)
    assert is_empty(client, stream)


def test_what_a_living_worker_holds_is_left_to_it(alice: Workspace, client: redis.Redis) -> None:
    stream = stream_of(alice)
    send(stream, miss(alice))
    drain_usage()
    send(stream, miss(alice))
    client.xreadgroup(drain.GROUP, drain.CONSUMER, {stream: ">"})
    drain_usage()
    assert len(records_of(alice)) == 1
    age(client, stream)
    drain_usage()
    assert len(records_of(alice)) == 2


def test_malformed_events_go_to_the_dead_letters_with_the_reason(alice: Workspace, client: redis.Redis) -> None:
    stream = stream_of(alice)
    client.xadd(stream, {b"e": b"{not json"})
    send(stream, miss(alice))
    drain_usage()
    letter = last_letter(client, stream)
    assert letter[b"e"] == b"{not json"
    assert letter[b"reason"].startswith(b"malformed")
    assert len(records_of(alice)) == 1
    assert is_empty(client, stream)


def test_events_of_a_tenant_that_does_not_exist_go_to_the_dead_letters(alice: Workspace, client: redis.Redis) -> None:
    stream = stream_of(alice)
    send(stream, miss(alice, tenant_id=2**40), miss(alice))
    drain_usage()
    assert last_letter(client, stream)[b"reason"] == f"there is no tenant {2**40}".encode()
    assert len(records_of(alice)) == 1


@pytest.mark.parametrize("poison", [{"model": "gpt\x00"}, {"prompt_tokens": 2**31}, {"request_id": "r" * 129}])
def test_an_event_that_postgres_refuses_is_buried_alone(
    alice: Workspace, client: redis.Redis, poison: dict[str, Any]
) -> None:
    stream = stream_of(alice)
    send(stream, miss(alice), miss(alice, **poison), miss(alice))
    drain_usage()
    assert sums_of(alice)["records"] == sums_of(alice)["ledger"] == (2, 60, 2 * COST_USD, 0)
    assert last_letter(client, stream)[b"reason"]
    assert is_empty(client, stream)


@contextlib.contextmanager
def without_records_table(workspace: Workspace) -> Iterator[None]:
    schema = workspace.tenant.schema_name
    run_sql(f"ALTER TABLE {schema}.analytics_usagerecord RENAME TO away")
    try:
        yield
    finally:
        run_sql(f"ALTER TABLE {schema}.away RENAME TO analytics_usagerecord")


def run_sql(statement: str) -> None:
    # A cursor each time: a task closes the connection when it begins.
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_tenant_with_a_broken_schema_waits_alone(alice: Workspace, mallory: Workspace, client: redis.Redis) -> None:
    stream = stream_of(mallory)
    # Both in one stream, as tenants of one partition are.
    send(stream, miss(mallory), miss(alice))
    with without_records_table(mallory):
        drain_usage()
    assert len(records_of(alice)) == 1
    assert not LedgerEntry.objects.filter(tenant=mallory.tenant).exists()
    age(client, stream)
    drain_usage()
    assert len(records_of(mallory)) == 1
    assert is_empty(client, stream)


def test_two_drains_at_once_book_each_event_once(alice: Workspace, client: redis.Redis) -> None:
    stream = stream_of(alice)
    an_hour_ago = time.time() - 3600
    events = [miss(alice, at=an_hour_ago + n) for n in range(1500)]
    # A quarter comes twice, in another order.
    send(stream, *events, *reversed(events[::4]))
    at_once(drain_usage, drain_usage)
    drain_usage()
    sums = sums_of(alice)
    assert (
        sums["records"]
        == sums["minutes"]
        == sums["hours"]
        == sums["days"]
        == sums["ledger"]
        == (1500, 45_000, 1500 * COST_USD, 0)
    )
    assert is_empty(client, stream)


def test_a_key_is_marked_as_used_at_most_once_a_minute(alice: Workspace) -> None:
    send(stream_of(alice), miss(alice))
    drain_usage()
    alice.api_key.refresh_from_db()
    first = alice.api_key.last_used_at
    assert first is not None
    send(stream_of(alice), miss(alice))
    drain_usage()
    alice.api_key.refresh_from_db()
    assert alice.api_key.last_used_at == first


def agree(workspace: Workspace) -> dt.datetime:
    """The last period of a workspace is closed, and its books were found to agree; its start."""
    start: dt.datetime = workspace.tenant.subscription.anchor_at.replace(microsecond=0)
    nothing = dict.fromkeys(("requests", "tokens", "cost_usd", "saved_usd", "platform_cost_usd", "unpriced"), 0)
    ClosedPeriod.objects.create(tenant=workspace.tenant, period_start=start, period_end=start, **nothing)
    Reconciliation.objects.create(
        tenant=workspace.tenant, period_start=start, compared_at=timezone.now() + dt.timedelta(seconds=1), books={}
    )
    return start


def test_purge_keeps_what_the_plan_keeps_and_every_hour(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace("free")
    now = timezone.now()
    period = int(agree(workspace).timestamp())
    ages = [dt.timedelta(days=days) for days in (0, 29, 31)]
    send(stream_of(workspace), *(miss(workspace, at=(now - age).timestamp(), period=period) for age in ages))
    drain_usage()
    purge_records()
    assert [(now - record.at).days for record in records_of(workspace)] == [29, 0]
    with schema_of(workspace.tenant):
        assert UsageRollup.objects.filter(width_s=MINUTE_S).count() == 1
        assert UsageRollup.objects.filter(width_s=HOUR_S).count() == 3
        assert UsageRollup.objects.filter(width_s=DAY_S).count() == 3


def test_purge_keeps_records_no_longer_than_the_workspace_wishes_and_the_plan_says(alice: Workspace) -> None:
    alice.tenant.refresh_from_db()
    now, most = timezone.now(), alice.tenant.subscription.plan.retention_days
    period = int(agree(alice).timestamp())
    ages = [dt.timedelta(days=days) for days in (0, 6, 8, most + 1)]
    send(stream_of(alice), *(miss(alice, at=(now - age).timestamp(), period=period) for age in ages))
    drain_usage()
    workspaces.change(alice.tenant, {"retention_days": most + 100})
    purge_records()
    assert [(now - record.at).days for record in records_of(alice)] == [8, 6, 0]
    workspaces.change(alice.tenant, {"retention_days": 7})
    purge_records()
    assert [(now - record.at).days for record in records_of(alice)] == [6, 0]


def test_days_that_a_worker_of_before_did_not_book_are_added_up(alice: Workspace) -> None:
    now = timezone.now()
    ages = (dt.timedelta(0), dt.timedelta(minutes=1), dt.timedelta(days=2), dt.timedelta(days=9))
    send(stream_of(alice), *(miss(alice, at=(now - age).timestamp()) for age in ages))
    drain_usage()
    right = sums_of(alice)
    with schema_of(alice.tenant):
        days = UsageRollup.objects.filter(width_s=DAY_S).order_by("-bucket")
        days.filter(pk=days[0].pk).update(requests=1, cost_usd=0)
        days.filter(pk=days[1].pk).delete()
    assert sums_of(alice)["days"] != right["days"]
    purge_records()
    assert sums_of(alice) == right
    assert rollups.add_up_days(alice.tenant.schema_name, now - dt.timedelta(days=30)) == 0


def test_records_stay_until_the_books_of_their_period_agree(alice: Workspace) -> None:
    years_ago = (timezone.now() - dt.timedelta(days=800)).timestamp()
    send(stream_of(alice), miss(alice, at=years_ago))
    drain_usage()
    purge_records()
    assert len(records_of(alice)) == 1
    agree(alice)
    Reconciliation.objects.filter(tenant=alice.tenant).update(drifting_since=timezone.now())
    purge_records()
    assert len(records_of(alice)) == 1
    Reconciliation.objects.filter(tenant=alice.tenant).update(drifting_since=None)
    purge_records()
    assert records_of(alice) == []


def test_a_tenant_with_a_broken_schema_keeps_no_other_from_being_purged(mallory: Workspace, alice: Workspace) -> None:
    years_ago = (timezone.now() - dt.timedelta(days=800)).timestamp()
    send(stream_of(alice), miss(alice, at=years_ago, period=int(agree(alice).timestamp())))
    drain_usage()
    with without_records_table(mallory):
        purge_records()
    assert records_of(alice) == []


def test_an_id_in_capitals_is_the_same_id(alice: Workspace) -> None:
    record_id = uuid.uuid4()
    send(stream_of(alice), miss(alice, id=str(record_id)), miss(alice, id=str(record_id).upper()))
    drain_usage()
    assert sums_of(alice)["records"] == sums_of(alice)["ledger"] == (1, 30, COST_USD, 0)


def test_a_client_that_left_half_way_counts_as_one_request_in_every_book(alice: Workspace) -> None:
    send(stream_of(alice), miss(alice, status=499, error="client_left"), miss(alice, status=499, billed_tokens=0))
    drain_usage()
    assert sums_of(alice)["hours"][:2] == sums_of(alice)["ledger"][:2] == (1, 30)


def test_events_out_of_order_are_booked_on_their_own_day_and_in_their_own_period(alice: Workspace) -> None:
    noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    period = int(alice.tenant.subscription.anchor_at.timestamp())
    days = [noon - dt.timedelta(days=ago) for ago in (0, 2, 1, 2, 0)]
    send(stream_of(alice), *(miss(alice, at=day.timestamp()) for day in days))
    send(stream_of(alice), miss(alice, at=days[1].timestamp(), period=period - 86400))
    drain_usage()
    booked = LedgerEntry.objects.filter(tenant=alice.tenant).values_list("day", "period_start", "requests")
    this, before = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (period, period - 86400))
    expected = {(days[0].date(), this, 2), (days[1].date(), this, 2), (days[2].date(), this, 1)}
    assert set(booked) == expected | {(days[1].date(), before, 1)}


def test_a_stream_of_another_kind_keeps_no_other_waiting(alice: Workspace, client: redis.Redis) -> None:
    other = keyspace.usage_stream((alice.tenant.pk + 1) % keyspace.PARTITIONS)
    client.delete(other)
    client.set(other, "not a stream")
    try:
        send(stream_of(alice), miss(alice))
        with pytest.raises(redis.ResponseError):
            client.xlen(other)
        drain_usage()
        assert len(records_of(alice)) == 1
    finally:
        client.delete(other)


def test_more_abandoned_events_than_one_batch_are_all_found(alice: Workspace, client: redis.Redis) -> None:
    stream = stream_of(alice)
    send(stream, *(miss(alice) for _ in range(3 * drain.BATCH)))
    drain.Drain(client)._read([stream])
    client.xreadgroup(drain.GROUP, drain.CONSUMER, {stream: ">"})
    age(client, stream)
    drain_usage()
    assert sums_of(alice)["ledger"][0] == 3 * drain.BATCH
    assert is_empty(client, stream)


def test_what_comes_meanwhile_is_left_to_the_next_pass_unless_it_is_much(
    alice: Workspace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = stream_of(alice)
    rounds: list[int] = []
    coming = [drain.FEW, 1, 1]

    def book(tenant: Any, events: Any) -> Any:
        rounds.append(len(events))
        send(stream, *(miss(alice) for _ in range(coming[len(rounds)])))
        return booking_itself(tenant, events)

    booking_itself = booking.book
    monkeypatch.setattr(booking, "book", book)
    send(stream, *(miss(alice) for _ in range(coming[0])))
    drain.Drain(client, [stream]).run()
    assert rounds == [drain.FEW, 1]
    assert len(records_of(alice)) == drain.FEW + 1
