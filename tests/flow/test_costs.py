"""What a call costs, who pays for it, and under which tags: as the answer says it, and as it is booked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx2
import pytest

from analytics.models import UsageRecord
from billing.models import LedgerEntry, PriceOverride
from tests import servers
from tests.calls import chat, make_route, records, upstream_calls
from tests.conftest import Workspace

# USD per million tokens.
INPUT, CACHED, OUTPUT, THOUGHT = 10, 1, 20, 30
# Of a “thinks…” model: 1,000 tokens of which 400 were known, and 500 of which 300 are thoughts.
COST_USD = Decimal(600 * INPUT + 400 * CACHED + 200 * OUTPUT + 300 * THOUGHT) / 1_000_000


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    return with_provider(alice)


def priced(kind: str) -> str:
    """A new model of the fake provider's, with a price."""
    model = f"{kind}-{uuid.uuid4().hex[:8]}"
    PriceOverride.objects.create(
        catalog="openai", model=model, input_usd_per_mtok=INPUT, output_usd_per_mtok=OUTPUT,
        cached_input_usd_per_mtok=CACHED, reasoning_usd_per_mtok=THOUGHT,
    )  # fmt: skip
    return model


def known(server: str, workspace: Workspace, model: str) -> tuple[int, httpx2.Response]:
    """Asks until the new price has got around; how often, and the last answer."""
    until = time.monotonic() + 5
    for asked in range(1, 1000):
        answer = chat(server, workspace.key, model)
        if answer.headers["x-nexus-cost-usd"] != "unknown" or time.monotonic() > until:
            return asked, answer
    raise AssertionError("unreachable")


def test_each_kind_of_token_has_its_price_on_the_answer_and_in_the_books(server: str, fake: Workspace) -> None:
    model = priced("thinks")
    asked, answer = known(server, fake, model)
    assert Decimal(answer.headers["x-nexus-cost-usd"]) == COST_USD
    record = records(fake, asked)[-1]
    assert (record.prompt_tokens, record.completion_tokens, record.billed_tokens) == (1000, 500, 1500)
    assert record.token_details == {"cached": 400, "reasoning": 300}
    assert record.cost_usd == COST_USD
    assert sum(entry.cost_usd for entry in LedgerEntry.objects.filter(tenant=fake.tenant)) == COST_USD


@pytest.mark.parametrize("stream", [False, True])
def test_a_hit_saves_what_the_answer_cost_kind_by_kind(server: str, fake: Workspace, stream: bool) -> None:
    model = priced("thinks")
    asked, _ = known(server, fake, model)
    for _ in range(2):
        answer = chat(server, fake.key, model, f"same {stream} {model}", stream=stream)
    assert answer.headers["x-cache"] == "HIT-EXACT"
    assert Decimal(answer.headers["x-nexus-saved-usd"]) == COST_USD
    record = records(fake, asked + 2)[-1]
    assert (record.outcome, record.cost_usd, record.saved_usd) == ("HIT-EXACT", 0, COST_USD)
    assert record.token_details == {"cached": 400, "reasoning": 300}


def test_hits_that_were_seen_before_follow_a_new_price(server: str, fake: Workspace) -> None:
    """They are remembered with what they save."""
    model = f"gpt-4o-mini-{uuid.uuid4().hex[:6]}"
    saved = [chat(server, fake.key, model, "hot").headers["x-nexus-saved-usd"] for _ in range(3)]
    assert saved == ["0.0", "unknown", "unknown"]
    PriceOverride.objects.create(catalog="openai", model=model, input_usd_per_mtok=1, output_usd_per_mtok=1)
    until = time.monotonic() + 5
    while (told := chat(server, fake.key, model, "hot").headers["x-nexus-saved-usd"]) == "unknown":
        assert time.monotonic() < until
    assert Decimal(told) > 0


def test_a_model_without_a_price_is_not_free_and_says_so(server: str, fake: Workspace) -> None:
    answer = chat(server, fake.key, "ok")
    assert (answer.headers["x-nexus-cost-usd"], answer.headers["x-nexus-saved-usd"]) == ("unknown", "0.0")
    chat(server, fake.key, "ok", stream=True)
    assert [record.cost_usd for record in records(fake, 2)] == [None, None]
    assert sum(entry.unpriced for entry in LedgerEntry.objects.filter(tenant=fake.tenant)) == 2


