"""Signatures as the specification's own libraries make them."""

from __future__ import annotations

import base64
import datetime as dt
import re
import uuid
from pathlib import Path

import orjson
import pytest

from analytics.alerts import messages, signing
from analytics.alerts.kinds import KINDS, Kind
from analytics.alerts.models import AlertEvent
from analytics.alerts.telling import line_of, title_of
from analytics.alerts.urls import urlpatterns
from nexus import mail
from tenants.models import Tenant

# Of the test suites at github.com/standard-webhooks/standard-webhooks.
SECRET, ID, AT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
BODY, SIGNATURE = b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_specifications_vector() -> None:
    assert signing.sign(SECRET, ID, AT, BODY) == SIGNATURE


def test_each_usable_secret_signs_the_newest_first() -> None:
    other = signing.make_secret()
    headers = signing.headers([other, SECRET], ID, AT, BODY)
    assert headers["webhook-signature"].split(" ") == [signing.sign(other, ID, AT, BODY), SIGNATURE]
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (ID, str(AT))


def test_a_secret_is_random_and_within_the_specifications_bounds() -> None:
    made = {signing.make_secret() for _ in range(10)}
    assert len(made) == 10
    assert all(24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64 for secret in made)


def test_a_message_is_the_same_each_time_it_is_sent() -> None:
    event = AlertEvent(kind="quota_requests", subject="acme", facts={"used": 5, "limit": 10, "percent": 50})
    event.at = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    event.pk = uuid.UUID(int=1)
    body = messages.body_of(Tenant(slug="acme"), event)
    assert body == messages.body_of(Tenant(slug="acme"), event)
    said = orjson.loads(body)
    assert (said["type"], said["timestamp"]) == ("alert.quota_requests", "2026-11-21T12:00:00Z")
    assert said["data"]["facts"] == event.facts and said["data"]["workspace"] == "acme"
    assert "." not in messages.message_id(event)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: str(kind.name))
def test_texts_of_a_kind_need_nothing_but_facts(kind: Kind) -> None:
    assert title_of(kind.name, {}) and line_of(kind.name, {})
    for threshold in kind.thresholds:
        values = threshold.default if isinstance(threshold.default, tuple) else (threshold.default,)
        assert all(threshold.minimum <= value <= threshold.maximum for value in values)


def test_every_kind_threshold_and_endpoint_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text()
    for kind in KINDS.values():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{kind.name}` |")]
        for threshold in kind.thresholds:
            assert f"`{threshold.name}`" in line
    for pattern in urlpatterns:
        if str(pattern.pattern).startswith("t/"):
            continue
        path = "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        assert f"`{path}`" in text, path


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://me:p%40ss@mail.example.com", ("mail.example.com", 587, "me", "p@ss", False, True)),
        ("smtps://mail.example.com", ("mail.example.com", 465, "", "", True, False)),
        ("smtp://localhost:25?tls=off", ("localhost", 25, "", "", False, False)),
    ],
)
def test_a_mail_server_is_one_url(url: str, expected: tuple[object, ...]) -> None:
    assert mail.parse(url)[1:] == expected


def test_without_a_mail_server_messages_are_printed() -> None:
    assert mail.parse("").backend.endswith("console.EmailBackend")


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://x", "smtp://", "smtp://x/y", "smtp://x?tls=yes", "smtp://x:y"]
)
def test_a_bad_mail_server_is_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="."):
        mail.parse(url)
