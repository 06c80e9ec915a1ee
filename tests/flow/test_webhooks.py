"""Webhooks reach their receiver at least once, signed, and a receiver that misbehaves harms only itself."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from analytics import alerts
from analytics.alerts import messages, schedule, standing
from analytics.alerts.models import AlertRule, Delivery, WebhookEndpoint
from analytics.tasks import send_alerts, sweep_alerts
from tenants.db import schema_of
from tests import servers
from tests.alerts import Receiver, deliveries, forget_letters, make_due, raised, send_until, webhooks
from tests.conftest import Workspace
from tests.management import audited, call, manages

pytestmark = pytest.mark.usefixtures("no_alerts_waiting")

HANG_S = 15.0


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with servers.running("tests.fakes.webhook_receiver:application", ready="/ready") as running:
        yield Receiver(running.url)


@pytest.fixture(autouse=True)
def private_webhooks(settings: Any) -> None:
    settings.PRIVATE_WEBHOOKS = True


def raise_one(workspace: Workspace, name: str = "one", **facts: Any) -> None:
    assert alerts.raise_alert(workspace.tenant, "drift", "the books", facts, name) is not None


def statuses(workspace: Workspace) -> list[str]:
    return [one.status for one in webhooks(workspace)]


def endpoint_of(workspace: Workspace) -> WebhookEndpoint:
    with schema_of(workspace.tenant):
        return WebhookEndpoint.objects.get()


def fail_since(workspace: Workspace, **ago: float) -> None:
    with schema_of(workspace.tenant):
        WebhookEndpoint.objects.update(failing_since=timezone.now() - dt.timedelta(**ago))


def try_again(workspace: Workspace) -> None:
    """One more try of what waits."""
    tried = len(webhooks(workspace)[0].attempts)
    make_due(workspace)
    send_until(lambda: len(webhooks(workspace)[0].attempts) > tried)


def test_an_alert_is_posted_signed_to_each_endpoint_that_wants_it(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin)
    other = call(
        admin, "POST", "/api/alerts/webhooks", {"url": receiver.url_of(admin, "other"), "kinds": ["trial_ends"]}
    )
    assert other.status_code == 201
    raise_one(admin, drift_requests=7)
    send_until(lambda: statuses(admin) == ["delivered"])
    (came,) = receiver.received(admin)
    assert came["signed_by"] == [0] and came["manner"] == "ok"
    assert came["headers"]["content-type"] == "application/json"
    assert abs(int(came["headers"]["webhook-timestamp"]) - time.time()) < 60
    body = came["body"]
    assert set(body) == {"type", "timestamp", "data"} and body["type"] == "alert.drift"
    assert body["data"]["workspace"] == admin.tenant.slug and body["data"]["facts"] == {"drift_requests": 7}


def test_a_receiver_that_fails_is_tried_again_with_the_same_id(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin, "fails")
    raise_one(admin)
    send_until(lambda: webhooks(admin)[0].attempts)
    (waiting,) = webhooks(admin)
    assert waiting.next_at is not None
    pause = waiting.next_at - timezone.now()
    assert waiting.status == "waiting" and dt.timedelta(0) < pause < dt.timedelta(seconds=6.5)
    assert endpoint_of(admin).failing_since is not None
    for _ in range(2):
        try_again(admin)
    assert statuses(admin) == ["delivered"]
    assert [one["status"] for one in webhooks(admin)[0].attempts] == [500, 500, 200]
    came = receiver.received(admin)
    assert len(came) == 3 and len({one["id"] for one in came}) == 1
    assert len({str(one["body"]) for one in came}) == 1
    assert endpoint_of(admin).failing_since is None


def test_pauses_grow_by_the_table_and_then_it_is_given_up(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin, "down")
    raise_one(admin)
    send_until(lambda: webhooks(admin)[0].attempts)
    pauses = []
    while (delivery := webhooks(admin)[0]).status == "waiting":
        assert delivery.next_at is not None
        tried_at = dt.datetime.fromisoformat(delivery.attempts[-1]["at"])
        pauses.append((delivery.next_at - tried_at).total_seconds())
        try_again(admin)
    assert len(pauses) == len(standing.RETRY_AFTER_S)
    for pause_s, least_s in zip(pauses, standing.RETRY_AFTER_S, strict=True):
        assert least_s <= pause_s <= least_s * (1 + standing.JITTER)
    assert statuses(admin) == ["failed"] and len(webhooks(admin)[0].attempts) == 9


def test_a_receiver_that_says_when_is_left_alone_until_then(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin, "busy")
    raise_one(admin)
    send_until(lambda: webhooks(admin)[0].attempts)
    next_at = webhooks(admin)[0].next_at
    assert next_at is not None and next_at > timezone.now() + dt.timedelta(seconds=3900)


def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin, "redirects")
    raise_one(admin)
    send_until(lambda: webhooks(admin)[0].attempts)
    assert webhooks(admin)[0].attempts[0]["status"] == 307
    assert [one["manner"] for one in receiver.received(admin)] == ["redirects"]


def test_410_switches_the_endpoint_off_and_its_owner_is_told(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin, "gone")
    raise_one(admin)
    raise_one(admin, "two")
    send_until(lambda: statuses(admin) == ["failed", "failed"])
    assert len(receiver.received(admin)) == 1
    endpoint = endpoint_of(admin)
    assert not endpoint.enabled and "410" in endpoint.off_reason
    (event,) = raised(admin, "webhook_failing")
    assert event.facts["consequence"] == "It is switched off now."
    # What the path may hide is nobody's mail to read.
    assert event.facts["url"] == receiver.url
    raise_one(admin, "three")
    assert len(webhooks(admin)) == 2


def test_an_endpoint_that_fails_for_days_is_told_of_and_then_switched_off(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin, "down")
    raise_one(admin)
    send_until(lambda: webhooks(admin)[0].attempts)
    assert raised(admin, "webhook_failing") == []
    fail_since(admin, hours=25)
    try_again(admin)
    try_again(admin)
    assert [event.facts["consequence"] for event in raised(admin, "webhook_failing")] == [
        "It is switched off after 3 days."
    ]
    fail_since(admin, days=3, minutes=1)
    try_again(admin)
    assert not endpoint_of(admin).enabled and statuses(admin) == ["failed"]
    assert raised(admin, "webhook_failing")[-1].facts["consequence"] == "It is switched off now."
    to_owner = [one for one in deliveries(admin) if one.event.kind == "webhook_failing"]
    assert {one.email for one in to_owner} == {admin.tenant.email}


def test_one_message_after_three_quiet_days_is_tried_for_a_while(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin, "down")
    fail_since(admin, days=10)
    raise_one(admin)
    send_until(lambda: webhooks(admin)[0].attempts)
    assert endpoint_of(admin).enabled and statuses(admin) == ["waiting"]


def test_an_answer_is_read_to_a_bound_and_kept_as_text(receiver: Receiver, admin: Workspace) -> None:
    for manner in ("large", "odd"):
        receiver.connect(admin, manner)
    raise_one(admin)
    send_until(lambda: all(one.attempts for one in webhooks(admin)))
    kept = {one.attempts[0]["status"]: one.response for one in webhooks(admin)}
    assert kept[200] == "x" * 1024
    assert "\0" not in kept[500] and kept[500].endswith("no text")


def test_a_receiver_that_hangs_holds_up_nobody_else(
    receiver: Receiver, admin: Workspace, mallory: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.alerts.posting.TOTAL_S", 2.0)
    for _ in range(6):
        receiver.connect(manages(mallory), "hangs")
    receiver.connect(admin)
    raise_one(mallory)
    raise_one(admin)
    order: list[str] = []
    note = standing.note

    def noted(tenant: Any, delivery: Delivery, answer: Any) -> None:
        order.append(delivery.endpoint.url if delivery.endpoint else "")
        note(tenant, delivery, answer)

    monkeypatch.setattr(standing, "note", noted)
    send_until(lambda: statuses(admin) == ["delivered"] and all(one.attempts for one in webhooks(mallory)))
    posted = [url for url in order if url in {receiver.url_of(admin, "ok"), receiver.url_of(mallory, "hangs")}]
    assert posted[0] == receiver.url_of(admin, "ok")
    assert "did not answer in time" in webhooks(mallory)[0].attempts[0]["error"]


def test_who_answers_200_and_never_ends_has_taken_it(
    receiver: Receiver, admin: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.alerts.posting.TOTAL_S", 2.0)
    receiver.connect(admin, "drips")
    raise_one(admin)
    send_until(lambda: statuses(admin) == ["delivered"])


def test_a_dead_port_is_a_failure_that_says_nothing_of_this_network(admin: Workspace) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        assert call(admin, "POST", "/api/alerts/webhooks", {"url": url}).status_code == 201
        raise_one(admin)
        send_until(lambda: webhooks(admin)[0].attempts)
    attempt = webhooks(admin)[0].attempts[0]
    assert attempt["status"] is None and "127.0.0.1" not in attempt["error"]


def test_a_secret_is_rotated_with_an_overlap(receiver: Receiver, admin: Workspace) -> None:
    endpoint = receiver.connect(admin)
    answer = call(admin, "POST", f"/api/alerts/webhooks/{endpoint['id']}/rotate").json()
    assert answer["secret"] != endpoint["secret"]
    until = dt.datetime.fromisoformat(answer["previous_secret_until"])
    assert dt.timedelta(hours=23) < until - timezone.now() <= dt.timedelta(hours=24)
    receiver.learn(admin, answer["secret"])
    raise_one(admin)
    send_until(lambda: statuses(admin) == ["delivered"])
    with schema_of(admin.tenant):
        WebhookEndpoint.objects.update(previous_until=timezone.now())
    raise_one(admin, "two")
    send_until(lambda: statuses(admin) == ["delivered"] * 2)
    assert [one["signed_by"] for one in receiver.received(admin)] == [[0, 1], [0]]
    shown = call(admin, "GET", "/api/alerts/webhooks").json()
    secrets = (endpoint["secret"], answer["secret"])
    assert not any(secret in str(shown) for secret in secrets)
    assert not any(secret in f"{event.before}{event.after}" for event in audited(admin) for secret in secrets)


def test_what_was_taken_or_given_up_can_be_replayed_with_its_id(receiver: Receiver, admin: Workspace) -> None:
    endpoint = receiver.connect(admin)
    raise_one(admin)
    send_until(lambda: statuses(admin) == ["delivered"])
    (delivery,) = webhooks(admin)
    path = f"/api/alerts/deliveries/{delivery.pk}/replay"
    replayed = call(admin, "POST", path)
    assert (replayed.status_code, replayed.json()["status"]) == (202, "waiting")
    send_until(lambda: len(receiver.received(admin)) == 2 and statuses(admin) == ["delivered"])
    assert len({one["id"] for one in receiver.received(admin)}) == 1
    call(admin, "PATCH", f"/api/alerts/webhooks/{endpoint['id']}", {"enabled": False})
    assert call(admin, "POST", path).status_code == 409


def test_a_test_is_sent_once_and_says_how_it_went(receiver: Receiver, admin: Workspace) -> None:
    good, bad = receiver.connect(admin), receiver.connect(admin, "down")
    for endpoint in (good, bad):
        assert call(admin, "POST", "/api/alerts/test", {"endpoint": endpoint["id"]}).status_code == 202
    send_until(lambda: sorted(statuses(admin)) == ["delivered", "failed"])
    log = call(admin, "GET", f"/api/alerts/webhooks/{bad['id']}/deliveries").json()
    (entry,) = log["data"]
    assert (entry["type"], entry["status"], entry["attempts"][0]["status"]) == ("alert.test", "failed", 500)
    with schema_of(admin.tenant):
        assert WebhookEndpoint.objects.get(pk=bad["id"]).failing_since is None


def test_what_waits_for_an_endpoint_that_is_switched_off_is_given_up(receiver: Receiver, admin: Workspace) -> None:
    endpoint = receiver.connect(admin)
    raise_one(admin)
    call(admin, "PATCH", f"/api/alerts/webhooks/{endpoint['id']}", {"enabled": False})
    assert statuses(admin) == ["failed"]
    # Raised in the moment in which it was switched off.
    with schema_of(admin.tenant):
        Delivery.objects.exclude(endpoint=None).update(status="waiting", next_at=timezone.now())
    make_due(admin)
    send_until(lambda: statuses(admin) == ["failed"])
    assert receiver.received(admin) == []


def test_an_endpoint_deleted_while_a_message_is_under_way(
    receiver: Receiver, admin: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = receiver.connect(admin)
    send = messages.send

    def delete_meanwhile(tenant: Any, delivery: Delivery) -> Any:
        answer = send(tenant, delivery)
        if delivery.endpoint_id:
            assert call(admin, "DELETE", f"/api/alerts/webhooks/{endpoint['id']}").status_code == 204
        return answer

    monkeypatch.setattr(messages, "send", delete_meanwhile)
    raise_one(admin)
    send_until(lambda: receiver.received(admin) and not webhooks(admin))


_DIES = """
import django; django.setup()
import os, signal
from analytics.alerts import outbox, standing
from analytics.tasks import send_alerts
standing.note = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
while True: send_alerts()
"""


def test_who_is_killed_after_sending_sends_it_again_with_the_same_id(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin)
    with schema_of(admin.tenant):
        AlertRule.objects.create(kind="drift", channels=["webhook"])
    send_until(lambda: not schedule.take_due(timezone.now() + dt.timedelta(minutes=5)))
    raise_one(admin)
    environment = {**os.environ, "DATABASE_URL": servers.test_database_url(), "NEXUS_PRIVATE_WEBHOOKS": "on"}
    killed = subprocess.run([sys.executable, "-c", _DIES], env=environment, cwd=servers.ROOT, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    (waiting,) = webhooks(admin)
    assert waiting.status == "waiting" and len(receiver.received(admin)) == 1
    send_alerts()
    # Its lease has not ended yet.
    assert len(receiver.received(admin)) == 1
    make_due(admin)
    send_until(lambda: statuses(admin) == ["delivered"])
    assert len({one["id"] for one in receiver.received(admin)}) == 1 and len(receiver.received(admin)) == 2


def test_what_redis_has_lost_is_found_by_the_sweep(receiver: Receiver, admin: Workspace) -> None:
    receiver.connect(admin)
    raise_one(admin)
    forget_letters()
    send_alerts()
    assert receiver.received(admin) == []
    sweep_alerts()
    # It finds what other tests left as well, and before.
    assert admin.tenant.pk in forget_letters()
    schedule.put(admin.tenant.pk, timezone.now())
    send_until(lambda: statuses(admin) == ["delivered"])


def test_a_tenant_deleted_meanwhile_keeps_nobody_waiting(receiver: Receiver, admin: Workspace) -> None:
    schedule.put(2**40, timezone.now())
    receiver.connect(admin)
    raise_one(admin)
    send_until(lambda: statuses(admin) == ["delivered"])


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://rebind.example:{port}/x", "127.0.0.1"),
        ("http://rebind.example:{port}/x", "169.254.169.254"),
        ("http://rebind.example:{port}/x", "::ffff:10.0.0.1"),
        ("http://127.0.0.1:{port}/x", None),
        ("http://127。0。0。1:{port}/x", None),
        ("http://[::ffff:127.0.0.1]:{port}/x", None),
        ("http://localhost:{port}/x", None),
        ("http://2130706433:{port}/x", None),
    ],
)
def test_a_private_address_is_never_called_whatever_was_saved(
    url: str, address: str | None, receiver: Receiver, admin: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may have been public when it was saved, and lead here now."""
    port = receiver.url.rpartition(":")[2]
    path = f"/{admin.tenant.slug}/ok"
    answer = call(admin, "POST", "/api/alerts/webhooks", {"url": url.format(port=port).removesuffix("/x") + path})
    assert answer.status_code == 201
    settings.PRIVATE_WEBHOOKS = False
    if address is not None:
        lookup = socket.getaddrinfo

        def lead_here(host: Any, at: Any, *rest: Any, **more: Any) -> Any:
            if host == "rebind.example":
                return [
                    (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, at))
                ]
            return lookup(host, at, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", lead_here)
    raise_one(admin)
    send_until(lambda: webhooks(admin)[0].attempts)
    (attempt,) = webhooks(admin)[0].attempts
    # The last of them aiohttp does not take for an address, nor for a name.
    assert attempt["error"] == "It has no public address." or "InvalidUrl" in attempt["error"]
    assert receiver.received(admin) == []