# --- who pays ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def platform(provider: str) -> Iterator[str]:
    """A gateway whose own account answers for workspaces without a provider."""
    with servers.gateway(OPENAI_API_KEY="sk-platform", OPENAI_BASE_URL=f"{provider}/v1") as running:
        yield running.url


def test_the_platform_pays_for_what_its_own_account_answers(platform: str, alice: Workspace) -> None:
    for _ in range(2):
        chat(platform, alice.key, "gpt-4o-mini", "the same question")
    chat(platform, alice.key, "gpt-4o-mini", stream=True)
    paid = [(record.outcome, record.paid_by_platform) for record in records(alice, 3)]
    assert paid == [("MISS", True), ("HIT-EXACT", False), ("MISS", True)]
    (cost,) = {record.cost_usd for record in records(alice, 3) if record.paid_by_platform}
    assert (
        cost and sum(entry.platform_cost_usd for entry in LedgerEntry.objects.filter(tenant=alice.tenant)) == 2 * cost
    )


def test_a_tenants_own_account_and_a_simulation_cost_the_platform_nothing(
    server: str, fake: Workspace, mallory: Workspace
) -> None:
    chat(server, fake.key, "gpt-4o-mini")
    chat(server, mallory.key, "gpt-4o-mini")
    for workspace in (fake, mallory):
        (record,) = records(workspace, 1)
        assert record.cost_usd and not record.paid_by_platform
        assert sum(entry.platform_cost_usd for entry in LedgerEntry.objects.filter(tenant=workspace.tenant)) == 0


def test_the_platform_pays_for_vectors_of_new_texts_only(platform: str, alice: Workspace) -> None:
    headers = {"Authorization": f"Bearer {alice.key}", "X-Nexus-Tags": "search"}
    for texts in (["one"], ["one", "two"], ["two", "one"]):
        body = {"model": "text-embedding-3-small", "input": texts}
        assert httpx2.post(f"{platform}/v1/embeddings", json=body, headers=headers).status_code == 200
    new, mixed, old = records(alice, 3)
    # 0.02 USD per million tokens, and 100 tokens a text.
    text_usd = Decimal("0.000002")
    assert [(one.cost_usd, one.saved_usd) for one in (new, mixed, old)] == [
        (text_usd, 0), (text_usd, text_usd), (0, 2 * text_usd)
    ]  # fmt: skip
    assert [one.paid_by_platform for one in (new, mixed, old)] == [True, True, False]
    assert [one.tags for one in (new, mixed, old)] == [["search"]] * 3


# --- hedges -----------------------------------------------------------------------------------------------------------


def test_who_was_asked_in_vain_is_on_the_bill_with_its_prompt(server: str, fake: Workspace) -> None:
    fast, slow = priced("thinks"), priced("slow")
    asked, _ = known(server, fake, fast)
    more, _ = known(server, fake, slow)
    make_route(fake, "house", slow, fast, hedge_after_ms=50)
    answer = chat(server, fake.key, "house")
    assert answer.headers["x-nexus-model"] == fast
    # An estimate: the prompt, as the winner has counted it.
    lost_usd = Decimal(1000 * INPUT) / 1_000_000
    assert Decimal(answer.headers["x-nexus-cost-usd"]) == COST_USD + lost_usd
    record = records(fake, asked + more + 1)[-1]
    assert record.cost_usd == COST_USD + lost_usd
    assert record.token_details == {"cached": 400, "reasoning": 300, "hedged": 1000}
    assert record.billed_tokens == 1500


