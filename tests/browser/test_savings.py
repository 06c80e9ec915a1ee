"""The savings in a browser: they fit, are accessible, and their tabs change in place."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.utils import timezone
from playwright.sync_api import expect

from analytics.events import HIT_SEMANTIC
from tests.booked import book
from tests.browser.conftest import Visit, accessible, apart, fits
from tests.conftest import Workspace
from tests.usage import miss


def fill(workspace: Workspace) -> None:
    """A month of requests to three models, a little more each day."""
    hour = timezone.now().replace(minute=20)
    events = []
    for day in range(45):
        for number, model in enumerate(("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5-20250929")):
            facts: dict[str, Any] = {"at": (hour - dt.timedelta(days=day, hours=number)).timestamp(), "model": model}
            facts["tags"] = [["checkout", "support", "search"][(day + number) % 3]]
            amount = Decimal(1 + (day * 7 + number * 5) % 11) / 3 / (1 + number) * (60 - day) / 60
            events.append(miss(workspace, **facts, cost_usd=round(amount * 2, 10)))
            free: dict[str, Any] = {"billed_tokens": 0, "cost_usd": Decimal(0), "saved_usd": round(amount * 3, 10)}
            events.append(miss(workspace, **facts, outcome=HIT_SEMANTIC, **free, similarity=0.94))
    book(workspace, *events)


def test_a_tab_changes_the_table_in_place_and_the_address(alice: Workspace, visit: Visit) -> None:
    apart(fill, alice)
    page = visit(f"/t/{alice.tenant.slug}/savings/?range=30d", alice)
    page.get_by_role("navigation", name="Break down by").get_by_role("link", name="Model").click()
    expect(page.get_by_role("region", name="Model").get_by_role("rowheader", name="gpt-4o", exact=True)).to_be_visible()
    assert "by=model" in page.url
    expect(page.get_by_role("link", name="Model", exact=True)).to_have_attribute("aria-current", "true")
    page.locator(".bar").last.hover(force=True)
    expect(page.locator("#readout")).to_contain_text("saved")


def test_a_link_is_made_copied_opened_by_a_stranger_and_revoked(alice: Workspace, visit: Visit) -> None:
    apart(fill, alice)
    page = visit(f"/t/{alice.tenant.slug}/savings/", alice)
    page.get_by_role("link", name="Share", exact=True).click()
    page.get_by_label("For whom").fill("Board")
    page.get_by_role("button", name="Make the link").click()
    address = "/share" + page.locator("#link").inner_text().partition("/share")[2]
    accessible(page)
    fits(page)
    stranger = visit(address)
    expect(stranger.get_by_role("heading", level=1)).to_have_text(f"Savings of {alice.tenant.name}")
    accessible(stranger)
    fits(stranger)
    page.get_by_role("link", name="All links").click()
    accessible(page)
    fits(page)
    page.get_by_role("row", name="Board").get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("row", name="Board")).to_contain_text("revoked")
    stranger.reload()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("There is nothing here")
