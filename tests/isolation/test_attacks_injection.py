"""Mallory puts into names and texts what a database, a Redis, a header, a page, a log or a spreadsheet might obey."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from asgiref.sync import async_to_sync

from tenants.db import schema_of
from tenants.models import ApiKey, Tenant
from tests import servers
from tests.cached import ask, bring_in, entries_of, exact_keys, get, keep, post, until
from tests.calls import records
from tests.conftest import Workspace
from tests.management import call, manages
from tests.sockets import session_of

SQL = [
    "' OR '1'='1",
    "'; DROP TABLE gateway_cacheentry; --",
    "\\'; SELECT pg_sleep(60); --",
    "%') UNION SELECT secret_sha256::text FROM public.tenants_apikey --",
    "$$; COPY (SELECT 1) TO PROGRAM 'id'; $$",
    "%(name)s {0} {tenants}",
]
REDIS = [
    "*",
    "b?nd",
    "[a-z]*",
    "\\*",
    "{p0}:t1:x:*",
    "x\r\nFLUSHALL\r\n",
    "*1\r\n$8\r\nFLUSHALL\r\n",
    "');return redis.call('FLUSHALL')--",
]


@pytest.fixture
def stocked(server: str, alice: Workspace) -> Workspace:
    """Alice, who manages, with one kept answer."""
    manages(alice)
    keep(server, alice, "What is a bond?", headers={"X-Nexus-Cache-Tags": "money", "X-Nexus-Cache-Namespace": "bank"})
    return alice


PATTERNS = ["%", "_", "\\", "ba%", "mone_"]


def test_what_is_searched_for_is_a_text_and_no_query(stocked: Workspace) -> None:
    for name in ("q", "tag", "namespace", "model", "order", "cursor"):
        for text in [*SQL, *REDIS, *PATTERNS]:
            answer = call(stocked, "GET", f"/api/cache/entries?{httpx2.QueryParams({name: text})}")
            assert answer.status_code in {200, 400}, (name, text)
            if answer.status_code == 200:
                assert answer.json()["data"] == [], (name, text)
    assert entries_of(stocked) == ["What is a bond?"]


def test_what_is_taken_away_is_named_and_no_pattern(stocked: Workspace) -> None:
    for name in ("tag", "namespace", "model", "text", "end_user", "entry"):
        for text in [*SQL, *REDIS, *PATTERNS]:
            answer = call(stocked, "POST", "/api/cache/invalidate", {name: text})
            assert answer.status_code in {200, 400}, (name, text)
    assert entries_of(stocked) == ["What is a bond?"]
    assert len(exact_keys(stocked)) == 1


def test_an_end_users_name_erases_that_end_user_alone(stocked: Workspace) -> None:
    for text in [*SQL, *REDIS, *PATTERNS]:
        answer = call(stocked, "POST", "/api/erase", {"end_user": text})
        assert (answer.status_code, answer.json()["cache_entries"]) == (200, 0), text
    assert entries_of(stocked) == ["What is a bond?"]


def test_every_name_of_a_call_is_kept_as_it_was_sent(server: str, alice: Workspace) -> None:
    manages(alice)
    sent = [text.replace("\r\n", " ").replace(",", ";")[:64].strip() for text in [*SQL, *REDIS]]
    for text in sent:
        word = text.replace(" ", "+")
        headers = {"X-Nexus-Tags": text, "X-Request-Id": word, "Idempotency-Key": word}
        ask(server, alice, text, user=text, headers=headers)
    found = records(alice, len(sent))
    assert sorted((record.tags or [""])[0] for record in found) == sorted(sent)
    assert sorted(record.request_id for record in found) == sorted(text.replace(" ", "+") for text in sent)
    named = call(alice, "GET", "/v1/usage/costs?group_by=tag")
    assert named.status_code == 200


MODELS = [*SQL, *REDIS, "gpt-4o-mini\r\nx-evil: 1", "a|1|9999|0|0|0", "../../v1/models", "\x1b[2J"]


def test_a_models_name_ends_no_header_and_no_key(server: str, alice: Workspace) -> None:
    answered = 0
    for model in MODELS:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        answer = post(server, alice, "/v1/chat/completions", body)
        assert answer.status_code in {200, 400, 404}, (model, answer.text)
        assert "x-evil" not in answer.headers
        answered += answer.status_code == 200
        # Whatever it did, the counters still stand.
        usage = get(server, alice, "/v1/usage").json()
        assert usage["requests"]["used"] == answered


TEMPLATES = [
    "{{ 7|add:42 }}", "{% debug %}", "{{ settings.SECRET_KEY }}", "${7*7}", "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>", "javascript:alert(1)", "{{constructor.constructor('alert(1)')()}}",
]  # fmt: skip


def test_a_question_on_a_page_is_text(server: str, stocked: Workspace) -> None:
    rows = [
        {"question": f"What is {text}", "answer": f"It is {text}", "model": "gpt-4o-mini", "tags": ["t"]}
        for text in TEMPLATES
    ]
    assert bring_in(stocked, *rows, server=server).status_code == 200
    Tenant.objects.filter(pk=stocked.tenant.pk).update(name="".join(TEMPLATES)[:120])
    ApiKey.objects.filter(pk=stocked.api_key.pk).update(name=TEMPLATES[5])
    client = session_of(stocked.owner)
    for path in ("cache/entries/", "keys/", "", "settings/", "cache/review/"):
        page = client.get(f"/t/{stocked.tenant.slug}/{path}").content.decode()
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page
        assert ">49<" not in page
        assert "INSTALLED_APPS" not in page


def whole(answer: Any) -> bytes:
    async def streamed() -> bytes:
        return b"".join([block async for block in answer.streaming_content])

    if not answer.streaming:
        return bytes(answer.content)
    return async_to_sync(streamed)() if answer.is_async else b"".join(answer.streaming_content)


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1+1)"]


def test_no_file_for_spreadsheets_begins_a_formula(server: str, stocked: Workspace) -> None:
    for text in FORMULAS:
        ask(server, stocked, uuid.uuid4().hex, headers={"X-Nexus-Tags": text})
        call(stocked, "POST", "/v1/admin/api-keys", {"name": text})
    records(stocked, 1 + len(FORMULAS))
    client = session_of(stocked.owner)
    files = [
        client.get(f"/t/{stocked.tenant.slug}/settings/audit.csv"),
        client.get(f"/t/{stocked.tenant.slug}/savings/breakdown.csv?by=tag"),
        client.get(f"/t/{stocked.tenant.slug}/billing/ledger.csv"),
        call(stocked, "GET", "/api/usage/records?format=csv"),
    ]
    for file in files:
        assert file.status_code == 200
        text_of = whole(file).decode()
        for row in csv.reader(io.StringIO(text_of.removeprefix("\ufeff"))):
            assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "＝"))], row


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A gateway, and what it prints."""
    log = tmp_path / "log"
    with servers.gateway(log) as gateway:
        yield gateway.url, log


