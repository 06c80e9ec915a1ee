"""Kept answers, for tests of what is done with them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import redis
from django.conf import settings

from gateway.models import CacheEntry
from tenants import keyspace
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.management import call


def ask(server: str, workspace: Workspace, question: str, model: str = "gpt-4o-mini", **more: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {workspace.key}", **more.pop("headers", {})}
    body = {"model": model, "messages": [{"role": "user", "content": question}], **more}
    answer = httpx2.post(f"{server}/v1/chat/completions", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def keep(server: str, workspace: Workspace, question: str, **more: Any) -> str:
    """The id of the new answer, once it has its row."""
    answer = ask(server, workspace, question, **more)
    assert answer.headers["x-cache"] == "MISS"
    entry_id = str(answer.headers["x-nexus-cache-id"])
    until(lambda: entry_of(workspace, entry_id) is not None)
    return entry_id


def until(check: Callable[[], bool]) -> None:
    """What changes takes effect within a second."""
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


def entry_of(workspace: Workspace, entry_id: str) -> CacheEntry | None:
    with schema_of(workspace.tenant):
        return CacheEntry.objects.filter(pk=uuid.UUID(entry_id)).first()


def entries_of(workspace: Workspace) -> list[str]:
    """Their questions."""
    with schema_of(workspace.tenant):
        return sorted(CacheEntry.objects.values_list("prompt", flat=True))


def exact_keys(workspace: Workspace) -> dict[str, int]:
    """Fingerprints in Redis, and how long they live; -1 is for ever."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        keys = list(client.scan_iter(match=keyspace.answer(workspace.tenant.pk, "*"), count=1000))
        return {key.decode().rsplit(":", 1)[1]: int(client.ttl(key)) for key in keys}


def bring_in(workspace: Workspace, *rows: dict[str, Any], server: str) -> httpx2.Response:
    return httpx2.post(
        f"{server}/api/cache/import",
        content="\n".join(json.dumps(row) for row in rows).encode(),
        headers={"Authorization": f"Bearer {workspace.key}", "Content-Type": "application/x-ndjson"},
        timeout=60,
    )


def post(server: str, workspace: Workspace, path: str, body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {workspace.key}"}
    return httpx2.post(f"{server}{path}", json=body, headers=headers, timeout=30)


def get(server: str, workspace: Workspace, path: str) -> httpx2.Response:
    return httpx2.get(f"{server}{path}", headers={"Authorization": f"Bearer {workspace.key}"}, timeout=30)


def listed(workspace: Workspace, query: str = "") -> list[dict[str, Any]]:
    answer = call(workspace, "GET", f"/api/cache/entries{query}")
    assert answer.status_code == 200, answer.content
    return list(answer.json()["data"])
