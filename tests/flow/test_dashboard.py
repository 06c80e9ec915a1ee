"""The dashboard as the server sends it: all of it is there before any script runs."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

from django.utils import timezone

from analytics import queries
from analytics.events import HIT_SEMANTIC
from analytics.tasks import drain_usage
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.sockets import session_of
from tests.usage import COST_USD, exact_hit, miss, send, stream_of


def page_of(workspace: Workspace) -> str:
    response = session_of(workspace.owner).get(f"/t/{workspace.tenant.slug}/")
    assert response.status_code == 200
    return response.content.decode()


def figure(page: str, name: str) -> str:
    return page.partition(f'data-figure="{name}">')[2].partition("<")[0]


def test_a_new_workspace_is_told_what_to_do_next(alice: Workspace) -> None:
    page = page_of(alice)
    assert "/v1/chat/completions" in page
    assert figure(page, "requests") == "0"
    assert figure(page, "hit_rate") == "–"


def test_the_figures_are_on_the_page_itself(alice: Workspace) -> None:
    free = {"billed_tokens": 0, "cost_usd": Decimal(0)}
    semantic = miss(alice, outcome=HIT_SEMANTIC, similarity=0.91, saved_usd=COST_USD, **free)
    failed = miss(alice, status=502, error="provider_failed", **free)
    send(stream_of(alice), miss(alice), miss(alice), exact_hit(alice), semantic, failed)
    drain_usage()
    page = page_of(alice)
    assert figure(page, "requests") == figure(page, "requests_today") == "5"
    assert figure(page, "failed") == "1"
    assert [figure(page, name) for name in ("exact_hits", "semantic_hits", "misses")] == ["1", "1", "2"]
    assert figure(page, "hit_rate") == "50.0 %"
    assert figure(page, "saved") == figure(page, "spent") == "$0.000027"


def test_the_latest_requests_say_how_each_was_answered(alice: Workspace) -> None:
    send(stream_of(alice), miss(alice, request_id="what-came", simulated=True, provider="simulated", cost_usd=None))
    drain_usage()
    page = page_of(alice)
    assert "what-came" in page
    assert "SIMULATED" in page
    assert "no price" in page


def test_what_a_client_may_choose_is_escaped(alice: Workspace) -> None:
    send(stream_of(alice), miss(alice, model="<script>alert(1)</script>"))
    drain_usage()
    assert "<script>alert" not in page_of(alice)


def test_the_page_runs_no_inline_script(alice: Workspace) -> None:
    page = page_of(alice)
    inline = [tag for tag in page.split("<script")[1:] if "src=" not in tag.partition(">")[0]]
    assert all('type="application/json"' in tag for tag in inline)
    assert " on" not in "".join(part.partition(">")[0] for part in page.split("<button")[1:])
    assert "style=" not in page


def test_today_and_this_month_leave_out_what_was_before(alice: Workspace) -> None:
    now = timezone.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for at in (now, today - dt.timedelta(seconds=1), today.replace(day=1) - dt.timedelta(seconds=1)):
        send(stream_of(alice), miss(alice, at=at.timestamp()))
    drain_usage()
    with schema_of(alice.tenant):
        assert queries.totals(today).requests == 1
        assert queries.totals(today.replace(day=1)).requests == (2 if today.day > 1 else 1)
        assert queries.totals().requests == 3


def test_the_chart_has_every_minute_of_the_last_hour(alice: Workspace) -> None:
    now = timezone.now()
    ages = (dt.timedelta(0), dt.timedelta(minutes=30), dt.timedelta(minutes=59), dt.timedelta(minutes=61))
    send(stream_of(alice), *(miss(alice, at=(now - age).timestamp()) for age in ages))
    send(
        stream_of(alice),
        exact_hit(alice, at=now.timestamp()),
        miss(alice, at=now.timestamp(), status=502, billed_tokens=0),
    )
    drain_usage()
    with schema_of(alice.tenant):
        minutes = queries.series(now)
    assert len(minutes) == 60
    assert {b.at - a.at for a, b in itertools.pairwise(minutes)} == {60}
    assert minutes[-1][1:] == (1, 0, 1, 1)
    assert sum(minute.misses for minute in minutes) == 3