def test_nothing_that_is_sent_makes_a_line_of_the_log_or_colours_it(logged: tuple[str, Path], alice: Workspace) -> None:
    url, log = logged
    marker = uuid.uuid4().hex
    forged = f'%0a{{"level":"error","event":"{marker}"}}%0a%1b[31m'
    headers = {
        "User-Agent": f"\x1b]0;{marker}\x07",
        "X-Request-Id": f'{marker}"}}',
        "Referer": f"https://x/\x1b[2J{marker}",
        "X-Nexus-Tags": f"\x1b[31m{marker}",
    }
    with httpx2.Client(base_url=url, timeout=30) as client:
        client.get(f"/v1/{forged}")
        client.get(f"/{forged}")
        client.post("/v1/chat/completions", content=b"{}", headers={**headers, "Authorization": f"Bearer {alice.key}"})
        body: dict[str, Any] = {"model": f"x\n\x1b[31m{marker}", "messages": [{"role": "user", "content": "x"}]}
        client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {alice.key}"})
        client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {alice.key}\x1b[31m"})
        last = uuid.uuid4().hex
        client.get("/v1/models", headers={"X-Request-Id": last, "Authorization": f"Bearer {alice.key}"})
    until(lambda: last in log.read_text(errors="replace"))
    written = log.read_bytes()
    assert b"\x1b" not in written
    for line in written.splitlines():
        if marker.encode() in line:
            told = json.loads(line)
            assert told.get("event") != marker and told.get("level") != "error"


def test_what_mallory_writes_stays_in_her_schema(server: str, stocked: Workspace, mallory: Workspace) -> None:
    """A search path, a schema and a qualified name as names of things."""
    manages(mallory)
    for name in (
        f"{stocked.tenant.schema_name}.gateway_cacheentry",
        stocked.tenant.schema_name,
        "public",
        "pg_catalog",
    ):
        for path, body in (
            ("/api/cache/invalidate", {"namespace": name}),
            ("/api/cache/invalidate", {"model": name}),
            ("/api/erase", {"end_user": name}),
        ):
            assert call(mallory, "POST", path, body).json().get("count", 0) == 0
    with schema_of(stocked.tenant):
        assert entries_of(stocked) == ["What is a bond?"]
