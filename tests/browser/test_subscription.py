"""The life of a subscription as its owner sees it: from the last free request to the card that fails, to its end."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing import subscriptions
from billing.models import Subscription
from billing.stripe import meters
from tenants import revocations
from tenants.models import ApiKey
from tests.browser.conftest import Visit, apart, fits
from tests.browser.test_dashboard import drain
from tests.calls import chat
from tests.conftest import PASSWORD, Workspace
from tests.paying import DECLINED, VISA, Payments, payments, sync, wait_for
from tests.usage import miss, send, stream_of

FREE_REQUESTS = 100
QUESTION = "How do I make tea?"


@pytest.fixture(scope="module")
def started(database: None) -> Iterator[Payments]:
    with payments() as made:
        yield made


@pytest.fixture
def paid(started: Payments) -> Payments:
    """Each test begins today: what is metered now is in the period that it passes."""
    started.stripe.do("reset")
    sync()
    return started


@pytest.fixture(scope="module")
def server(started: Payments) -> str:
    """In place of the one that takes no payments."""
    return started.gateway


class Buyer(NamedTuple):
    """A person with a browser and an app with a key, at a Stripe whose days we pass."""

    page: Page
    paid: Payments
    workspace: Workspace

    def ask(self, times: int = 1) -> Any:
        """The last answer; repeats are hits."""
        return [chat(self.paid.gateway, self.workspace.key, "gpt-4o-mini", QUESTION) for _ in range(times)][-1]

    def open_billing(self) -> None:
        self.page.goto(f"/t/{self.workspace.tenant.slug}/billing/")

    def press(self, name: str) -> None:
        self.page.locator("main").get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.locator("main").get_by_role("link", name=name, exact=True).click()

    def pay(self, card: str = VISA) -> None:
        """On Stripe's page."""
        self.page.get_by_label("Card number").fill(card)
        self.page.locator("#pay").click()

    def pass_days(self, days: float) -> None:
        """Until we have heard of all that happened."""
        self.paid.stripe.pass_days(days)
        self.paid.stripe.do("deliver")
        self.open_billing()

    def use_card(self, card: str) -> None:
        """In Stripe's portal, and stays there."""
        self.page.get_by_label("Card number").fill(card)
        self.press("Use this card")

    def sees_plan(self, name: str, *words: str) -> None:
        plan = self.page.get_by_role("region", name="Plan", exact=True)
        expect(plan.locator(".figure")).to_have_text(re.compile(f"^{name} "))
        for each in words:
            expect(plan).to_contain_text(each)

    def sees_notice(self, *words: str) -> None:
        notice = self.page.locator(".ahead").filter(has_text=words[0])
        for each in words:
            expect(notice).to_contain_text(each)


def workspace_of(key: str) -> Workspace:
    """Without a limit of requests a minute: a test is in a hurry."""
    api_key = ApiKey.objects.select_related("tenant").get(public_id=key.split("-")[1])
    subscriptions.change_plan(api_key.tenant, "free", overrides={"requests_per_minute": None})
    return Workspace(api_key.tenant, api_key.tenant.memberships.get().user, api_key, key)


def sign_up(page: Page, paid: Payments) -> Buyer:
    page.get_by_label("Email").fill(f"{uuid.uuid4().hex[:12]}@example.com")
    page.get_by_label("Workspace").fill("Tea & Co")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create my workspace").click()
    return Buyer(page, paid, apart(workspace_of, page.locator("#api-key").inner_text()))


def end_grace(workspace: Workspace) -> None:
    """Our own clock cannot be moved."""
    Subscription.objects.filter(tenant=workspace.tenant).update(grace_until=timezone.now())
    revocations.publish(f"tenant:{workspace.tenant.pk}")


