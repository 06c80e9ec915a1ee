"""What is logged: one JSON object a line, with what it belongs to, and without secrets, however they come in."""

from __future__ import annotations

import json
import logging
from contextvars import copy_context
from typing import Any

import pytest
import structlog

from nexus import logs
from nexus.masking import MOST_CHARACTERS, mask
from tenants import visits

KEY = "nk-ab12cd34ef56-Secret_secret-0123456789abcdefghijklmnopqrst"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2VjcmV0LXNlY3JldA"
HOSTILE = {
    "our key": (f"key {KEY} is wrong", "Secret_secret"),
    "our key in JSON": (json.dumps({"k": KEY}), "Secret_secret"),
    "our key in an address": (f"GET /v1/x?key={KEY}&a=b", "Secret_secret"),
    "a bearer": ("Authorization: Bearer hush-hush-hush", "hush"),
    "a bearer in lower case": ("{b'authorization': b'bearer hush.hush'}", "hush.hush"),
    "a bearer in JSON in JSON": (json.dumps(json.dumps({"authorization": "Bearer hush/hush"})), "hush/hush"),
    "basic": ("authorization=Basic dXNlcjpodXNo", "dXNlcjpodXNo"),
    "x-api-key": ("x-api-key: hush-hush", "hush-hush"),
    "x-api-key as bytes": ("(b'x-api-key', b'...'), {'x-api-key': 'hush hush'}", "hush hush"),
    "a password": ("password=hush!hush", "hush"),
    "a password with blanks": ('{"password": "hu zqx \\" zqx"}', "zqx"),
    "a new password": ("new_password1='hush'", "hush"),
    "a form": ("csrfmiddlewaretoken=hush&password=hush2&a=1", "hush"),
    "a database": ("postgresql://nexus:hu/sh:x@db:5432/nexus refused", "hu/sh"),
    "redis": ("rediss://:hushhush@cache:6379/0", "hushhush"),
    "an address without a user": ("https://:hush@example.com/", "hush"),
    "OpenAI's": ("Incorrect API key provided: sk-proj-AbCd1234efGH5678", "AbCd1234"),
    "Anthropic's": ("sk-ant-api03-AbCd1234_efGH-5678", "AbCd1234"),
    "Stripe's": ("no such customer for sk_live_AbCd1234efGH5678", "AbCd1234"),
    "Stripe's webhooks": ("whsec_AbCd1234efGH5678", "AbCd1234"),
    "Google's": ("key=AIzaSyAbCd1234efGH5678ijkl", "AbCd1234"),
    "Groq's": ("gsk_AbCd1234efGH5678", "AbCd1234"),
    "a token": (f"token was {JWT}.", "c2VjcmV0"),
    "cookies": ("Cookie: sessionid=hush; csrftoken=hush2", "hush"),
    "a set cookie": ("'set-cookie': 'sessionid=hush; Path=/'", "hush"),
    "a secret link": ("Not Found: /account/password/reset/key/1-hush-hush/", "hush"),
    "an invitation": ("GET /invitations/hush-hush/ 200", "hush"),
    "a private key": ("-----BEGIN RSA PRIVATE KEY-----\nhush\nhush\n-----END RSA PRIVATE KEY-----", "hush"),
    "a client's secret": ("client_secret=hush, grant_type=x", "hush"),
    "a signature": ("t=1, signature: hushhush", "hushhush"),
}


def record(message: str, *args: object, error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("gateway.edge", logging.WARNING, "", 1, message, args, exc_info)
    made.__dict__.update(extra)
    return made


def told(made: logging.LogRecord) -> dict[str, Any]:
    line = logs.Formatter().format(made)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(("text", "secret"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("format", logs.FORMATS)
def test_no_line_has_a_secret(text: str, secret: str, format: str) -> None:
    formatter = logs.Formatter(format)
    assert secret in text
    assert secret not in formatter.format(record(text))
    assert secret not in formatter.format(record("it said %s", text))
    assert secret not in formatter.format(record("it said %r", {"body": text}))
    try:
        raise ValueError(text)
    except ValueError as error:
        line = formatter.format(record("it failed", error=error))
    assert secret not in line
    assert "ValueError" in line


@pytest.mark.parametrize(("text", "secret"), HOSTILE.values(), ids=HOSTILE)
def test_structlogs_loggers_are_masked_as_well(text: str, secret: str) -> None:
    made: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            made.append(self.format(record))

    handler = Kept()
    handler.setFormatter(logs.Formatter())
    logger = logging.getLogger("tests.structured")
    logger.addHandler(handler)
    try:
        structlog.get_logger("tests.structured").warning("it said", body=text, parts=[text])
    finally:
        logger.removeHandler(handler)
    (line,) = made
    assert secret not in line
    assert json.loads(line)["event"] == "it said"


def test_settings_that_are_secrets_are_masked_wherever_they_stand(settings: Any) -> None:
    assert settings.SECRET_KEY not in mask(f"x{settings.SECRET_KEY}y")
    assert settings.ENCRYPTION_KEYS[0] not in mask(f"({settings.ENCRYPTION_KEYS[0]})")


@pytest.mark.parametrize(
    "text",
    [
        "request 0123456789abcdef0123456789abcdef failed",
        "used 5 tokens: prompt_tokens=3, max_tokens=7, completion_tokens: 2",
        "http://localhost:8000/t/acme/requests/?page=2",
        "Task analytics.tasks.drain_usage[3f1c] succeeded in 0.01s: None",
        "the key nk-ab12cd34ef56 is revoked",
        "“gpt-4o” failed: 502 at https://api.openai.com/v1",
        "celery@host ready.",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


def test_a_long_text_is_cut_and_read_in_no_time() -> None:
    for text in ("a" * 3_000_000, "://" * 1_000_000, '"password": "' + '\\"' * 1_000_000, "eyJ" * 1_000_000):
        assert len(mask(text)) < 3 * MOST_CHARACTERS


def test_nobodys_text_begins_a_line() -> None:
    forged = 'no\n{"log": "access", "status": 200}\r\n2026-01-01 ERROR \x1b[31m'
    assert told(record("it said %s", forged))["event"] == f"it said {forged}"
    assert "\n" not in logs.Formatter("text").format(record("it said %s", forged))
    assert "\x1b" not in logs.Formatter("text").format(record("it said %s", forged))


def test_half_a_character_is_logged() -> None:
    assert told(record("it said %s", "\ud800"))["event"].startswith("it said ")


def test_a_line_says_what_it_belongs_to() -> None:
    def within() -> dict[str, Any]:
        visit = visits.Visit("r-1", "POST", "/v1/chat/completions")
        visit.tenant_id, visit.key = 7, "ab12"
        visits.CURRENT.set(visit)
        return told(record("slow", status_code=503, request=object(), secret="no"))

    line = copy_context().run(within)
    assert line.pop("at").endswith("Z")
    assert line == {
        "log": "gateway.edge",
        "level": "warning",
        "event": "slow",
        "request_id": "r-1",
        "tenant": 7,
        "key": "ab12",
        "status_code": 503,
    }


def test_what_nobody_caught_is_logged_on_one_line() -> None:
    try:
        raise RuntimeError(f"cannot go on with {KEY}")
    except RuntimeError as error:
        line = logs.Formatter().format(record("the process ends with an error", error=error))
    assert "Secret_secret" not in line
    assert "cannot go on with" in json.loads(line)["exception"]
