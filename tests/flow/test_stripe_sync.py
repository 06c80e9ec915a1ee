"""`manage.py stripe_sync`: Stripe has our plans, and knows where to tell of payments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import pytest
from django.core.management import CommandError
from djstripe.models import Price, WebhookEndpoint

from billing.models import Plan
from billing.stripe import configuration
from tests.conftest import Workspace
from tests.management import call
from tests.paying import Payments, subscribe, subscription_of, sync


def price(paid: Payments, key: str) -> Any:
    (found,) = paid.stripe.api("prices", **{"lookup_keys[]": key, "expand[]": "data.tiers"})["data"]
    return found


def test_plans_become_products_prices_and_meters(paid: Payments) -> None:
    assert price(paid, "nexus_pro_monthly")["unit_amount"] == 2_900
    assert price(paid, "nexus_pro_monthly")["metadata"] == {"plan": "pro"}
    requests = price(paid, "nexus_scale_requests")
    tiers = [(tier["up_to"], Decimal(tier["unit_amount_decimal"])) for tier in requests["tiers"]]
    assert tiers == [(1_000_000, Decimal(0)), (None, Decimal("0.01"))]
    assert Decimal(price(paid, "nexus_scale_cost")["unit_amount_decimal"]) == Decimal("0.0001")
    meters = {each["id"]: each["event_name"] for each in paid.stripe.api("billing/meters")["data"]}
    assert meters[requests["recurring"]["meter"]] == "nexus_requests"
    assert Price.objects.get(id=requests["id"]).lookup_key == "nexus_scale_requests"


def test_running_it_again_changes_nothing(paid: Payments) -> None:
    kinds = ("products", "prices", "billing/meters", "webhook_endpoints", "billing_portal/configurations")
    before = {kind: len(paid.stripe.api(kind, limit=100)["data"]) for kind in kinds}
    said = sync()
    assert "created" not in said and "replaced" not in said
    assert {kind: len(paid.stripe.api(kind, limit=100)["data"]) for kind in kinds} == before


def test_a_new_price_is_for_new_buyers(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    old = price(paid, "nexus_pro_monthly")
    Plan.objects.filter(code="pro").update(price_usd=35)
    try:
        assert f"replaced {old['id']}" in sync()
        new = price(paid, "nexus_pro_monthly")
        assert new["unit_amount"] == 3_500 and new["id"] != old["id"]
        assert not paid.stripe.api(f"prices/{old['id']}")["active"]
        # Who pays the old one is still on Pro.
        paid.stripe.pass_days(32)
        paid.stripe.do("deliver")
        assert (subscription_of(buyer).plan_id, subscription_of(buyer).status) == ("pro", "active")
    finally:
        Plan.objects.filter(code="pro").update(price_usd=29)
        sync()


def test_a_new_address_moves_the_endpoint(paid: Payments, settings: Any) -> None:
    (row,) = WebhookEndpoint.objects.filter(url__startswith=paid.gateway)
    settings.PUBLIC_URL = "https://gateway.example.com"
    assert [each.setting for each in configuration.missing()] == ["the webhook endpoint"]
    assert "updated" in sync()
    moved = WebhookEndpoint.objects.get(pk=row.pk)
    assert moved.url == f"https://gateway.example.com/stripe/webhook/{row.djstripe_uuid}/"
    assert moved.secret == row.secret and configuration.missing() == []
    settings.PUBLIC_URL = paid.gateway
    sync()
    assert WebhookEndpoint.objects.get(pk=row.pk).url == row.url


def test_an_endpoint_whose_secret_is_lost_is_replaced(paid: Payments, buyer: Workspace) -> None:
    (row,) = WebhookEndpoint.objects.filter(url__startswith=paid.gateway)
    WebhookEndpoint.objects.filter(pk=row.pk).update(secret="")
    assert f"replaced {row.id}" in sync()
    (made,) = WebhookEndpoint.objects.filter(url__startswith=paid.gateway)
    assert made.secret and made.id != row.id
    subscribe(paid.stripe, buyer)


def test_endpoints_of_others_stay(paid: Payments) -> None:
    made = httpx2.post(
        f"{paid.stripe.url}/v1/webhook_endpoints",
        data={"url": "https://shop.example.com/hook", "enabled_events[]": "*"},
        headers={"Authorization": "Bearer sk_test_x"},
    ).json()
    sync()
    assert paid.stripe.api(f"webhook_endpoints/{made['id']}")["url"] == "https://shop.example.com/hook"
    httpx2.delete(f"{paid.stripe.url}/v1/webhook_endpoints/{made['id']}", headers={"Authorization": "Bearer sk_test_x"})


def test_before_it_has_run_buying_says_so(paid: Payments, buyer: Workspace) -> None:
    Plan.objects.create(code="team", name="Team", price_usd=99, position=9)
    try:
        error = call(buyer, "POST", "/api/checkout", {"plan": "team"}).json()["error"]
        assert error["code"] == "stripe_not_synced" and "stripe_sync" in error["message"]
    finally:
        Plan.objects.filter(code="team").delete()


@pytest.mark.parametrize(("key", "sentence"), [("", "STRIPE_SECRET_KEY"), ("not-a-key", "does not accept")])
def test_a_missing_or_refused_key_is_said_in_a_sentence(paid: Payments, settings: Any, key: str, sentence: str) -> None:
    settings.STRIPE_SECRET_KEY = key
    with pytest.raises(CommandError, match=sentence):
        sync()
