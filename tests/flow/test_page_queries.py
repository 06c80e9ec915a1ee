"""No page of a workspace asks the database more often because there is more to show: every page that there is, at a
running gateway, in a small workspace and in one with ten times as much.
"""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from gateway.cache.embedding import build
from gateway.cache.embedding.minilm import MiniLM
from nexus.bench import pages, pages_filled
from nexus.bench.pages import Asked, Look
from nexus.bench.pages_filled import Sizes
from tests import servers
from tests.every_page import POST_ALONE, places

FEW = Sizes(records=60, entries=3, keys=3, audit_rows=3, deliveries=3, verdicts=6, some=3, others=0)
MANY = Sizes(records=600, entries=30, keys=30, audit_rows=30, deliveries=30, verdicts=60, some=30, others=0)
MOST = 25
# Those that list things: there, they are longer.
LISTS = [
    "alert-deliveries", "alert-webhooks", "alerts", "audit", "audit-csv", "audit-jsonl", "billing-ledger",
    "cache-entries", "cache-entries?q=remove+stains&by=meaning", "cache-review", "dashboard?range=7d",
    "keys", "requests?outcome=hits", "requests?tag=web", "routing", "routing-figures?model=support&days=30",
    "routing-health", "routing-providers", "savings-links", "savings?by=key&range=90d", "settings",
]  # fmt: skip
Looks = dict[str, tuple[Look, Look]]


@pytest.fixture(scope="module")
def looks(database: None) -> Iterator[Looks]:
    """By page: with few, and with many."""
    model = MiniLM.load(build.ensure(Path(settings.MODEL_DIR)))
    small, large = _filled(model, FEW), _filled(model, MANY)
    environment = {"DATABASE_URL": servers.test_database_url()}
    with servers.running("nexus.bench.pages_counted:application", ready="/readyz", **environment) as gateway:
        port = urllib.parse.urlsplit(gateway.url).port
        assert port is not None
        # What a process knows after its first time, it need not ask again.
        for few in small:
            pages.look_at(port, few)
        yield {
            few.name: (pages.look_at(port, few), pages.look_at(port, many))
            for few, many in zip(small, large, strict=True)
        }


def _filled(model: MiniLM, sizes: Sizes) -> list[Asked]:
    mark = f"pages-{uuid.uuid4().hex[:12]}"
    tenant, owner, source = pages_filled.make(mark, sizes)
    pages_filled.fill_cache(tenant, model, source.entry_ids)
    pages_filled.book(tenant, source, sizes.records)
    pages_filled.fill_rest(tenant, owner, mark, sizes)
    return [asked for asked in pages.listed(pages_filled.finish(tenant, owner)) if asked.path.startswith("/t/")]


def test_every_page_of_a_workspace_is_looked_at(looks: Looks) -> None:
    named = {place.name for place in places() if place.route.startswith("t/<slug:slug>/")}
    assert named - POST_ALONE <= set(looks)
    # Billing's forms lead back to who has no subscription; what is no page refuses to be one.
    statuses = {name: few.status for name, (few, _many) in looks.items() if few.status != 200}
    assert {name for name, status in statuses.items() if status == 302} == {
        "billing-change", "billing-cancel", "billing-look",
    }  # fmt: skip
    assert set(statuses.values()) == {302, 405}


def test_lists_are_longer_where_there_is_more(looks: Looks) -> None:
    assert [name for name in LISTS if looks[name][1].bytes < 1.1 * looks[name][0].bytes] == []


def test_more_to_show_is_no_more_queries(looks: Looks) -> None:
    asked = {name: (few.queries, many.queries) for name, (few, many) in looks.items()}
    assert {name: counts for name, counts in asked.items() if counts[0] != counts[1]} == {}
    assert {name: counts for name, counts in asked.items() if max(counts) > MOST} == {}
