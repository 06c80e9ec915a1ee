"""A workspace sets its cache policy, for all requests and for single routes."""

from __future__ import annotations

from typing import Any

import pytest

from tenants.models import AuditEvent
from tests.cached import ask, until
from tests.conftest import Workspace
from tests.management import call, made, provider_of, route_of

DEFAULTS = {
    "exact": True,
    "semantic": True,
    "shadow": False,
    "threshold": 0.85,
    "ttl_s": 604800,
    "stale_if_error_s": 0,
    "per_end_user": False,
    "rules": [],
    "wrong_budget": 0.02,
    "learn": True,
    "judge_model": "",
    "judge_budget_usd": 1.0,
    "review": False,
    "redact": [],
    "redact_words": [],
    "skip_redacted": False,
    "mask_answers": False,
}


def refused(answer: Any, param: str) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param), error
    return str(error["message"])


def test_settings_are_the_defaults_until_they_are_changed_one_by_one(admin: Workspace) -> None:
    assert call(admin, "GET", "/api/cache/settings").json() == DEFAULTS
    changes = {
        "threshold": 0.9,
        "ttl_s": 60,
        "stale_if_error_s": 3600,
        "judge_budget_usd": 2.5,
        "rules": [
            {"words": "  Refund   STATUS* ", "kind": "personal"},
            {"words": "wetter", "kind": "fresh", "ttl_s": 5},
        ],
    }
    changed = {
        **DEFAULTS,
        **changes,
        "rules": [
            {"words": "refund status*", "kind": "personal", "ttl_s": None},
            {"words": "wetter", "kind": "fresh", "ttl_s": 5},
        ],
    }
    assert call(admin, "PATCH", "/api/cache/settings", changes).json() == changed
    assert call(admin, "PATCH", "/api/cache/settings", {"shadow": True}).json() == {**changed, "shadow": True}
    assert call(admin, "GET", "/api/cache/settings").json() == {**changed, "shadow": True}
    events = AuditEvent.objects.filter(tenant=admin.tenant, action="cache_settings.changed").order_by("pk")
    assert [((event.before or {})["shadow"], (event.after or {})["shadow"]) for event in events] == [
        (False, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"threshold": 0.49}, "threshold"),
        ({"threshold": "0.9"}, "threshold"),
        ({"threshold": True}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"ttl_s": -1}, "ttl_s"),
        ({"ttl_s": 10**12}, "ttl_s"),
        ({"ttl_s": 1.5}, "ttl_s"),
        ({"wrong_budget": 0}, "wrong_budget"),
        ({"wrong_budget": 0.6}, "wrong_budget"),
        ({"judge_budget_usd": -0.01}, "judge_budget_usd"),
        ({"judge_budget_usd": 10**9}, "judge_budget_usd"),
        ({"judge_model": "a\x00b"}, "judge_model"),
        ({"judge_model": "a\nb"}, "judge_model"),
        ({"judge_model": "x" * 121}, "judge_model"),
        ({"judge_model": "gpt-4o-mini"}, "judge_model"),
        ({"redact": ["emails"]}, "redact[0]"),
        ({"redact": "email"}, "redact"),
        ({"redact_words": [" "]}, "redact_words[0]"),
        ({"redact_words": ["Email"]}, "redact_words[0]"),
        ({"redact_words": ["x" * 61]}, "redact_words[0]"),
        ({"redact_words": ["a"] * 101}, "redact_words"),
        ({"exact": "perhaps"}, "exact"),
        ({"exact": []}, "exact"),
        ({"tresholt": 0.9}, "tresholt"),
        ({"id": 2}, "id"),
        ({"rules": {}}, "rules"),
        ({"rules": [{"words": "a", "kind": "plain"}] * 101}, "rules"),
        ({"rules": [{"words": "refund", "kind": "sometimes"}]}, "rules[0].kind"),
        ({"rules": [{"words": "", "kind": "plain"}]}, "rules[0].words"),
        ({"rules": [{"words": "*", "kind": "plain"}]}, "rules[0].words"),
        ({"rules": [{"words": "a* b", "kind": "plain"}]}, "rules[0].words"),
        ({"rules": [{"words": "a*b", "kind": "plain"}]}, "rules[0].words"),
        ({"rules": [{"words": "what's", "kind": "plain"}]}, "rules[0].words"),
        ({"rules": [{"words": "a b c d e f g h i", "kind": "plain"}]}, "rules[0].words"),
        ({"rules": [{"words": "a" * 201, "kind": "plain"}]}, "rules[0].words"),
        ({"rules": [{"words": "a", "kind": "plain", "ttl_s": -1}]}, "rules[0].ttl_s"),
        ({"rules": [{"words": "a", "kind": "plain", "why": 1}]}, "rules[0].why"),
        ({"rules": [{"words": "ok", "kind": "plain"}, {"kind": "plain"}]}, "rules[1].words"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_changes_nothing(
    admin: Workspace, changes: dict[str, Any], param: str
) -> None:
    refused(call(admin, "PATCH", "/api/cache/settings", {"ttl_s": 5, **changes}), param)
    assert call(admin, "GET", "/api/cache/settings").json() == DEFAULTS


def test_a_judge_is_a_model_of_a_provider_of_ones_own(admin: Workspace) -> None:
    made(admin, "/api/providers", provider_of(settings={"models": ["m"]}))
    for model in ("m", "own/m", ""):
        changed = call(admin, "PATCH", "/api/cache/settings", {"judge_model": model})
        assert changed.json()["judge_model"] == model
    message = refused(call(admin, "PATCH", "/api/cache/settings", {"judge_model": "other"}), "judge_model")
    assert "other" in message


def test_no_number_is_no_number(admin: Workspace) -> None:
    for text in ('{"threshold": NaN}', '{"threshold": 1e999}', "[]", "null", '{"a":' * 2000):
        assert call(admin, "PATCH", "/api/cache/settings", text).status_code == 400


def test_a_changed_policy_holds_for_the_next_request(server: str, admin: Workspace) -> None:
    question = "How long is the warranty?"
    ask(server, admin, question)
    assert ask(server, admin, question).headers["x-cache"] == "HIT-EXACT"
    call(admin, "PATCH", "/api/cache/settings", {"exact": False, "semantic": False})
    until(lambda: ask(server, admin, question).headers["x-cache"] == "MISS")
    rules = [{"words": "warranty", "kind": "never"}]
    call(admin, "PATCH", "/api/cache/settings", {"exact": True, "semantic": True, "rules": rules})
    other = "Is the warranty mine?"
    until(lambda: ask(server, admin, question).headers["x-cache"] == "HIT-EXACT")
    assert [ask(server, admin, other).headers["x-cache"] for _ in range(2)] == ["MISS", "MISS"]


# --- routes -----------------------------------------------------------------------------------------------------------


def test_a_route_has_cache_settings_of_its_own(server: str, admin: Workspace) -> None:
    body = route_of("house", {"model": "gpt-4o-mini"}, cache={"exact": False, "semantic": False, "ttl_s": None})
    created = made(admin, "/api/routes", body)
    assert created["cache"] == {"exact": False, "semantic": False}
    assert call(admin, "GET", "/api/routes/house").json() == created
    until(lambda: [_outcome(server, admin, "house") for _ in range(2)] == ["MISS", "MISS"])
    assert ask(server, admin, "Which route is it?").headers["x-cache"] == "MISS"
    assert ask(server, admin, "Which route is it?").headers["x-cache"] == "HIT-EXACT"
    replaced = call(admin, "PUT", "/api/routes/house", route_of("house", {"model": "gpt-4o-mini"})).json()
    assert replaced["cache"] == {}


def _outcome(server: str, workspace: Workspace, model: str) -> str:
    return str(ask(server, workspace, "Which route is it?", model).headers["x-cache"])


@pytest.mark.parametrize(
    ("cache", "param"),
    [
        ({"threshold": 0.3}, "cache.threshold"),
        ({"threshold": "x"}, "cache.threshold"),
        ({"ttl_s": -1}, "cache.ttl_s"),
        ({"ttl": 5}, "cache.ttl"),
        ({"shadow": {}}, "cache.shadow"),
        ([], "cache"),
        (None, "cache"),
    ],
)
def test_a_routes_cache_is_checked(admin: Workspace, cache: Any, param: str) -> None:
    refused(call(admin, "POST", "/api/routes", route_of("house", {"model": "m"}, cache=cache)), param)
