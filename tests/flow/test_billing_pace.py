"""A workspace cannot keep Stripe busy: its API and its pages count together, and say when to come back."""

from __future__ import annotations

import uuid
from typing import Any

from django.test import Client

from billing.models import Subscription
from billing.pace import ACTS_PER_MINUTE, LISTS_PER_MINUTE
from tests.conftest import Workspace
from tests.management import call, manages
from tests.paying import KEY
from tests.sockets import session_of

ACTS: list[tuple[str, Any]] = [
    ("checkout", {"plan": "pro"}),
    ("billing/change", {"plan": "pro"}),
    ("billing/preview", {"plan": "pro"}),
    ("billing/cancel", {}),
    ("billing/resume", None),
    ("billing/portal", None),
]


def test_acts_of_a_workspace_have_one_pace(buyer: Workspace, mallory: Workspace) -> None:
    manages(mallory)
    for number in range(ACTS_PER_MINUTE):
        path, body = ACTS[number % len(ACTS)]
        assert call(buyer, "POST", f"/api/{path}", body).status_code == 503, path
    for path, body in ACTS:
        refused = call(buyer, "POST", f"/api/{path}", body)
        assert refused.status_code == 429 and 0 < int(refused.headers["Retry-After"]) <= 60
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    # Others, and what Stripe has no part in, go on.
    assert call(mallory, "POST", "/api/billing/portal").status_code == 503
    assert call(buyer, "GET", "/api/billing/subscription").status_code == 200
    assert call(buyer, "PUT", "/api/billing/budget", {}).status_code == 200
    # On its pages, too.
    client = session_of(buyer.owner)
    for act in ("buy", "change", "cancel", "resume", "portal"):
        answer = client.post(f"/t/{buyer.tenant.slug}/billing/{act}", {"plan": "pro"}, follow=True)
        assert answer.status_code == 200 and "20 times a minute. Try again in" in answer.content.decode(), act
    assert client.get(f"/t/{buyer.tenant.slug}/billing/").status_code == 200


def test_pages_count_for_the_api(buyer: Workspace) -> None:
    client = session_of(buyer.owner)
    for _ in range(ACTS_PER_MINUTE):
        client.post(f"/t/{buyer.tenant.slug}/billing/portal")
    assert call(buyer, "POST", "/api/billing/portal").status_code == 429


def test_invoices_have_a_pace_of_their_own(buyer: Workspace) -> None:
    for _ in range(LISTS_PER_MINUTE):
        assert call(buyer, "GET", "/api/billing/invoices").status_code == 200
    refused = call(buyer, "GET", "/api/billing/invoices")
    assert refused.status_code == 429 and 0 < int(refused.headers["Retry-After"]) <= 60
    assert call(buyer, "POST", "/api/billing/portal").status_code == 503


def test_pages_that_ask_stripe_to_be_read_have_a_pace_too(buyer: Workspace, settings: Any) -> None:
    """They say so kindly, and show the rest."""
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    found = Subscription.objects.filter(tenant=buyer.tenant)
    client, page = session_of(buyer.owner), f"/t/{buyer.tenant.slug}/billing/"
    session = f"cs_test_{uuid.uuid4().hex}"
    # Nobody is asked for who is no customer.
    for _ in range(ACTS_PER_MINUTE):
        assert client.get(f"{page}look").status_code == 302
    told = client.get(f"{page}look", follow=True)
    assert told.status_code == 200 and "20 times a minute. Try again in" in told.content.decode()
    told = client.get(f"{page}bought")
    assert told.status_code == 200 and "20 times a minute. Try again in" in told.content.decode()
    found.update(stripe_customer_id=f"cus_{uuid.uuid4().hex}", checkout_session_id=session)
    # Stripe, which is not there, is not asked.
    back = Client().get("/billing/return", {"session_id": session})
    assert back.status_code == 302 and back["Location"].endswith("/bought")
    for _ in range(LISTS_PER_MINUTE):
        assert call(buyer, "GET", "/api/billing/invoices?after=nobodys").status_code == 400
    told = client.get(page)
    words = " ".join(told.content.decode().split())
    assert told.status_code == 200 and "Invoices can be listed 60 times a minute. Try again in" in words


def test_who_may_not_act_uses_up_nothing(alice: Workspace) -> None:
    for _ in range(ACTS_PER_MINUTE + 1):
        assert call(alice, "POST", "/api/billing/cancel", {}).status_code == 403
