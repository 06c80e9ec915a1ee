"""The live page as the server sends it: all of it is there before any script runs."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from analytics import queries
from analytics.events import HIT_SEMANTIC
from analytics.tasks import drain_usage
from analytics.windows import Choice, choose, window_of
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.sockets import session_of
from tests.usage import COST_USD, exact_hit, miss, send, stream_of

FREE = {"billed_tokens": 0, "cost_usd": Decimal(0)}


def page_of(workspace: Workspace, query: str = "") -> str:
    response = session_of(workspace.owner).get(f"/t/{workspace.tenant.slug}/{query}")
    assert response.status_code == 200
    return response.content.decode()


def figure(page: str, name: str) -> str:
    return page.partition(f'data-figure="{name}">')[2].partition("<")[0]


def delta(page: str, name: str) -> tuple[str, str]:
    """Its text, and its kind."""
    before, _, after = page.partition(f'data-delta="{name}">')
    return after.partition("<")[0], before.rpartition('class="delta ')[2].partition('"')[0]


def bars(page: str) -> list[list[float]]:
    drawn: list[list[float]] = json.loads(
        page.partition('<script id="series" type="application/json">')[2].partition("</script>")[0]
    )
    return drawn


def ago(**age: float) -> float:
    return (timezone.now() - dt.timedelta(**age)).timestamp()


def book(workspace: Workspace, *events: object) -> None:
    send(stream_of(workspace), *events)  # type: ignore[arg-type]
    drain_usage()


def test_a_new_workspace_is_told_what_to_do_next(alice: Workspace) -> None:
    page = page_of(alice)
    assert "/v1/chat/completions" in page
    assert figure(page, "requests") == "0"
    assert figure(page, "hit_rate") == "–"


def test_the_figures_are_on_the_page_itself(alice: Workspace) -> None:
    semantic = miss(alice, outcome=HIT_SEMANTIC, similarity=0.91, saved_usd=COST_USD, **FREE)
    failed = miss(alice, status=502, error="provider_failed", **FREE)
    book(alice, miss(alice), miss(alice), exact_hit(alice), semantic, failed)
    page = page_of(alice)
    assert figure(page, "requests") == "5"
    assert figure(page, "failed") == "1"
    assert [figure(page, name) for name in ("exact_hits", "semantic_hits", "misses")] == ["1", "1", "2"]
    assert figure(page, "hit_rate") == "50.0 %"
    assert figure(page, "saved") == figure(page, "spent") == figure(page, "saved_ever") == "$0.000027"
    assert figure(page, "exact_pace") == "p50 0.6 ms · p95 0.6 ms"
    assert figure(page, "misses_pace") == "p50 420 ms · p95 420 ms"
    assert "502 provider_failed" in page


def test_the_latest_requests_say_how_each_was_answered_and_lead_to_their_stories(alice: Workspace) -> None:
    asked = miss(alice, request_id="what-came", simulated=True, provider="simulated", cost_usd=None)
    book(alice, asked)
    page = page_of(alice)
    assert f'href="/t/{alice.tenant.slug}/requests/{asked.id}/" aria-label="Request what-came"' in page
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


def test_all_time_and_this_month_are_beside_the_range(alice: Workspace) -> None:
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for at in (timezone.now(), month - dt.timedelta(seconds=1)):
        book(alice, exact_hit(alice, at=at.timestamp()))
    page = page_of(alice)
    assert figure(page, "requests") == "1"
    assert figure(page, "saved") == figure(page, "saved_month") == "$0.000014"
    assert figure(page, "saved_ever") == "$0.000027"
    with schema_of(alice.tenant):
        assert queries.totals(month).requests == 1
        assert queries.totals().requests == 2


@pytest.mark.parametrize(("name", "inside", "outside"), [("15m", 13, 16), ("1h", 58, 62), ("24h", 23 * 60, 25 * 60)])
def test_a_range_begins_where_it_says(alice: Workspace, name: str, inside: int, outside: int) -> None:
    book(alice, *(miss(alice, at=ago(minutes=age)) for age in (inside, outside)))
    assert figure(page_of(alice, f"?range={name}"), "requests") == "1"


def test_longer_ranges_are_sums_by_the_hour(alice: Workspace) -> None:
    book(alice, *(miss(alice, at=ago(days=age)) for age in (1, 6, 8, 29, 31, 89, 91)))
    counted = {name: figure(page_of(alice, f"?range={name}"), "requests") for name in ("7d", "30d", "90d")}
    assert counted == {"7d": "2", "30d": "4", "90d": "6"}


def test_a_time_of_ones_own_is_read_in_its_zone_and_written_back(alice: Workspace) -> None:
    at = dt.datetime.now(dt.UTC).replace(hour=12, minute=30) - dt.timedelta(days=5)
    book(alice, miss(alice, at=at.timestamp()), miss(alice, at=(at + dt.timedelta(hours=2)).timestamp()))
    day = f"{at:%Y-%m-%d}"
    page = page_of(alice, f"?from={day}T13:00&to={day}T14:00&tz=Europe/Berlin")
    assert figure(page, "requests") == ("1" if _berlin_is_one_ahead(at) else "0")
    assert f'value="{day}T13:00"' in page
    assert 'data-feed=""' in page


def _berlin_is_one_ahead(at: dt.datetime) -> bool:
    return at.astimezone(ZoneInfo("Europe/Berlin")).utcoffset() == dt.timedelta(hours=1)


@pytest.mark.parametrize(
    "query",
    [
        "range=1y",
        "from=x",
        "from=2026-11-02&to=2026-11-01",
        "from=2026-11-01&tz=Mars/North",
        "from=1026-01-01",
        "to=%00",
    ],
)
def test_a_range_that_is_none_is_refused_with_a_sentence_and_the_page(alice: Workspace, query: str) -> None:
    response = session_of(alice.owner).get(f"/t/{alice.tenant.slug}/?{query}")
    assert response.status_code == 400
    page = response.content.decode()
    assert 'role="alert"' in page
    assert figure(page, "requests") == "0"


def test_what_changed_since_the_time_before_has_a_sign_words_and_a_colour(alice: Workspace) -> None:
    before = [miss(alice, at=ago(minutes=70)), miss(alice, at=ago(minutes=70))]
    now = [miss(alice, at=ago(minutes=10)), exact_hit(alice, at=ago(minutes=10)), exact_hit(alice, at=ago(minutes=10))]
    book(alice, *before, *now, miss(alice, at=ago(minutes=10), status=502, error="timeout", **FREE))
    page = page_of(alice)
    assert delta(page, "requests") == ("+100.0 % more", "other")
    assert delta(page, "spent") == ("−50.0 % less", "better")
    assert delta(page, "hit_rate") == ("+66.7 points, higher", "better")
    assert delta(page, "saved") == ("none before", "other")


def test_the_minute_that_grows_is_not_compared(alice: Workspace) -> None:
    book(alice, miss(alice), miss(alice, at=ago(minutes=10)), miss(alice, at=ago(minutes=70)))
    page = page_of(alice)
    assert figure(page, "requests") == "2"
    assert delta(page, "requests") == ("as much", "other")


def test_the_chart_has_every_minute_of_the_last_hour(alice: Workspace) -> None:
    now = timezone.now()
    ages = (dt.timedelta(0), dt.timedelta(minutes=30), dt.timedelta(minutes=59), dt.timedelta(minutes=61))
    book(alice, *(miss(alice, at=(now - age).timestamp()) for age in ages))
    failed = miss(alice, at=now.timestamp(), status=502, billed_tokens=0)
    book(alice, exact_hit(alice, at=now.timestamp()), failed)
    with schema_of(alice.tenant):
        minutes = queries.sums(window_of(Choice("1h"), now)).bars
    assert len(minutes) == 60
    assert {b.at - a.at for a, b in itertools.pairwise(minutes)} == {60}
    assert minutes[-1][1:5] == (1, 0, 1, 1)
    assert minutes[-1].saved_usd == pytest.approx(float(COST_USD))
    assert sum(minute.misses for minute in minutes) == 3


@pytest.mark.parametrize(("name", "number"), [("15m", 15), ("24h", 96), ("7d", 56), ("30d", 30), ("90d", 90)])
def test_every_range_has_so_many_bars_that_they_can_be_read(alice: Workspace, name: str, number: int) -> None:
    assert len(bars(page_of(alice, f"?range={name}"))) == number


def test_the_bars_add_up_to_the_figure(alice: Workspace) -> None:
    book(alice, *(miss(alice, at=ago(hours=hours)) for hours in (0, 1, 5, 13, 20)))
    for name in ("24h", "7d", "30d"):
        page = page_of(alice, f"?range={name}")
        assert sum(bar[3] for bar in bars(page)) == int(figure(page, "requests")) == 5


def test_models_beyond_the_dearest_are_added_up(alice: Workspace) -> None:
    book(alice, *(miss(alice, model=f"model-{number}", cost_usd=Decimal(number)) for number in range(9)))
    page = page_of(alice)
    assert "3 others" in page
    assert "model-8" in page.partition('id="models"')[2]


def test_a_url_says_all_of_a_choice() -> None:
    choice = choose({"from": "2026-11-01T08:00", "to": "2026-11-02T09:30", "tz": "Asia/Kolkata", "utm": "x"})
    assert choice.query == "from=2026-11-01T02%3A30%3A00Z&to=2026-11-02T04%3A00%3A00Z&tz=Asia%2FKolkata"
    again = choose({"from": "2026-11-01T02:30:00Z", "to": "2026-11-02T04:00:00Z", "tz": "Asia/Kolkata"})
    assert again == choice
