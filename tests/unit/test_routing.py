"""From a model's name to who may answer, and in which order."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest

from billing.pricing import PriceBook
from gateway import routing
from gateway.dialects import openai_chat
from gateway.errors import Forbidden, ModelNotFound
from gateway.routing import Signals
from gateway.setups import RouteSetup, Setup, TargetSetup
from gateway.types import Candidate, Plan, ProviderConfig
from tenants.limits import Limits
from tenants.principal import Principal

OPENAI = ProviderConfig("main", "openai", catalog="openai", owner="t1")
CLAUDE = ProviderConfig("claude", "anthropic", catalog="anthropic", owner="t1")
OWN = ProviderConfig("own", "vllm", catalog="vllm", settings={"models": ["llama-x"]}, owner="t1")
SIMULATED = ProviderConfig("simulated", "simulated", catalog="openai")
KEY = Principal(1, "t_1", "a", True, 1, "x", b"", "scale", Limits())
MINI, STRONG = TargetSetup(OPENAI, "gpt-4o-mini"), TargetSetup(OPENAI, "gpt-4o")
HAIKU = TargetSetup(CLAUDE, "claude-haiku-4-5")


def plan(
    model: str, *routes: RouteSetup, providers: Any = (OPENAI, CLAUDE, OWN), key: Principal = KEY, latency: Any = None,
    content: str = "Hello", **more: Any,
) -> Plan:  # fmt: skip
    request = openai_chat.read({"model": model, "messages": [{"role": "user", "content": content}], **more})
    setup = Setup(providers=providers, routes={route.model: route for route in routes})
    return routing.plan(setup, key, request, Signals(latency or (lambda candidate: None), PriceBook()))


def names(found: Plan) -> list[str]:
    return [f"{candidate.provider.name}/{candidate.model}" for candidate in found.candidates]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", ["main/gpt-4o"]),
        ("claude-sonnet-4-5", ["claude/claude-sonnet-4-5"]),
        ("llama-x", ["own/llama-x"]),
        ("own/anything", ["own/anything"]),
        ("claude/gpt-4o", ["claude/gpt-4o"]),
        # Nobody lists it: those that might have it are asked, in the tenant's order.
        ("ft:my-model", ["main/ft:my-model", "claude/ft:my-model"]),
        ("meta/llama", ["main/meta/llama", "claude/meta/llama"]),
    ],
)
def test_a_model_goes_to_who_has_it(model: str, expected: list[str]) -> None:
    assert names(plan(model)) == expected


def test_the_simulated_provider_stands_in_for_models_that_exist() -> None:
    assert names(plan("gpt-4o", providers=(SIMULATED,))) == ["simulated/gpt-4o"]
    with pytest.raises(ModelNotFound):
        plan("gpt-4o-typo", providers=(SIMULATED,))


def test_a_key_asks_for_its_models_alone_also_by_a_routes_name() -> None:
    key = dataclasses.replace(KEY, allowed_models=frozenset({"house"}))
    house = RouteSetup("house", "fallback", (STRONG,))
    assert names(plan("house", house, key=key)) == ["main/gpt-4o"]
    for model in ("gpt-4o", "auto", "main/gpt-4o"):
        with pytest.raises(Forbidden, match="house"):
            plan(model, house, key=key)


def test_fallback_goes_through_all_fixed_through_one() -> None:
    targets = (STRONG, HAIKU, STRONG)
    assert names(plan("house", RouteSetup("house", "fallback", targets))) == ["main/gpt-4o", "claude/claude-haiku-4-5"]
    assert names(plan("house", RouteSetup("house", "fixed", targets))) == ["main/gpt-4o"]


def test_a_route_without_targets_says_why() -> None:
    with pytest.raises(ModelNotFound, match="switched off"):
        plan("house", RouteSetup("house", "fallback", ()))


def test_weights_share_out_users_and_each_user_stays() -> None:
    route = RouteSetup("house", "weighted", (STRONG._replace(weight=3), HAIKU._replace(weight=1)))
    chosen = Counter(plan("house", route, user=f"u{number}").variant for number in range(2000))
    assert set(chosen) == {"main/gpt-4o", "claude/claude-haiku-4-5"}
    assert 0.7 < chosen["main/gpt-4o"] / 2000 < 0.8
    assert len({plan("house", route, user="u1", content=f"question {n}").variant for n in range(20)}) == 1
    assert len({plan("house", route, content="the same beginning").variant for _ in range(5)}) == 1


def test_variants_have_cache_entries_of_their_own_and_the_other_stands_by() -> None:
    route = RouteSetup("house", "weighted", (STRONG, HAIKU))
    plans = {found.variant: found for found in (plan("house", route, user=f"u{number}") for number in range(50))}
    assert len({found.ways for found in plans.values()}) == 2
    assert all(len(found.candidates) == 2 and names(found)[0] == variant for variant, found in plans.items())


def test_a_weight_of_zero_only_stands_by() -> None:
    route = RouteSetup("house", "weighted", (STRONG._replace(weight=0), HAIKU))
    assert {names(plan("house", route, user=f"u{n}"))[0] for n in range(50)} == {"claude/claude-haiku-4-5"}


def test_the_fastest_is_asked_first_and_the_answer_is_the_same_question() -> None:
    def latency(candidate: Candidate) -> float | None:
        return {"gpt-4o": 900.0, "claude-haiku-4-5": 200.0, "gpt-4o-mini": None}[candidate.model]

    route = RouteSetup("house", "fastest", (STRONG, HAIKU, MINI))
    found = plan("house", route, latency=latency)
    # Who is not known goes first: so it gets known.
    assert names(found) == ["main/gpt-4o-mini", "claude/claude-haiku-4-5", "main/gpt-4o"]
    assert found.ways == plan("house", route).ways


def test_the_cheapest_is_asked_first_and_unknown_prices_last() -> None:
    route = RouteSetup("house", "cheapest", (TargetSetup(OWN, "llama-x"), STRONG, MINI))
    assert names(plan("house", route)) == ["main/gpt-4o-mini", "main/gpt-4o", "own/llama-x"]


HARD = "Prove that the square root of 2 plus the square root of 3 is irrational, step by step."


def test_auto_needs_no_route() -> None:
    assert names(plan("auto")) == ["main/gpt-4o-mini", "main/gpt-4o"]
    assert names(plan("auto", content=HARD)) == ["main/gpt-4o", "main/gpt-4o-mini"]
    assert names(plan("auto", providers=(CLAUDE,))) == ["claude/claude-haiku-4-5", "claude/claude-sonnet-4-5"]
    assert plan("auto").ways != plan("auto", content=HARD).ways


def test_a_route_of_ones_own_decides_what_simple_and_complex_mean() -> None:
    route = RouteSetup("auto", "complexity", (HAIKU._replace(tier="simple"), STRONG._replace(tier="complex")))
    assert names(plan("auto", route))[0] == "claude/claude-haiku-4-5"
    assert names(plan("auto", route, content=HARD))[0] == "main/gpt-4o"


def test_what_can_be_asked_for_is_listed() -> None:
    setup = Setup(providers=(OPENAI, OWN), routes={"house": RouteSetup("house", "fallback", (STRONG,))})
    listed = routing.model_names(setup, KEY)
    assert listed["house"] == "main" and listed["llama-x"] == "own" and listed["auto"] == "nexus"