def test_vectors_that_were_cached_are_on_nobodys_bill(server: str, fake: Workspace) -> None:
    fast, slow = priced("ok"), priced("slow")
    asked = sum(known(server, fake, model)[0] for model in (fast, slow))
    make_route(fake, "vectors", slow, fast, hedge_after_ms=50)
    headers = {"Authorization": f"Bearer {fake.key}"}
    for texts in (["one"], ["one", "two"]):
        body = {"model": "vectors", "input": texts}
        answer = httpx2.post(f"{server}/v1/embeddings", json=body, headers=headers)
        assert answer.headers["x-nexus-model"] == fast
    first, second = records(fake, asked + 2)[-2:]
    # 100 tokens a text, from the winner and once more from who was asked in vain.
    assert first.cost_usd == second.cost_usd == Decimal(2 * 100 * INPUT) / 1_000_000
    assert (second.prompt_tokens, second.billed_tokens) == (200, 100)
    assert first.token_details == second.token_details == {"hedged": 100}


def test_a_budget_holds_for_all_that_may_be_asked_at_the_same_time(
    server: str, fake: Workspace, make_workspace: Callable[..., Workspace], with_provider: Callable[..., Workspace]
) -> None:
    models = [priced("ok") for _ in range(3)]
    for model in models:
        known(server, fake, model)
    # 100 KB are 1 USD at each of them, if each byte were a token.
    text = "x" * 100_000
    for budget_usd, status in (("2.50", 402), ("3.50", 200)):
        bounded = with_provider(make_workspace("scale", monthly_budget_usd=budget_usd))
        make_route(bounded, "house", *models, hedge_after_ms=4000)
        make_route(bounded, "alone", *models)
        assert chat(server, bounded.key, "alone", text, max_tokens=5).status_code == 200
        assert chat(server, bounded.key, "house", text, max_tokens=5).status_code == status


def test_who_failed_before_the_other_won_is_not(server: str, fake: Workspace) -> None:
    fast = priced("thinks")
    asked, _ = known(server, fake, fast)
    make_route(fake, "house", "status-401", fast, hedge_after_ms=4000)
    answer = chat(server, fake.key, "house")
    assert Decimal(answer.headers["x-nexus-cost-usd"]) == COST_USD
    assert "hedged" not in (records(fake, asked + 1)[-1].token_details or {})


# --- tags -------------------------------------------------------------------------------------------------------------


def tagged(workspace: Workspace, count: int) -> list[tuple[str, list[str] | None]]:
    found: list[UsageRecord] = records(workspace, count)
    return [(record.outcome, record.tags) for record in found]


def test_tags_are_booked_with_misses_hits_and_answers_that_failed(server: str, fake: Workspace) -> None:
    chat(server, fake.key, "ok", "tagged", headers={"X-Nexus-Tags": "team-a, batch"})
    chat(server, fake.key, "ok", "tagged", headers={"X-Nexus-Tags": "team-b"})
    chat(server, fake.key, "ok", "tagged")
    chat(server, fake.key, "status-500", headers={"X-Nexus-Tags": "team-c"})
    assert tagged(fake, 4) == [
        ("MISS", ["team-a", "batch"]),
        ("HIT-EXACT", ["team-b"]),
        ("HIT-EXACT", None),
        ("MISS", ["team-c"]),
    ]


def test_tags_in_the_body_are_booked_and_litellms_go_no_further(server: str, fake: Workspace, provider: str) -> None:
    chat(server, fake.key, "ok", metadata={"tags": ["team-a"], "topic": "demo"})
    sent = httpx2.get(f"{provider}/calls").json()["last"]["payload"]
    assert sent["metadata"] == {"topic": "demo"}
    chat(server, fake.key, "ok", metadata={"tags": "team-b,team-c"})
    assert httpx2.get(f"{provider}/calls").json()["last"]["payload"]["metadata"] == {"tags": "team-b,team-c"}
    assert tagged(fake, 2) == [("MISS", ["team-a"]), ("MISS", ["team-b", "team-c"])]


@pytest.mark.parametrize("tags", ["a,,b", "x" * 65, ",".join(map(str, range(11)))], ids=["gap", "long", "many"])
def test_wrong_tags_are_refused_before_anybody_is_asked(server: str, fake: Workspace, provider: str, tags: str) -> None:
    before = upstream_calls(provider)
    answer = chat(server, fake.key, "ok", headers={"X-Nexus-Tags": tags})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "X-Nexus-Tags"
    assert upstream_calls(provider) == before