def test_from_the_last_free_request_to_a_paid_plan_a_failed_card_and_back(paid: Payments, visit: Visit) -> None:
    buyer = sign_up(visit("/signup/"), paid)
    page = buyer.page
    assert buyer.ask(FREE_REQUESTS).status_code == 200
    refused = buyer.ask()
    assert refused.status_code == 402
    page.goto(re.search(r"http\S+/billing/", refused.json()["error"]["message"])[0])  # type: ignore[index]
    expect(page.locator(".bars .over")).to_contain_text("100 of 100")
    fits(page)

    with paid.stripe.silent():
        buyer.press("Start 14-day trial")
        expect(page.get_by_role("heading", name="Subscribe")).to_be_visible()
        buyer.pay()
        expect(page.get_by_role("heading", name="Pro is yours")).to_be_visible()
        expect(page.get_by_role("main")).to_contain_text("10,000 requests a month")
        fits(page)
        apart(wait_for, lambda: buyer.ask().status_code == 200)
    buyer.open_billing()
    buyer.sees_plan("Pro", "Trialing", "Visa ending in 4242")
    buyer.sees_notice("Trial until", "$29.00 a month")
    fits(page)

    buyer.press("Cards, addresses, tax ids")
    buyer.use_card(DECLINED)
    buyer.pass_days(15)
    buyer.sees_notice("A payment failed.", "You keep Pro until")
    assert buyer.ask(FREE_REQUESTS).status_code == 200
    fits(page)
    apart(end_grace, buyer.workspace)
    apart(wait_for, lambda: buyer.ask().status_code == 402)
    page.reload()
    buyer.sees_notice("the time to pay is over")
    buyer.sees_plan("Pro", "Past Due", "Those of Free")
    fits(page)

    buyer.press("Update card")
    with paid.stripe.silent():
        buyer.use_card(VISA)
        buyer.press("Pay now")
        page.get_by_role("link", name="Return").click()
        buyer.sees_plan("Pro", "Active", "Next invoice")
    expect(page.locator(".ahead")).to_have_count(0)
    apart(wait_for, lambda: buyer.ask().status_code == 200)
    fits(page)


def test_what_was_used_is_on_an_invoice_that_opens(paid: Payments, visit: Visit) -> None:
    buyer = sign_up(visit("/signup/"), paid)
    page = buyer.page
    buyer.open_billing()
    buyer.press("Upgrade to Scale")
    buyer.pay()
    expect(page.get_by_role("heading", name="Scale is yours")).to_be_visible()
    buyer.open_billing()
    buyer.sees_plan("Scale", "Active", "$0.10 for each 1,000 requests beyond the first 1,000,000")

    apart(use_models, buyer.workspace)
    buyer.pass_days(32)
    invoices = page.get_by_role("region", name="Invoices").get_by_role("row")
    # The heading, the new one, the first one.
    expect(invoices).to_have_count(3)
    expect(invoices.nth(1)).to_contain_text("$261.34")
    fits(page)
    opened = page.request.get(invoices.nth(1).get_by_role("link", name="PDF of").get_attribute("href") or "")
    assert opened.headers["content-type"] == "application/pdf" and opened.body().startswith(b"%PDF")
    invoices.nth(1).get_by_role("link", name="Page of").click()
    expect(page.get_by_role("main")).to_contain_text("Total")


def use_models(workspace: Workspace) -> None:
    """For $12.34 on the platform's account, as Stripe is told of it."""
    workspace.tenant.subscription.refresh_from_db()
    send(stream_of(workspace), miss(workspace, cost_usd=Decimal("12.34"), paid_by_platform=True))
    drain()
    meters.report(workspace.tenant)


def test_plans_change_as_the_preview_says_and_end_as_announced(paid: Payments, visit: Visit) -> None:
    buyer = sign_up(visit("/signup/"), paid)
    page = buyer.page
    apart(Subscription.objects.filter(tenant=buyer.workspace.tenant).update, trial_used_at=timezone.now())
    buyer.open_billing()
    buyer.press("Upgrade to Pro")
    buyer.pay()
    buyer.open_billing()

    buyer.follow("Upgrade to Scale")
    expect(page.get_by_role("main")).to_contain_text(
        re.compile(r"you will be charged \$2\d\d\.\d\d today, then \$249\.00 a month")
    )
    fits(page)
    page.get_by_role("button", name="Change now and pay").click()
    expect(page.get_by_role("status").first).to_have_text("This workspace is on Scale now.")
    buyer.sees_plan("Scale")

    buyer.follow("Downgrade to Pro")
    expect(page.get_by_role("main")).to_contain_text("is credited to your next invoices, then Pro costs $29.00 a month")
    fits(page)
    page.get_by_role("button", name="Change on").click()
    buyer.sees_notice("The plan will change.", "Then Pro begins.")
    fits(page)
    page.locator(".ahead").get_by_role("button", name="Keep Scale").click()
    expect(page.locator(".ahead")).to_have_count(0)
    buyer.follow("Downgrade to Pro")
    page.get_by_role("button", name="Change on").click()
    buyer.pass_days(32)
    buyer.sees_plan("Pro", "Active")

    buyer.follow("Cancel subscription")
    expect(page.get_by_role("heading", name="Cancel Pro?")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Cancel on").click()
    buyer.sees_notice("The subscription is canceled.", "You keep Pro until")
    fits(page)
    buyer.pass_days(32)
    buyer.sees_plan("Free", "Canceled")
    expect(page.get_by_role("button", name="Upgrade to Pro")).to_be_visible()
    fits(page)
