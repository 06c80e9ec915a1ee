"""Many processes against one key with a quota of requests and a budget in dollars: streams, clients that leave, failing
providers, repeated questions, through two gateways at once. Nobody gets more than there is; every book says the same.

OVERDRAFT_PROCESSES and OVERDRAFT_CALLS (of each) make it larger.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from analytics import tasks
from analytics.tasks import drain_usage
from billing.ledger import UNIT_USD
from billing.models import LedgerEntry, PriceOverride
from tests import redis_cluster, servers
from tests.asker import ask_all
from tests.calls import records
from tests.conftest import Workspace
from tests.quotas import standing

Configure = Callable[[Workspace], Workspace]

PROCESSES = int(os.environ.get("OVERDRAFT_PROCESSES", "4"))
CALLS = int(os.environ.get("OVERDRAFT_CALLS", "100"))
# The provider counts 11 and 7 tokens: 0.00162 USD an answer.
PRICES: dict[str, Any] = {"input_usd_per_mtok": Decimal(20), "output_usd_per_mtok": Decimal(200)}
COST_USD = Decimal("0.00162")
REQUESTS = PROCESSES * CALLS * 5 // 8
BUDGET_USD = (Decimal(PROCESSES * CALLS) / 1600).quantize(Decimal("0.01"))
MODELS = {"overdraft": 8, "flaky-overdraft": 2, "status-500-overdraft": 1}


@pytest.fixture(params=["one Redis", "a cluster of three"])
def gateways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, settings: Any
) -> Iterator[tuple[str, str]]:
    """Two of them, on the same books."""
    environment: dict[str, str] = {}
    with contextlib.ExitStack() as running:
        if request.param != "one Redis":
            if reason := redis_cluster.missing():
                pytest.skip(reason)
            nodes = redis_cluster.Cluster(tmp_path_factory.mktemp("cluster"), masters=3)
            running.callback(nodes.stop)
            environment["NEXUS_REDIS_CLUSTER"] = nodes.setting
            settings.REDIS_CLUSTER = nodes.setting.split(",")
            running.callback(tasks._client.cache_clear)
        tasks._client.cache_clear()
        one, other = (running.enter_context(servers.gateway(**environment)) for _ in range(2))
        yield one.url, other.url


def test_no_overdraft_however_many_ask(
    gateways: tuple[str, str], make_workspace: Callable[..., Workspace], with_provider: Configure
) -> None:
    for model in MODELS:
        PriceOverride.objects.get_or_create(catalog="openai", model=model, **PRICES)
    workspace = with_provider(
        make_workspace("scale", requests_per_minute=None, monthly_requests=REQUESTS, monthly_budget_usd=str(BUDGET_USD))
    )
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        asked = [(gateways[n % 2], workspace.key, n, CALLS, MODELS) for n in range(PROCESSES)]
        seen = sum(pool.starmap(ask_all, asked), Counter())
    assert sum(seen.values()) == PROCESSES * CALLS
    assert not set(seen) - {200, 402, 429, 502, 503, "left"}, seen

    while drain_usage():
        pass
    tenant, key = standing(workspace)
    assert (tenant.held_requests, tenant.held_tokens, tenant.held_cost, tenant.held_day_cost) == (0, 0, 0, 0)
    assert tenant.requests <= REQUESTS
    spent = tenant.cost * UNIT_USD
    assert spent <= BUDGET_USD
    # Refusals are for lack of something: one more of the dearest calls would not have fitted.
    assert tenant.requests == REQUESTS or BUDGET_USD - spent < Decimal("0.02"), (tenant, seen)
    booked = LedgerEntry.objects.filter(tenant=workspace.tenant).aggregate(
        requests=Sum("requests"), tokens=Sum("tokens"), cost=Sum("cost_usd")
    )
    assert (booked["requests"], booked["tokens"], booked["cost"]) == (tenant.requests, tenant.tokens, spent)
    assert key == tenant
    kept = records(workspace, seen[200] + seen[502] + seen[503] + seen["left"])
    assert sum((record.cost_usd or Decimal(0) for record in kept), Decimal(0)) == spent
    print(
        f"\n{PROCESSES} processes, {PROCESSES * CALLS:,} calls: {dict(seen)}; {tenant.requests:,} of {REQUESTS:,}"
        f" requests, ${spent} of ${BUDGET_USD}; Redis, ledger and {len(kept):,} records agree; nothing held"
    )
