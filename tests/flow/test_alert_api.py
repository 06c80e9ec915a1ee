"""Alert rules, history and webhook endpoints by API: what is refused says why, and every change is in the audit log."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from analytics import alerts
from analytics.alerts import changes, rules
from analytics.alerts.kinds import KINDS
from analytics.alerts.models import WebhookEndpoint
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.management import audited, call, made, refused

HOOK = {"url": "https://hooks.example.com/alerts"}


def raise_some(workspace: Workspace, count: int) -> None:
    for number in range(count):
        alerts.raise_alert(workspace.tenant, "drift", "books", {"drift_requests": number}, str(number))


def test_each_kind_has_a_rule_with_defaults(admin: Workspace) -> None:
    shown = call(admin, "GET", "/api/alerts/rules").json()["data"]
    assert [rule["kind"] for rule in shown] == list(KINDS)
    first = shown[0]
    assert first["enabled"] and first["thresholds"] == {"percents": [50, 80, 100]}
    assert first["channels"] == ["email", "webhook"] and "finance" in first["roles"]
    assert call(admin, "GET", "/api/alerts/rules/quota_requests").json() == first


def test_a_rule_is_replaced_and_what_is_left_out_is_the_default(admin: Workspace) -> None:
    path = "/api/alerts/rules/error_rate"
    sent = {"thresholds": {"share": 0.5}, "channels": ["webhook"], "roles": []}
    changed = call(admin, "PUT", path, sent).json()
    assert changed["thresholds"] == {"share": 0.5, "minutes": 10, "minimum_requests": 20}
    assert (changed["channels"], changed["roles"]) == (["webhook"], [])
    assert call(admin, "PUT", path, {"enabled": False}).json()["enabled"] is False
    undone = call(admin, "PUT", path, {}).json()
    with schema_of(admin.tenant):
        assert rules.read("error_rate") == rules.default_of("error_rate")
    events = audited(admin)
    assert [event.action for event in events] == ["alert_rule.changed"] * 3
    assert events[-1].after == undone and events[0].before and events[0].before["thresholds"]["share"] == 0.2


def test_percents_are_kept_in_order(admin: Workspace) -> None:
    path = "/api/alerts/rules/quota_tokens"
    assert call(admin, "PUT", path, {"thresholds": {"percents": [90, 10]}}).json()["thresholds"] == {
        "percents": [10, 90]
    }


@pytest.mark.parametrize(
    ("kind", "sent", "param"),
    [
        ("quota_requests", {"thresholds": {"percents": []}}, "thresholds.percents"),
        ("quota_requests", {"thresholds": {"percents": [0]}}, "thresholds.percents"),
        ("quota_requests", {"thresholds": {"percents": [50, 50]}}, "thresholds.percents"),
        ("quota_requests", {"thresholds": {"percents": [1.5]}}, "thresholds.percents"),
        ("quota_requests", {"thresholds": {"percents": [True]}}, "thresholds.percents"),
        ("quota_requests", {"thresholds": {"percents": list(range(1, 12))}}, "thresholds.percents"),
        ("quota_requests", {"thresholds": {"percents": 50}}, "thresholds.percents"),
        ("quota_requests", {"thresholds": {"share": 1}}, "thresholds.share"),
        ("quota_requests", {"thresholds": [1]}, "thresholds"),
        ("error_rate", {"thresholds": {"share": "nan"}}, "thresholds.share"),
        ("error_rate", {"thresholds": {"share": 2}}, "thresholds.share"),
        ("error_rate", {"thresholds": {"minutes": 10**15}}, "thresholds.minutes"),
        ("drift", {"thresholds": {"share": 1}}, "thresholds.share"),
        ("drift", {"channels": ["pigeon"]}, "channels[0]"),
        ("drift", {"channels": ["email", "email"]}, "channels"),
        ("drift", {"roles": ["king"]}, "roles[0]"),
        ("drift", {"enabled": "perhaps"}, "enabled"),
        ("drift", {"surprise": 1}, "surprise"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(admin: Workspace, kind: str, sent: Any, param: str) -> None:
    refused(call(admin, "PUT", f"/api/alerts/rules/{kind}", sent), 400, param)
    assert audited(admin) == []


def test_an_unknown_kind_is_not_there(admin: Workspace) -> None:
    for method in ("GET", "PUT"):
        refused(call(admin, method, "/api/alerts/rules/weather", {} if method == "PUT" else None), 404)


def test_the_history_comes_a_page_at_a_time_the_newest_first(admin: Workspace) -> None:
    raise_some(admin, 5)
    seen, cursor = [], ""
    while True:
        page = call(admin, "GET", f"/api/alerts?kind=drift&limit=2{cursor and f'&cursor={cursor}'}").json()
        seen += [event["facts"]["drift_requests"] for event in page["data"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert seen == [4, 3, 2, 1, 0]
    event = page["data"][0]
    assert event["title"] == "The books differ" and "0 requests" in event["text"] and event["read_at"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=forged", "kind=weather", "unread=perhaps", "other=1"])
def test_a_query_of_the_history_that_makes_no_sense_is_refused(admin: Workspace, query: str) -> None:
    refused(call(admin, "GET", f"/api/alerts?{query}"), 400, query.partition("=")[0])


def test_an_alert_is_marked_as_read(admin: Workspace) -> None:
    raise_some(admin, 2)
    unread = call(admin, "GET", "/api/alerts?kind=drift&unread=true").json()["data"]
    read = call(admin, "POST", f"/api/alerts/{unread[0]['id']}/read").json()
    assert read["read_at"] is not None
    assert call(admin, "POST", f"/api/alerts/{unread[0]['id']}/read").json() == read
    left = call(admin, "GET", "/api/alerts?kind=drift&unread=true").json()["data"]
    assert left == unread[1:]
    assert [event.action for event in audited(admin)] == ["alert.read"]


def test_an_endpoint_is_made_changed_and_deleted(admin: Workspace) -> None:
    endpoint = made(admin, "/api/alerts/webhooks", {**HOOK, "kinds": ["drift"], "description": "Ops"})
    assert endpoint["secret"].startswith("whsec_") and endpoint["enabled"]
    path = f"/api/alerts/webhooks/{endpoint['id']}"
    shown = call(admin, "GET", path).json()
    assert "secret" not in shown and shown == {name: value for name, value in endpoint.items() if name != "secret"}
    with schema_of(admin.tenant):
        assert endpoint["secret"].encode() not in bytes(WebhookEndpoint.objects.get().secret)
    changed = call(admin, "PATCH", path, {"kinds": [], "enabled": False}).json()
    assert (changed["kinds"], changed["enabled"], changed["url"]) == ([], False, HOOK["url"])
    assert call(admin, "DELETE", path).status_code == 204
    assert call(admin, "GET", path).status_code == 404
    events = audited(admin)
    assert [event.action for event in events] == ["webhook.created", "webhook.changed", "webhook.deleted"]
    assert endpoint["secret"] not in json.dumps([[event.before, event.after] for event in events])


def test_an_endpoint_that_we_switched_off_begins_anew_when_it_is_switched_on(admin: Workspace) -> None:
    endpoint = made(admin, "/api/alerts/webhooks", HOOK)
    with schema_of(admin.tenant):
        WebhookEndpoint.objects.update(enabled=False, off_reason="It failed.", failing_since="2026-01-01T00:00Z")
    path = f"/api/alerts/webhooks/{endpoint['id']}"
    assert call(admin, "GET", path).json()["off_reason"] == "It failed."
    on = call(admin, "PATCH", path, {"enabled": True}).json()
    assert (on["off_reason"], on["failing_since"]) == ("", None)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x", "ftp://hooks.example.com", "hooks.example.com", "https://", "https://[bad/x",
        "https://me:secret@hooks.example.com/", "https://hooks.example.com/#part", "https://hooks.example.com/a b",
        "https://hooks.example.com\\@127.0.0.1/", "https://hooks.example.com:99999/", "https://127.0.0.1/x",
        "https://10.1.2.3/x", "https://169.254.169.254/latest/meta-data", "https://[::1]/x", "https://localhost/x",
        "https://[::ffff:10.0.0.1]/x", "https://127。0。0。1/x", "https://①⑥⑨.254.169.254/x", "https://2130706433/x",
        "https://0x7f.1/x", "https://127.1/x", f"https://hooks.example.com/{'x' * 2_000}", "", None, 7, ["https://a.b"],
    ],
)  # fmt: skip
def test_an_address_that_must_not_be_called_is_refused(admin: Workspace, url: Any) -> None:
    refused(call(admin, "POST", "/api/alerts/webhooks", {"url": url}), 400, "url")
    endpoint = made(admin, "/api/alerts/webhooks", HOOK)
    refused(call(admin, "PATCH", f"/api/alerts/webhooks/{endpoint['id']}", {"url": url}), 400, "url")


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({}, "url"),
        ({**HOOK, "kinds": ["weather"]}, "kinds[0]"),
        ({**HOOK, "description": "x" * 201}, "description"),
        ({**HOOK, "description": "a\u0000b"}, "description"),
        ({**HOOK, "secret": "whsec_mine"}, "secret"),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(admin: Workspace, sent: Any, param: str) -> None:
    refused(call(admin, "POST", "/api/alerts/webhooks", sent), 400, param)


def test_there_are_twenty_endpoints_at_most(admin: Workspace, settings: Any) -> None:
    settings.PRIVATE_WEBHOOKS = True
    for _ in range(changes.MAX_ENDPOINTS):
        made(admin, "/api/alerts/webhooks", {"url": "http://localhost/x"})
    assert "20 endpoints" in refused(call(admin, "POST", "/api/alerts/webhooks", {"url": "http://localhost/x"}), 409)


def test_tests_and_replays_have_a_pace(admin: Workspace) -> None:
    endpoint = made(admin, "/api/alerts/webhooks", {**HOOK, "enabled": False})
    for path, limit in (
        ("/api/alerts/test", changes.TESTS_PER_MINUTE),
        (f"/api/alerts/deliveries/{uuid.uuid4()}/replay", changes.REPLAYS_PER_MINUTE),
    ):
        body = {"endpoint": endpoint["id"]} if path.endswith("test") else None
        answers = [call(admin, "POST", path, body) for _ in range(limit + 1)]
        assert answers[0].status_code in {404, 409}
        assert answers[-1].status_code == 429 and 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_what_is_not_there_is_not_found(admin: Workspace) -> None:
    nothing = uuid.uuid4()
    for method, path in (
        ("GET", f"webhooks/{nothing}"),
        ("DELETE", f"webhooks/{nothing}"),
        ("POST", f"webhooks/{nothing}/rotate"),
        ("GET", f"webhooks/{nothing}/deliveries"),
        ("POST", f"deliveries/{nothing}/replay"),
        ("POST", f"{nothing}/read"),
        ("GET", "webhooks/nobody"),
    ):
        refused(call(admin, method, f"/api/alerts/{path}"), 404)
    refused(call(admin, "POST", "/api/alerts/test", {"endpoint": str(nothing)}), 404)
    refused(call(admin, "POST", "/api/alerts/test", {"endpoint": "x"}), 400, "endpoint")


PATHS = ("", "/rules", "/rules/drift", "/webhooks", f"/webhooks/{uuid.UUID(int=1)}")


@pytest.mark.parametrize("path", PATHS)
def test_a_key_without_the_scope_admin_is_refused(alice: Workspace, path: str) -> None:
    assert call(alice, "GET", f"/api/alerts{path}").status_code == 403
    assert call(None, "GET", f"/api/alerts{path}").status_code == 401
