"""What a request may ask of the cache: less than its workspace allows, never more."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cache import policy
from gateway.cache.policy import OwnRule
from gateway.cache.rules import narrowed, rules_of
from gateway.errors import InvalidRequest
from gateway.types import CacheRules

OWN = rules_of({"threshold": 0.9, "ttl_s": 3600, "stale_if_error_s": 600})


def asked(body: Any = None, **headers: str) -> CacheRules:
    return narrowed(OWN, {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}, body)


def test_without_a_row_the_defaults_hold() -> None:
    assert rules_of({}) == CacheRules()


def test_a_threshold_and_a_life_are_only_ever_made_stricter() -> None:
    assert asked(x_nexus_cache_threshold="0.5").threshold == 0.9
    assert asked(x_nexus_cache_threshold="0.97").threshold == 0.97
    assert asked(x_nexus_cache_ttl="60").ttl_s == 60
    assert asked(x_nexus_cache_ttl="999999").ttl_s == 3600
    assert asked({"ttl": 120}, x_nexus_cache_ttl="60").ttl_s == 60


def test_litellms_object_says_what_the_headers_say() -> None:
    assert asked({"no-store": True}) == asked(cache_control="no-store")
    assert asked({"no-cache": True}) == asked(cache_control="no-cache")
    assert asked({"use-cache": False}) == asked(cache_control="no-store")
    assert asked({"s-maxage": 30}) == asked(cache_control="max-age=30")
    assert asked({"namespace": "eu"}) == asked(x_nexus_cache_namespace="eu")
    assert asked({}) == asked({"use-cache": True, "no-cache": False}) == asked()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], "cache"),
        ("off", "cache"),
        ({"no-cache": "yes"}, "cache.no-cache"),
        ({"ttl": "60"}, "cache.ttl"),
        ({"ttl": -1}, "cache.ttl"),
        ({"ttl": float("nan")}, "cache.ttl"),
        ({"ttl": True}, "cache.ttl"),
        ({"namespace": ""}, "cache.namespace"),
        ({"namespace": "two words"}, "cache.namespace"),
        ({"namespace": 7}, "cache.namespace"),
        ({"colour": "blue"}, "cache.colour"),
    ],
)
def test_what_its_object_should_not_hold_is_named(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked(body)
    assert refused.value.param == param


def test_two_namespaces_are_a_contradiction() -> None:
    with pytest.raises(InvalidRequest):
        asked({"namespace": "eu"}, x_nexus_cache_namespace="us")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-nexus-cache", "maybe"),
        ("x-nexus-cache-ttl", "1h"),
        ("x-nexus-cache-ttl", "-5"),
        ("x-nexus-cache-tags", "two words"),
        ("x-nexus-cache-tags", ",".join(f"t{number}" for number in range(17))),
        ("x-nexus-cache-tags", "t" * 65),
        ("x-nexus-cache-threshold", "nan"),
        ("cache-control", "stale-if-error=soon"),
    ],
)
def test_a_bad_header_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        narrowed(OWN, {name.encode(): value.encode()}, None)
    assert (refused.value.param or "").lower() == name


def test_tags_are_kept_once_each_in_their_order() -> None:
    assert asked(x_nexus_cache_tags=" kb:v12, refunds ,kb:v12,").tags == ("kb:v12", "refunds")


def test_a_request_takes_stale_answers_no_older_than_are_kept() -> None:
    assert asked().accept_stale_s == 600
    assert asked(cache_control="stale-if-error=60").accept_stale_s == 60
    assert asked(cache_control="stale-if-error=86400").accept_stale_s == 600
    assert asked(cache_control="stale-if-error=0").accept_stale_s == 0


def test_what_was_learned_replaces_the_tenants_own_threshold_while_it_learns() -> None:
    learned = {"threshold": 0.85, "learn": True, "learned_threshold": 0.93, "learned_off": False}
    assert rules_of(learned).threshold == 0.93
    assert rules_of(learned | {"learn": False}).threshold == 0.85
    assert rules_of(learned | {"learned_off": True}).shadow
    assert not rules_of(learned | {"learned_off": True, "learn": False}).shadow


def test_a_routes_own_threshold_holds_until_a_stricter_one_is_learned() -> None:
    learned = {"threshold": 0.85, "learned_threshold": 0.93}
    assert rules_of({"threshold": 0.85}, {"threshold": 0.8}).threshold == 0.8
    assert rules_of(learned, {"threshold": 0.8}).threshold == 0.93
    assert rules_of(learned, {"threshold": 0.97}).threshold == 0.97
    assert rules_of(learned, {"ttl_s": 60}).ttl_s == 60


def test_samples_are_taken_only_where_somebody_judges() -> None:
    assert rules_of({}).sampling is None
    assert rules_of({"judge_model": "gpt-4o-mini"}).sampling is not None
    assert rules_of({"review": True}).sampling is not None
    assert rules_of({"shadow": True}).sampling is not None


OWN_WORDS = (
    OwnRule(("refund", "polic*"), "never"),
    OwnRule(("opening", "hours"), "fresh"),
    OwnRule(("weather",), "plain", 60),
    OwnRule(("größe",), "personal"),
)


@pytest.mark.parametrize(
    ("text", "semantic", "ttl_s"),
    [
        ("What is your refund policy?", False, 0),
        ("Refund-policies, please", False, 0),
        ("Is a refund the policy here?", True, policy.PLAIN_TTL_S),
        ("When are your opening hours?", False, policy.FRESH_TTL_S),
        ("What's the weather in Paris today?", True, 60),
        ("Welche GRÖSSE passt mir, welche Größe?", False, policy.PERSONAL_TTL_S),
    ],
)
def test_a_tenants_own_words_come_first(text: str, semantic: bool, ttl_s: int) -> None:
    found = policy.classify(text, OWN_WORDS)
    assert (found.semantic, found.ttl_s) == (semantic, ttl_s)
