"""The alert pages: the history, rules, webhooks and the log, for each role; and nothing of them for strangers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from analytics import alerts
from analytics.alerts import changes, rules
from analytics.alerts.models import AlertEvent, Delivery, WebhookEndpoint
from analytics.alerts.posting import Answer
from analytics.alerts.standing import note
from tenants.db import schema_of
from tenants.models import AuditEvent
from tests.conftest import Workspace
from tests.pages import fault_of, flat
from tests.sockets import session_of

MakeMember = Callable[[Workspace, str], Any]
HOOK = "https://hooks.example.com/alerts/T0/secret-path"


def path(workspace: Workspace, rest: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/alerts/{rest}"


@pytest.fixture
def owner(alice: Workspace) -> Client:
    with schema_of(alice.tenant):
        # That it is on Scale.
        AlertEvent.objects.all().delete()
    return session_of(alice.owner)


def raise_some(workspace: Workspace, number: int, kind: str = "drift") -> None:
    for each in range(number):
        alerts.raise_alert(workspace.tenant, kind, "books", {"drift_requests": each}, f"{kind}{each}")


def hook_of(workspace: Workspace, **values: Any) -> tuple[WebhookEndpoint, str]:
    return changes.make_endpoint(workspace.tenant, {"url": HOOK, "description": "Pager", **values}, {})


def audited(workspace: Workspace) -> list[str]:
    events = AuditEvent.objects.filter(tenant=workspace.tenant, actor=workspace.owner).order_by("pk")
    return [event.action for event in events if event.action.startswith(("alert", "webhook"))]


def ids(workspace: Workspace) -> dict[str, Any]:
    with schema_of(workspace.tenant):
        event, hook = AlertEvent.objects.order_by("-at").first(), WebhookEndpoint.objects.first()
        sent = Delivery.objects.exclude(endpoint=None).first()
        return {"event": event and event.pk, "hook": hook and hook.pk, "sent": sent and sent.pk}


def test_before_anything_was_raised_the_pages_say_what_to_do(make_workspace: Callable[..., Workspace]) -> None:
    alice = make_workspace("free")
    owner = session_of(alice.owner)
    assert "Nothing has needed you yet" in flat(owner.get(path(alice)))
    assert "No endpoint yet" in flat(owner.get(path(alice, "webhooks/")))
    assert "Nothing was sent yet" in flat(owner.get(path(alice, "deliveries/")))


def test_alerts_are_marked_as_read_one_by_one_and_all_at_once(owner: Client, alice: Workspace) -> None:
    raise_some(alice, 3)
    page = owner.get(path(alice))
    assert "2 requests" in flat(page) and flat(page).count("badge fresh") == 3
    until = page.context["now"]
    assert owner.post(path(alice, f"{ids(alice)['event']}/read/"), {"kind": "drift"}).headers["Location"] == path(
        alice, "?kind=drift"
    )
    assert flat(owner.get(path(alice))).count("badge fresh") == 2
    raise_some(alice, 1, "plan_changed")
    owner.post(path(alice, "read/"), {"until": until})
    left = flat(owner.get(path(alice, "?unread=on")))
    assert left.count("badge fresh") == 1 and "The plan changed" in left
    assert audited(alice) == ["alert.read", "alert.read"]


def test_the_history_is_filtered_and_comes_a_page_at_a_time(owner: Client, alice: Workspace, monkeypatch: Any) -> None:
    monkeypatch.setattr("analytics.pages.alerts.PAGE", 2)
    raise_some(alice, 3)
    raise_some(alice, 1, "trial_ends")
    first = owner.get(path(alice, "?kind=drift"))
    assert "Older" in flat(first) and "The trial ends" not in flat(first)
    rest = owner.get(path(alice), {"kind": "drift", "after": first.context["after"]})
    assert len(rest.context["rows"]) == 1 and rest.context["after"] is None
    assert owner.get(path(alice, "?after=forged")).status_code == 302
    assert owner.get(path(alice, "?kind=weather&unread=perhaps")).status_code == 200


def test_a_rule_is_changed_by_its_form_and_goes_back_to_its_defaults(owner: Client, alice: Workspace) -> None:
    given = {"enabled": "on", "threshold_share": "0.5", "threshold_minutes": "5", "threshold_minimum_requests": "10"}
    page = path(alice, "rules/error_rate/")
    assert owner.post(page, {**given, "channels": ["email"], "roles": ["owner"]}).status_code == 302
    with schema_of(alice.tenant):
        rule = rules.read("error_rate")
    assert rule.thresholds == {"share": 0.5, "minutes": 5, "minimum_requests": 10}
    assert (rule.channels, rule.roles) == (("email",), ("owner",))
    assert "Changed" in flat(owner.get(path(alice, "rules/")))
    owner.post(page, {"defaults": "yes"})
    with schema_of(alice.tenant):
        assert rules.read("error_rate") == rules.default_of("error_rate")
    assert audited(alice) == ["alert_rule.changed"] * 2


@pytest.mark.parametrize(
    ("kind", "given", "field", "fault"),
    [
        ("quota_tokens", {"threshold_percents": "50, lots"}, "threshold_percents", "A whole number from 1 to 1,000."),
        ("quota_tokens", {"threshold_percents": "50,50"}, "threshold_percents", "Each once."),
        ("quota_tokens", {"threshold_percents": ","}, "threshold_percents", "A list of 1 to 10 numbers."),
        ("spend_spike", {"threshold_factor": "nan", "threshold_floor_usd": "1"}, "threshold_factor", "A number from"),
        ("webhook_failing", {"threshold_hours": "9" * 90}, "threshold_hours", "A whole number from 1 to 71."),
        ("drift", {"roles": ["king"]}, "roles", "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_said_beside_the_field(
    owner: Client, alice: Workspace, kind: str, given: Any, field: str, fault: str
) -> None:
    answer = owner.post(path(alice, f"rules/{kind}/"), {"enabled": "on", **given})
    assert answer.status_code == 400 and fault in fault_of(flat(answer), f"id_{field}")
    assert audited(alice) == []


def test_an_endpoints_secret_is_shown_once(owner: Client, alice: Workspace) -> None:
    made = owner.post(path(alice, "webhooks/new/"), {"url": HOOK, "description": "Pager", "kinds": ["drift"]})
    secret = flat(made).partition("whsec_")[2].partition("<")[0]
    assert made.status_code == 201 and len(secret) == 44
    page = path(alice, f"webhooks/{ids(alice)['hook']}/")
    rotated = owner.post(f"{page}rotate/")
    assert "whsec_" in flat(rotated) and secret not in flat(rotated) and "signs, too, until" in flat(rotated)
    for shown in (page, path(alice, "webhooks/"), path(alice, "deliveries/")):
        assert "whsec_" not in flat(owner.get(shown))
    assert "Two secrets sign until" in flat(owner.get(page))
    events = AuditEvent.objects.filter(tenant=alice.tenant)
    assert secret not in json.dumps([[event.before, event.after] for event in events])


def test_a_page_with_a_secret_makes_no_other_when_it_is_loaded_again(owner: Client, alice: Workspace) -> None:
    """A second rotation would end the secret that the receiver still has."""
    new, given = path(alice, "webhooks/new/"), {"url": HOOK, "description": "Pager", "kinds": ["drift"]}
    assert 'name="once"' in flat(owner.get(new))
    given["once"] = str(uuid.uuid4())
    assert owner.post(new, given).status_code == 201
    assert "sent before" in flat(owner.post(new, given, follow=True))
    page = path(alice, f"webhooks/{ids(alice)['hook']}/")
    assert 'name="once"' in flat(owner.get(page))
    mark = {"once": str(uuid.uuid4())}
    assert owner.post(f"{page}rotate/", mark).status_code == 201
    assert "sent before" in flat(owner.post(f"{page}rotate/", mark, follow=True))
    assert audited(alice) == ["webhook.created", "webhook.secret_rotated"]


def test_an_endpoint_is_changed_paused_and_deleted(owner: Client, alice: Workspace) -> None:
    hook, _ = hook_of(alice)
    page = path(alice, f"webhooks/{hook.pk}/")
    assert owner.post(page, {"url": HOOK, "description": "Ops", "kinds": []}).status_code == 302
    wrong = owner.post(page, {"url": "https://127.0.0.1/x", "description": "Ops"})
    assert wrong.status_code == 400 and "public addresses only" in fault_of(flat(wrong), "id_url")
    owner.post(f"{page}pause/")
    assert "Paused" in flat(owner.get(page)) and "Send a test" not in flat(owner.get(page))
    assert "switched off" in flat(owner.post(f"{page}test/", follow=True))
    owner.post(f"{page}pause/", {"on": "yes"})
    assert "Paused" not in flat(owner.get(page))
    assert "goes with it" in flat(owner.get(f"{page}delete/"))
    with schema_of(alice.tenant):
        assert WebhookEndpoint.objects.exists()
    owner.post(f"{page}delete/")
    assert owner.get(page).status_code == 404 and owner.post(f"{page}pause/").status_code == 404
    assert audited(alice) == ["webhook.changed"] * 3 + ["webhook.deleted"]


def test_the_log_says_what_became_of_a_message_which_is_then_replayed(owner: Client, alice: Workspace) -> None:
    hook, _ = hook_of(alice)
    asked = owner.post(path(alice, f"webhooks/{hook.pk}/test/"), follow=True)
    assert "A test is on its way" in flat(asked) and "every 3s" in flat(asked)
    with schema_of(alice.tenant):
        sent = Delivery.objects.select_related("event", "endpoint").get(endpoint=hook)
        note(alice.tenant, sent, Answer(503, "It answered 503.", "try later", 0.0, 812))
    page = flat(owner.get(path(alice, "deliveries/?status=failed")))
    assert "It answered 503." in page and "812 ms" in page and "try later" in page and "every 3s" not in page
    owner.post(path(alice, f"deliveries/{sent.pk}/replay/"))
    with schema_of(alice.tenant):
        assert Delivery.objects.get(pk=sent.pk).status == "waiting"
    assert "webhook.replayed" in audited(alice)
    assert "Nothing like that" in flat(owner.get(path(alice, "deliveries/?status=failed&endpoint=email")))


def test_a_viewer_sees_everything_but_secrets_and_changes_nothing(alice: Workspace, make_member: MakeMember) -> None:
    hook, _ = hook_of(alice)
    raise_some(alice, 1)
    with schema_of(alice.tenant):
        sent = Delivery.objects.select_related("event", "endpoint").get(endpoint=hook)
        note(alice.tenant, sent, Answer(500, "It answered 500.", "our-stack-trace", 0.0, 5))
    viewer = session_of(make_member(alice, "viewer"))
    pages = [flat(viewer.get(path(alice, rest))) for rest in ("", "rules/", "rules/drift/", "webhooks/", "deliveries/")]
    assert all("secret-path" not in page and "our-stack-trace" not in page for page in pages)
    assert not any('method="post"' in page.partition("<main")[2] and ">Save<" in page for page in pages)
    found = ids(alice)
    refused = [
        "read/", f"{found['event']}/read/", "rules/drift/", "webhooks/new/", f"webhooks/{hook.pk}/",
        f"webhooks/{hook.pk}/pause/", f"webhooks/{hook.pk}/rotate/", f"webhooks/{hook.pk}/test/",
        f"webhooks/{hook.pk}/delete/", f"deliveries/{found['sent']}/replay/",
    ]  # fmt: skip
    assert [viewer.post(path(alice, rest)).status_code for rest in refused] == [403] * len(refused)
    assert viewer.get(path(alice, f"webhooks/{hook.pk}/")).status_code == 403


def test_mallory_finds_nothing_of_alices(owner: Client, alice: Workspace, mallory: Workspace) -> None:
    hook_of(alice)
    raise_some(alice, 1)
    found, stranger = ids(alice), session_of(mallory.owner)
    pages = ["", "rules/", "rules/drift/", "webhooks/", "webhooks/new/", f"webhooks/{found['hook']}/", "deliveries/"]
    assert [stranger.get(path(alice, rest)).status_code for rest in pages] == [404] * len(pages)
    # In a workspace of her own, Alice's ids lead nowhere.
    theirs = [
        f"{found['event']}/read/", f"webhooks/{found['hook']}/", f"webhooks/{found['hook']}/rotate/",
        f"webhooks/{found['hook']}/pause/", f"webhooks/{found['hook']}/test/", f"webhooks/{found['hook']}/delete/",
        f"deliveries/{found['sent']}/replay/", f"webhooks/{uuid.uuid4()}/pause/",
    ]  # fmt: skip
    given = {"url": HOOK, "description": "mine"}
    answers = [stranger.post(path(mallory, rest), given).status_code for rest in theirs]
    assert answers == [404] * len(theirs)
    assert owner.get(path(alice, "rules/weather/")).status_code == 404
