"""Rounds of comparisons: who has a turn when, what workers add to Redis by themselves, and what /metrics says."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.db.models import F
from django.utils import timezone

from analytics import books, reconciler, reconciliation
from analytics.gauges import BookGauges
from analytics.reconciliation import A_ROUND, MENDED_AFTER, Comparison
from analytics.signals import drift_found
from analytics.tasks import compare_all_books, compare_books, drain_usage
from billing.models import Reconciliation
from nexus.bench import month_books
from tenants import keyspace
from tenants.models import AuditEvent, Tenant
from tests import usage
from tests.conftest import Workspace
from tests.traffic import period_of, use

pytestmark = pytest.mark.usefixtures("no_books_marked")


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with usage.client() as connected:
        yield connected


def compare(client: redis.Redis, workspace: Workspace) -> Comparison:
    return reconciliation.compare(client, workspace.tenant, period_of(workspace))


def counters_of(workspace: Workspace) -> str:
    return keyspace.quota(workspace.tenant.pk, period_of(workspace).id)


def minutes_pass(workspace: Workspace) -> None:
    """Since its books were compared last."""
    rows = Reconciliation.objects.filter(tenant=workspace.tenant)
    rows.update(compared_at=F("compared_at") - A_ROUND, drifting_since=F("drifting_since") - A_ROUND)


def lose(client: redis.Redis, workspace: Workspace, requests: int = 1) -> None:
    """As a Redis does that lost its last second, with exact hits of this key."""
    client.hincrby(counters_of(workspace), "r", -requests)
    client.hincrby(counters_of(workspace), f"k{workspace.api_key.pk}:r", -requests)


def counted(client: redis.Redis, workspace: Workspace) -> tuple[int, int]:
    """Requests of the workspace, and of its key."""
    found: Any = client.hmget(counters_of(workspace), "r", f"k{workspace.api_key.pk}:r")
    return int(found[0]), int(found[1])


def repairs(workspace: Workspace) -> list[str]:
    found = AuditEvent.objects.filter(tenant=workspace.tenant, action="ledger.counters_repaired")
    return list(found.values_list("actor_label", flat=True))


def is_marked(client: redis.Redis, workspace: Workspace) -> bool:
    return bool(client.sismember(keyspace.BOOKS_TO_COMPARE, str(workspace.tenant.pk)))


@contextlib.contextmanager
def drifts() -> Iterator[list[Any]]:
    """The tenants that are told of one."""
    told: list[Any] = []

    def listen(tenant: Any, **_: Any) -> None:
        told.append(tenant)

    drift_found.connect(listen)
    try:
        yield told
    finally:
        drift_found.disconnect(listen)


def test_counters_that_lack_something_are_repaired_by_the_second_round_and_others_are_left_to_people(
    alice: Workspace, mallory: Workspace, client: redis.Redis
) -> None:
    with drifts() as told:
        for workspace in (alice, mallory):
            use(workspace, {})
        drain_usage()
        lose(client, alice)
        # Something was used that nobody booked.
        client.hincrby(counters_of(mallory), "r", 1)
        compare_books()
        assert not {alice.tenant, mallory.tenant} & {*told}
        assert counted(client, alice) == (0, 0)
        minutes_pass(alice)
        # Both are still marked.
        compare_books()
    assert counted(client, alice) == (1, 1)
    assert Reconciliation.objects.get(tenant=alice.tenant).drifting_since is None
    assert repairs(alice) == [reconciler.NAME]
    assert client.hget(counters_of(mallory), "r") == b"2"
    assert Reconciliation.objects.get(tenant=mallory.tenant).drift_requests == 1
    assert mallory.tenant in told and alice.tenant not in told


def test_what_gateways_may_still_tell_again_is_not_added_before_they_have(
    alice: Workspace, client: redis.Redis
) -> None:
    use(alice, {}, {}, {})
    drain_usage()
    lose(client, alice, 2)
    with drifts() as told:
        # However often they are compared: rounds of two workers, or of all tenants.
        for _ in range(3):
            compare_books()
        assert counted(client, alice) == (1, 1)
        # A gateway has told one of the two again.
        lose(client, alice, -1)
        assert is_marked(client, alice)
        minutes_pass(alice)
        compare_books()
        assert alice.tenant not in told
    assert counted(client, alice) == (3, 3) and len(repairs(alice)) == 1
    assert not is_marked(client, alice)


def test_the_bench_of_a_month_adds_at_once_what_redis_lacks(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {}, {})
    drain_usage()
    lose(client, alice, 2)
    month_books.reconcile(client, [alice.tenant])
    assert counted(client, alice) == (2, 2) and repairs(alice) == [reconciler.NAME]


def test_what_redis_lost_anew_waits_for_another_round_and_is_told_if_it_goes_on(
    alice: Workspace, client: redis.Redis
) -> None:
    use(alice, {}, {}, {})
    drain_usage()
    with drifts() as told:
        for lost in (1, 2, 3):
            lose(client, alice)
            compare_books()
            assert counted(client, alice) == (3 - lost, 3 - lost) and alice.tenant not in told
            minutes_pass(alice)
        lose(client, alice)
        Reconciliation.objects.filter(tenant=alice.tenant).update(drifting_since=F("drifting_since") - MENDED_AFTER)
        compare_books()
        assert told.count(alice.tenant) == 1
    assert repairs(alice) == []


def test_an_old_difference_of_another_book_makes_no_shortage_older(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    client.hincrby(counters_of(alice), "t", 5)
    compare_books()
    minutes_pass(alice)
    client.hincrby(counters_of(alice), "t", -5)
    lose(client, alice)
    compare_books()
    assert counted(client, alice) == (0, 0) and is_marked(client, alice)


def test_workers_never_take_away(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    lose(client, alice)
    client.hincrby(counters_of(alice), "t", 5)
    off = reconciliation.repair(client, alice.tenant, period_of(alice), actor_label="a test", only_short=True)
    assert (off, counted(client, alice), repairs(alice)) == ({}, (0, 0), [])


class Hindered(redis.Redis):
    """After so many times nobody is taken any more; whoever was is marked at once, as the drain marks who is busy."""

    again, left = False, 100

    def spop(self, name: Any, count: Any = None) -> Any:
        if not self.left:
            raise redis.ConnectionError("away")
        self.left -= 1
        taken: Any = super().spop(name, count)
        if self.again and taken is not None:
            self.sadd(name, taken)
        return taken


@pytest.fixture
def hindered(client: redis.Redis) -> Iterator[Hindered]:
    # Whom other tests have left.
    client.delete(keyspace.BOOKS_TO_COMPARE)
    with Hindered(connection_pool=client.connection_pool) as one:
        yield one


def test_who_is_busy_is_compared_once_in_a_round(
    alice: Workspace, hindered: Hindered, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(alice, {})
    drain_usage()
    compare_books()
    monkeypatch.setattr(reconciler, "ROUND_S", 0.5)
    reconciler.mark(hindered, [alice.tenant.pk])
    hindered.again, hindered.left = True, 10**9
    assert reconciler.compare_marked(hindered) == 1
    assert is_marked(hindered, alice)


def test_a_redis_that_is_away_for_one_tenant_keeps_no_other_from_being_compared(
    alice: Workspace, mallory: Workspace, client: redis.Redis
) -> None:
    for workspace in (alice, mallory):
        use(workspace, {})
    drain_usage()
    kept: Any = client.hgetall(counters_of(alice))
    client.delete(counters_of(alice))
    client.set(counters_of(alice), "no hash")
    for compare_them in (compare_books, compare_all_books):
        Reconciliation.objects.filter(tenant=mallory.tenant).delete()
        compare_them()
        assert Reconciliation.objects.filter(tenant=mallory.tenant).exists()
        assert not Reconciliation.objects.filter(tenant=alice.tenant).exists() and is_marked(client, alice)
    client.delete(counters_of(alice))
    client.hset(counters_of(alice), mapping=kept)
    compare_books()
    assert Reconciliation.objects.filter(tenant=alice.tenant, drifting_since=None).exists()


def test_a_round_that_is_cut_off_forgets_nobody(alice: Workspace, hindered: Hindered) -> None:
    use(alice, {})
    drain_usage()
    compare_books()
    lose(hindered, alice)
    reconciler.mark(hindered, [alice.tenant.pk])
    hindered.left = 1
    with pytest.raises(redis.ConnectionError):
        reconciler.compare_marked(hindered)
    assert Reconciliation.objects.get(tenant=alice.tenant).drift_requests == -1
    assert is_marked(hindered, alice)


def test_what_cannot_be_told_now_keeps_the_last_comparison(
    alice: Workspace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(alice, {})
    drain_usage()
    compare_books()
    kept = Reconciliation.objects.get(tenant=alice.tenant).compared_at
    use(alice, {})
    monkeypatch.setattr(books, "MOST_WAITING", 0)
    reconciler.mark(client, [alice.tenant.pk])
    compare_books()
    assert Reconciliation.objects.get(tenant=alice.tenant).compared_at == kept
    monkeypatch.undo()
    # It had stayed marked.
    compare_books()
    assert Reconciliation.objects.get(tenant=alice.tenant).compared_at > kept


def test_whoever_used_something_is_compared_next_and_everybody_once_a_day(
    make_workspace: Callable[..., Workspace],
) -> None:
    used, idle = make_workspace(), make_workspace()
    use(used, {})
    drain_usage()
    compare_books()
    assert Reconciliation.objects.filter(tenant=used.tenant, drifting_since=None).count() == 1
    assert not Reconciliation.objects.filter(tenant=idle.tenant).exists()
    compare_all_books()
    assert Reconciliation.objects.filter(tenant=idle.tenant, drifting_since=None).count() == 1


def test_metrics_say_that_books_differ(alice: Workspace, client: redis.Redis) -> None:
    use(alice, {})
    drain_usage()
    client.hincrby(counters_of(alice), "r", -2)
    reconciliation.keep(compare(client, alice))
    values = {metric.name: metric.samples[0].value for metric in BookGauges().collect()}
    assert values["nexus_books_drifting"] >= 1 and values["nexus_books_drift_requests"] >= 2
    reconciliation.repair(client, alice.tenant, period_of(alice), actor_label="a test")
    reconciliation.keep(compare(client, alice))


def test_metrics_say_nothing_of_books_that_nobody_compares_any_more(alice: Workspace, mallory: Workspace) -> None:
    now = timezone.now()
    drift = {"books": {}, "drift_requests": 10**9, "drifting_since": now - dt.timedelta(days=400)}
    for workspace, compared_at in ((alice, now - dt.timedelta(days=3)), (mallory, now)):
        start = now - dt.timedelta(days=60)
        Reconciliation.objects.create(tenant=workspace.tenant, period_start=start, compared_at=compared_at, **drift)
    Tenant.objects.filter(pk=mallory.tenant.pk).update(status=Tenant.Status.DELETED)
    values = {metric.name: metric.samples[0].value for metric in BookGauges().collect()}
    assert values["nexus_books_drift_requests"] < 10**9
    assert values["nexus_books_drift_seconds"] < dt.timedelta(days=399).total_seconds()


def test_metrics_say_for_how_long_nobody_has_compared(alice: Workspace) -> None:
    use(alice, {})
    drain_usage()
    compare_books()
    before = {row.pk: row.compared_at for row in Reconciliation.objects.all()}
    try:
        Reconciliation.objects.update(compared_at=F("compared_at") - dt.timedelta(days=30))
        values = {metric.name: metric.samples[0].value for metric in BookGauges().collect()}
    finally:
        for pk, compared_at in before.items():
            Reconciliation.objects.filter(pk=pk).update(compared_at=compared_at)
    assert values["nexus_books_compared_ago_seconds"] >= dt.timedelta(days=30).total_seconds()
    assert values["nexus_books_compared"] == 0
