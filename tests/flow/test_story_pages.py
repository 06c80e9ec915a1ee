"""Requests found and told: by id, by filters, page by page; each request's way, times, tokens, cost and books."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from analytics import searches
from analytics.events import HIT_SEMANTIC, UsageEvent
from analytics.pages import requests
from analytics.tasks import drain_usage
from billing import pricing
from tenants import apikeys
from tests.booked import at, week
from tests.conftest import Workspace
from tests.sockets import session_of
from tests.usage import COST_USD, exact_hit, miss, send, stream_of

FREE: dict[str, Any] = {"billed_tokens": 0, "cost_usd": Decimal(0)}


def book(workspace: Workspace, *events: UsageEvent) -> None:
    send(stream_of(workspace), *events)
    drain_usage()


def listed(workspace: Workspace, query: str = "") -> list[str]:
    """Ids of records, as the page has them."""
    response = session_of(workspace.owner).get(f"/t/{workspace.tenant.slug}/requests/{query}")
    assert response.status_code == 200, response.content.decode()
    return re.findall(r'data-id="([^"]+)"', response.content.decode())


def told(workspace: Workspace, ref: str, status: int = 200) -> str:
    response = session_of(workspace.owner).get(f"/t/{workspace.tenant.slug}/requests/{ref}/")
    assert response.status_code == status
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", response.content.decode())).split())


def test_requests_are_listed_newest_first_and_page_by_page(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "PAGE", 3)
    events = [miss(alice, at=at(hours=hour)) for hour in range(8)]
    book(alice, *events)
    seen, query = [], ""
    client = session_of(alice.owner)
    for _ in range(5):
        page = client.get(f"/t/{alice.tenant.slug}/requests/{query}").content.decode()
        seen += re.findall(r'data-id="([^"]+)"', page)
        if (older := re.search(r'href="(\?cursor=[^"]+)" rel="next"', page)) is None:
            break
        query = older[1]
    assert seen == [event.id for event in reversed(events)]


@pytest.mark.parametrize("time", ["", "&range=90d"])
def test_a_search_by_tag_says_how_far_it_looked_and_goes_on(
    alice: Workspace, monkeypatch: pytest.MonkeyPatch, time: str
) -> None:
    monkeypatch.setattr(searches, "LOOKED_THROUGH", 3)
    monkeypatch.setattr(searches, "PAGE", 2)
    tagged = {0, 1, 3, 7}
    events = [miss(alice, at=at(hours=hour), tags=["blue"] if hour in tagged else ["red"]) for hour in range(8)]
    book(alice, *events)
    client, seen, query = session_of(alice.owner), [], f"?tag=blue{time}"
    for _ in range(6):
        page = client.get(f"/t/{alice.tenant.slug}/requests/{query}").content.decode()
        seen.append([*re.findall(r'data-id="([^"]+)"', page)])
        assert ("have been looked through" in page) == ("Look further back" in page)
        if (older := re.search(r'href="(\?[^"]*cursor=[^"]+)" rel="next"', page)) is None:
            break
        query = html.unescape(older[1])
    assert seen == [[events[hour].id] for hour in (7, 3, 1, 0)]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("outcome=MISS", [5, 4, 1, 0]),
        ("outcome=hits", [3, 2]),
        ("outcome=HIT-SEMANTIC", [3]),
        ("outcome=BYPASS", []),
        ("model=unheard-of", [5]),
        ("model=gpt-4o&outcome=MISS", [1]),
        ("status=failed", [4]),
        ("status=502", [4]),
        ("status=504", []),
        ("status=200&outcome=hits", [3, 2]),
        ("error=provider_failed", [4]),
        ("tag=red", [0]),
        ("tag=blue&outcome=MISS", [1, 0]),
    ],
)
def test_each_filter_finds_its_requests(alice: Workspace, query: str, wanted: list[int]) -> None:
    events = week(alice)
    found = listed(alice, f"?{query}")
    assert sorted(found) == sorted(events[number].id for number in wanted)


def test_time_and_key_narrow_it_too(alice: Workspace, mallory: Workspace) -> None:
    events = week(alice)
    day = f"{dt.datetime.fromtimestamp(at(1), dt.UTC):%Y-%m-%d}"
    assert set(listed(alice, f"?from={day}&outcome=MISS")) == {events[4].id, events[5].id}
    assert len(listed(alice, f"?key={alice.api_key.public_id}")) == 6
    assert listed(alice, f"?key={mallory.api_key.public_id}") == []


def test_keys_of_one_name_are_told_apart_and_the_living_come_first(
    alice: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, living = (apikeys.issue(alice.tenant, name="a shop").key for _ in range(2))
    apikeys.revoke(over)
    client, path = session_of(alice.owner), f"/t/{alice.tenant.slug}/requests/"
    page = client.get(path).content.decode()
    labels = re.findall(r'<optgroup label="([^"]+)">|<option value="[a-z0-9]{12}"[^>]*>([^<]+)<', page)
    assert ["".join(label) for label in labels] == [
        "In use",
        f"a shop · nk-{living.public_id[:6]}…",
        f"default · nk-{alice.api_key.public_id[:6]}…",
        "Revoked or expired",
        f"a shop · nk-{over.public_id[:6]}…",
    ]
    monkeypatch.setattr(requests, "LISTED", 2)
    week(alice)
    many = client.get(f"{path}?key=nk-{alice.api_key.public_id}-…").content.decode()
    assert f'<input id="key" name="key" value="{alice.api_key.public_id}" list="keys"' in many
    assert many.count(">a shop · nk-") == 2 and "HIT-EXACT</span>" in many


def test_pages_of_a_filter_leave_nothing_out(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "PAGE", 4)
    wanted = [miss(alice, model="rare", at=at(hours=hour % 5, days=hour % 3)) for hour in range(15)]
    book(alice, *wanted, *(miss(alice, at=at(hours=hour)) for hour in range(10)))
    seen, query = [], "?model=rare"
    client = session_of(alice.owner)
    while query:
        page = client.get(f"/t/{alice.tenant.slug}/requests/{query}").content.decode()
        seen += re.findall(r'data-id="([^"]+)"', page)
        older = re.search(r'href="(\?[^"]+)" rel="next"', page)
        query = older[1].replace("&amp;", "&") if older else ""
    assert sorted(seen) == sorted(event.id for event in wanted)


@pytest.mark.parametrize(
    "query",
    ["outcome=WHATEVER", "status=9999", "status=abc", "cursor=forged", f"model={'m' * 121}", "model=%00", "range=1y"],
)
def test_a_filter_that_is_none_is_told_so(alice: Workspace, query: str) -> None:
    week(alice)
    response = session_of(alice.owner).get(f"/t/{alice.tenant.slug}/requests/?{query}")
    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()


def test_who_looks_for_an_id_is_led_to_its_story(alice: Workspace) -> None:
    one, other = miss(alice, request_id="only-once"), miss(alice, request_id="twice")
    book(alice, one, other, miss(alice, request_id="twice"))
    client, base = session_of(alice.owner), f"/t/{alice.tenant.slug}/requests/"
    assert client.get(f"{base}?request_id=only-once")["Location"] == f"{base}{one.id}/"
    assert len(listed(alice, "?request_id=twice")) == 2
    assert client.get(f"{base}twice/")["Location"] == f"{base}?request_id=twice"
    assert client.get(f"{base}{other.id}/").status_code == 200
    assert "only-once" in told(alice, "only-once")


def test_an_id_that_nobody_knows_is_answered_within_the_frame(alice: Workspace) -> None:
    page = told(alice, "nothing-like-it", 404)
    assert "There is no such request here" in page
    assert "nothing-like-it" in page
    assert alice.tenant.name in page
    for odd in ("x" * 500, "%00", "%F0%9F", "a%0Ab", str(uuid.uuid4())):
        assert told(alice, odd, 404)


def test_a_miss_is_told_from_the_edge_to_its_price(alice: Workspace) -> None:
    event = miss(alice, stream=True, latency_ms=1000.0, provider_ms=900.0, first_token_ms=250.0, tags=["blue"])
    book(alice, event)
    page = told(alice, event.id)
    assert "Answered by a provider" in page
    assert "openai answered." in page
    assert "The app asked for a stream." in page
    assert "To the first token 250 ms" in page
    assert "The provider's attempt that answered 900 ms" in page
    assert "caches, and attempts that failed before 100 ms" in page
    assert "$0.0000135" in page
    assert "Input 10 $0.1500 $0.0000015" in page
    assert "Output 20 $0.6000 $0.000012" in page
    assert "1 request of the same outcome" in page
    assert "1 row of this key" in page
    assert "blue" in page


def test_a_cost_is_taken_apart_by_kinds_of_tokens(alice: Workspace) -> None:
    details = {"cached": 600, "reasoning": 100}
    price = pricing.load_book().unit_price("openai", "gpt-4o-mini", dt.datetime.fromtimestamp(at(), dt.UTC))
    assert price is not None
    cost = pricing.cost(price, 1000, 600, 300, details)
    event = miss(alice, prompt_tokens=1000, completion_tokens=300, cost_usd=cost, token_details=details, at=at())
    book(alice, event)
    page = told(alice, event.id)
    assert "Input 400" in page
    assert "Input, from the provider's own cache 600" in page
    assert "of these reasoning 100" in page


def test_a_sum_that_no_price_gives_is_shown_without_a_reckoning(alice: Workspace) -> None:
    event = miss(alice, cost_usd=Decimal("0.1234567891"))
    book(alice, event)
    page = told(alice, event.id)
    assert "$0.1234567891" in page
    assert "prices of then are no longer in the price list" in page
    unpriced = miss(alice, model="unheard-of", cost_usd=None, saved_usd=None)
    book(alice, unpriced)
    assert "Nobody knows a price of this model" in told(alice, unpriced.id)


def test_a_semantic_hit_names_its_similarity_and_its_entry(alice: Workspace) -> None:
    entry = str(uuid.uuid4())
    event = miss(alice, outcome=HIT_SEMANTIC, similarity=0.9123, entry_id=entry, saved_usd=COST_USD, **FREE)
    book(alice, event)
    page = told(alice, event.id)
    assert "Answered from the cache: the same meaning" in page
    assert "similarity 0.912" in page
    assert entry in page
    assert "Not asked." in page
    assert "What these tokens would have cost" in page


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"outcome": "HIT-EXACT", "coalesced": True, **FREE}, "An identical request was under way"),
        ({"outcome": "HIT-SEMANTIC", "stale": True, **FREE}, "Asked in vain; an entry of the cache stood in."),
        ({"outcome": "REFRESH"}, "the request asked for a fresh answer"),
        ({"outcome": "BYPASS"}, "The cache was left alone."),
        ({"simulated": True, "cost_usd": None}, "no model was asked"),
        ({"variant": "b/gpt-4o"}, "An A/B route chose “b/gpt-4o”."),
        ({"token_details": {"hedged": 10}}, "Another provider was asked at the same time"),
        ({"similarity": 0.9, "entry_id": str(uuid.uuid4()), "shadow_saved_usd": COST_USD}, "In shadow mode"),
        ({"status": 502, "error": "provider_failed", **FREE}, "No answer came, so nothing was charged."),
        ({"status": 499, "error": "client_left"}, "It ended half way; what had come was paid for."),
    ],
)
def test_each_way_has_its_words(alice: Workspace, facts: dict[str, Any], says: str) -> None:
    event = miss(alice, **facts)
    book(alice, event)
    assert says in told(alice, event.id)


def test_every_role_may_look_and_nobody_sees_a_prompt(
    alice: Workspace, make_member: Callable[[Workspace, str], Any]
) -> None:
    event = exact_hit(alice)
    book(alice, event)
    for role in ("admin", "developer", "finance", "viewer"):
        client = session_of(make_member(alice, role))
        assert client.get(f"/t/{alice.tenant.slug}/requests/").status_code == 200
        page = client.get(f"/t/{alice.tenant.slug}/requests/{event.id}/").content.decode()
        assert "A record holds no prompt and no answer." in page
        assert ("owners, admins and developers may read it" in page) == (role in ("finance", "viewer"))


def test_mallory_finds_nothing_of_alices(alice: Workspace, mallory: Workspace) -> None:
    event = miss(alice, request_id="alices-own")
    book(alice, event)
    client = session_of(mallory.owner)
    for path in ("", f"{event.id}/", "alices-own/", "?request_id=alices-own"):
        assert client.get(f"/t/{alice.tenant.slug}/requests/{path}").status_code == 404
    told(mallory, event.id, 404)
    told(mallory, "alices-own", 404)
    assert listed(mallory, "?request_id=alices-own") == []
    assert Client().get(f"/t/{alice.tenant.slug}/requests/").status_code == 302


def test_what_an_app_chose_is_escaped(alice: Workspace) -> None:
    event = miss(
        alice, model="<script>alert(1)</script>", request_id="<b>id</b>", tags=["<i>"], error="<u>", status=502
    )
    book(alice, event)
    client = session_of(alice.owner)
    for path in ("", f"{event.id}/"):
        page = client.get(f"/t/{alice.tenant.slug}/requests/{path}").content.decode()
        assert "<script>alert" not in page
        assert "<b>id" not in page
        assert "<i>" not in page
