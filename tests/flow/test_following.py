"""One request followed by its id: log line, trace, metric, page, record and ledger tell the same of it."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import httpx2

from analytics.models import UsageRecord
from billing.models import LedgerEntry
from tests import servers
from tests.calls import chat, records
from tests.conftest import Workspace
from tests.fakes.collector import collecting
from tests.sockets import session_of
from tests.told import access_line

EDGE = "POST /v1/chat/completions"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def exemplars(url: str, request_id: str) -> set[str]:
    """Trace ids that /metrics names beside the request."""
    page = httpx2.get(f"{url}/metrics", headers=OPENMETRICS).text
    return set(re.findall(rf'# {{request_id="{request_id}",trace_id="([0-9a-f]{{32}})"}}', page))


def page_of(workspace: Workspace, request_id: str) -> str:
    response = session_of(workspace.owner).get(f"/t/{workspace.tenant.slug}/requests/{request_id}/", follow=True)
    assert response.status_code == 200
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", response.content.decode())).split())


def ledger_of(workspace: Workspace, record: UsageRecord) -> LedgerEntry:
    """The one row; the workspace has no other request."""
    return LedgerEntry.objects.get(
        tenant=workspace.tenant,
        key_id=record.key_id,
        period_start=record.period_start,
        day=record.at.astimezone(dt.UTC).date(),
    )


def test_a_request_is_followed_by_its_id(
    database: None, alice: Workspace, with_provider: Callable[[Workspace], Workspace], tmp_path: Path
) -> None:
    fake, log, request_id = with_provider(alice), tmp_path / "web.log", f"follow-{uuid.uuid4().hex}"
    with (
        collecting() as collector,
        servers.gateway(log, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, NEXUS_TRACE_RATIO="1") as gateway,
    ):
        answer = chat(gateway.url, fake.key, "ok", headers={"X-Request-Id": request_id})
        assert answer.headers["x-request-id"] == request_id
        (record,) = records(fake, 1)

        line = access_line(log, request_id)
        assert (line["tenant"], line["key"]) == (fake.tenant.pk, fake.api_key.public_id)
        assert (line["outcome"], line["provider"], line["status"]) == ("MISS", "fake", 200)

        spans = collector.trace_of(request_id, EDGE, "chat ok", "settle")
        assert {span.trace_id for span in spans} == {line["trace_id"]}

        assert exemplars(gateway.url, request_id) == {line["trace_id"]}

    assert record.request_id == request_id
    assert record.key_id == fake.api_key.pk
    assert (record.prompt_tokens, record.completion_tokens) == (line["prompt_tokens"], line["completion_tokens"])
    assert record.cost_usd == (Decimal(line["cost_usd"]) if "cost_usd" in line else None)

    page = page_of(fake, request_id)
    assert request_id in page
    assert "fake" in page

    entry = ledger_of(fake, record)
    assert (entry.requests, entry.tokens) == (1, record.billed_tokens)
    assert entry.cost_usd == (record.cost_usd or 0)
