"""Mallory sees, pays, changes and takes away nothing of Alice's billing: every path is a 404 for her."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import Client

from analytics.tasks import drain_usage
from billing import budgets
from billing.urls import urlpatterns
from tests.conftest import Workspace
from tests.paying import subscription_of
from tests.sockets import session_of
from tests.usage import miss, send, stream_of

OF_WORKSPACES = [
    str(each.pattern).removeprefix("t/<slug:slug>/") for each in urlpatterns if str(each.pattern).startswith("t/")
]
PATHS = [*OF_WORKSPACES, "billing/ledger.csv"]
GIVEN = {"plan": "pro", "when": "now", "daily_budget_usd": "1", "budget_mode": "hard", "unpriced": "allow"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "head", "options"])
def test_a_stranger_cannot_tell_any_billing_page_from_none(
    alice: Workspace, mallory: Workspace, path: str, method: str
) -> None:
    client = session_of(mallory.owner)
    for slug in (alice.tenant.slug, "there-is-no-such"):
        assert getattr(client, method)(f"/t/{slug}/{path}", GIVEN if method == "post" else None).status_code == 404
    assert Client().get(f"/t/{alice.tenant.slug}/{path}").status_code == 302
    assert budgets.of(subscription_of(alice))["daily_budget_usd"] is None


def test_each_workspace_takes_away_its_own_ledger(alice: Workspace, mallory: Workspace) -> None:
    send(stream_of(alice), miss(alice))
    send(stream_of(mallory), miss(mallory))
    drain_usage()
    client = session_of(mallory.owner)
    text = read(client.get(f"/t/{mallory.tenant.slug}/billing/ledger.csv"))
    assert mallory.api_key.public_id in text and alice.api_key.public_id not in text
    page = client.get(f"/t/{mallory.tenant.slug}/billing/").content.decode()
    assert alice.tenant.slug not in page


def read(answer: Any) -> str:
    async def blocks() -> bytes:
        return b"".join([block async for block in answer.streaming_content])

    return asyncio.run(blocks()).decode()
