"""Who leaves a metered plan now: the last use is on the invoice, though Stripe counts later than it takes events.

Stripe's clock is right here: what is used now is in the period that ends now.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Workspace
from tests.flow.test_stripe_meters import use
from tests.management import call
from tests.paying import Payments, customer_of, subscribe, subscription_of, wait_for


def invoiced(paid: Payments, workspace: Workspace) -> list[int]:
    (newest,) = paid.stripe.api("invoices", customer=customer_of(workspace), limit=1)["data"]
    return [line["amount"] for line in newest["lines"]["data"]]


@pytest.fixture
def leaving(paid: Payments, buyer: Workspace) -> Workspace:
    """On Scale, with use that costs $7."""
    subscribe(paid.stripe, buyer, "scale")
    use(buyer, 2, "7")
    since = subscription_of(buyer).metered_since
    # What is used in the second in which a plan begins has a time after that of an end in it.
    wait_for(lambda: since is not None and timezone.now() > since + dt.timedelta(seconds=2))
    return buyer


def test_who_leaves_now_waits_until_stripe_has_counted_the_last_use(paid: Payments, leaving: Workspace) -> None:
    """It takes events in later than it says so; what its sums lack is not invoiced."""
    paid.stripe.do("settings", meter_lag_s=2)
    try:
        assert call(leaving, "POST", "/api/billing/cancel", {"when": "now"}).json()["plan"] == "free"
    finally:
        paid.stripe.do("settings", meter_lag_s=0)
    assert 700 in invoiced(paid, leaving)


@pytest.mark.parametrize("leave", [("change", {"plan": "pro"}), ("cancel", {"when": "now"})])
def test_who_leaves_now_is_asked_to_try_again_when_stripe_is_slow_to_count(
    paid: Payments, leaving: Workspace, leave: tuple[str, dict[str, Any]]
) -> None:
    path, body = leave
    paid.stripe.do("settings", meter_lag_s=3_600)
    try:
        refused = call(leaving, "POST", f"/api/billing/{path}", body)
    finally:
        paid.stripe.do("settings", meter_lag_s=0)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (409, "usage_not_counted") and "in a minute" in error["message"]
    assert subscription_of(leaving).plan_id == "scale"
    seen = call(leaving, "POST", "/api/billing/preview", {"plan": "free"}).json()
    assert Decimal(seen["due_now_usd"]) == 7
    assert call(leaving, "POST", f"/api/billing/{path}", body).status_code == 200
    assert 700 in invoiced(paid, leaving)
