"""The billing page in a browser, on a gateway that takes no payments: all but buying works, wide and narrow."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from analytics import reconciliation
from billing import subscriptions
from tests.browser.conftest import Visit, apart, fits
from tests.browser.test_dashboard import drain
from tests.conftest import Workspace
from tests.traffic import period_of
from tests.usage import client, exact_hit, miss, send, stream_of

SIZES = [(1280, 900), (390, 844), (360, 740)]


def billing_of(workspace: Workspace) -> str:
    return f"/t/{workspace.tenant.slug}/billing/"


def compare_books(workspace: Workspace) -> None:
    with client() as redis:
        reconciliation.keep(reconciliation.compare(redis, workspace.tenant, period_of(workspace)))


def bar(page: Page, name: str) -> str:
    return page.locator(".bars li").filter(has_text=name).inner_text()


def test_without_stripe_the_page_says_what_to_set_and_shows_the_rest(alice: Workspace, visit: Visit) -> None:
    send(stream_of(alice), miss(alice, cost_usd=Decimal("1.25")), exact_hit(alice))
    drain()
    apart(compare_books, alice)
    page = visit(billing_of(alice), alice)
    payments = page.get_by_role("region", name="Payments")
    expect(payments).to_contain_text("This gateway takes no payments yet")
    expect(payments).to_contain_text("STRIPE_SECRET_KEY")
    expect(payments).to_contain_text("manage.py stripe_sync")
    expect(page.get_by_role("button", name="Upgrade")).to_have_count(0)
    expect(page.get_by_role("region", name="Plan", exact=True)).to_contain_text("given by this gateway's operator")
    assert "2 · no limit" in bar(page, "Requests") and "$1.25 · no budget" in bar(page, "this period")
    days = page.get_by_role("region", name="Ledger by day").get_by_role("row")
    expect(days).to_have_count(3)
    expect(days.nth(2)).to_contain_text("Period so far")
    expect(page.get_by_role("region", name="Do the books agree?")).to_contain_text("The books agree as of")
    fits(page)


def test_a_budget_is_set_where_mistakes_are_named_beside_the_field(alice: Workspace, visit: Visit) -> None:
    page = visit(billing_of(alice), alice)
    day, period = page.get_by_label("A day, USD"), page.get_by_label("A period, USD")
    day.fill("12.345")
    period.fill("lots")
    page.get_by_role("button", name="Save budget").click()
    expect(day).to_have_accessible_description(
        "From midnight to midnight UTC. A budget has whole cents: two digits after the point at most."
    )
    expect(period).to_have_value("lots")
    fits(page)
    day.fill("12.50")
    period.fill("")
    page.get_by_label("Let it pass, and tell").check()
    page.get_by_role("button", name="Save budget").click()
    expect(page.get_by_role("status").first).to_have_text("The budget is saved, and in effect within a second.")
    assert "of $12.50 budget that only warns" in bar(page, "today")


def test_the_ledger_is_taken_away_as_csv(alice: Workspace, visit: Visit) -> None:
    send(stream_of(alice), miss(alice))
    drain()
    page = visit(billing_of(alice), alice)
    with page.expect_download() as download:
        page.get_by_role("link", name="Whole ledger as CSV").click()
    assert download.value.suggested_filename == f"ledger-{alice.tenant.slug}.csv"
    (row,) = csv.DictReader(io.StringIO(download.value.path().read_text()))
    assert (row["requests"], row["tokens"], row["key"]) == ("1", "30", alice.api_key.public_id)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_page_fits_and_is_reached_from_the_dashboard(alice: Workspace, visit: Visit, size: tuple[int, int]) -> None:
    apart(subscriptions.change_plan, alice.tenant, "pro", overrides={"monthly_requests": 3})
    send(stream_of(alice), *(miss(alice, model="a-model", cost_usd=Decimal("123456.789")) for _ in range(4)))
    drain()
    page = visit(f"/t/{alice.tenant.slug}/", alice, size)
    page.get_by_role("navigation").get_by_role("link", name="Billing").click()
    expect(page.get_by_role("heading", name="Billing")).to_be_visible()
    expect(page.locator(".bars .over")).to_contain_text("133.3 %")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_keyboard_reaches_every_part(alice: Workspace, visit: Visit) -> None:
    page = visit(billing_of(alice), alice)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))
    assert reached[:4] == ["Where do these figures come from?", "daily_budget_usd", "monthly_budget_usd", "budget_mode"]
    assert "Save budget" in reached and "Whole ledger as CSV" in reached
