"""Pages without JavaScript: nothing is shown that would do nothing, and what needs none is all there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from tests.booked import book
from tests.browser.conftest import Visit, accessible, apart, fits, log_in
from tests.browser.test_cache import give_history
from tests.conftest import Workspace
from tests.usage import exact_hit, miss

Open = Callable[[str, Workspace], Page]


@pytest.fixture
def plainly(server: str, browser: Browser) -> Iterator[Open]:
    """`plainly("/path/", workspace)`: a page without scripts, logged in as the workspace's owner."""

    def open_page(path: str, workspace: Workspace) -> Page:
        page = browser.new_page(java_script_enabled=False, base_url=server)
        log_in(page, workspace, path)
        return page

    yield open_page


def test_the_live_page_has_its_charts(alice: Workspace, plainly: Open) -> None:
    now = timezone.now()
    ago = [(now - dt.timedelta(minutes=minutes)).timestamp() for minutes in (2, 2, 20)]
    apart(book, alice, *(miss(alice, at=at) for at in ago), exact_hit(alice, at=ago[0]))
    page = plainly(f"/t/{alice.tenant.slug}/", alice)
    charts = page.locator(".sketch")
    expect(charts).to_have_count(2)
    expect(charts.first).to_be_visible()
    drawn = charts.first.locator("path.miss").get_attribute("d") or ""
    assert drawn.count("M") == 2
    expect(charts.first.locator(".scale span").first).to_have_text("3")
    assert charts.first.locator("svg").bounding_box()["height"] > 100  # type: ignore[index]


def test_the_threshold_is_written_and_looked_at(alice: Workspace, server: str, plainly: Open) -> None:
    apart(give_history, server, alice)
    page = plainly(f"/t/{alice.tenant.slug}/cache/threshold/", alice)
    expect(page.locator("#slide")).to_be_hidden()
    page.locator("#number").fill("0.91")
    page.get_by_role("button", name="Look").click()
    page.wait_for_url("**?threshold=0.91")
    expect(page.locator("#number")).to_have_value("0.91")


def test_what_needs_a_script_is_not_there_without_one(alice: Workspace, plainly: Open) -> None:
    page = plainly(f"/t/{alice.tenant.slug}/playground/", alice)
    expect(page.get_by_text("Ctrl + Enter")).to_be_hidden()
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#snippets .copy").first).to_be_hidden()
    page.goto(f"/t/{alice.tenant.slug}/settings/workspace")
    assert [button.is_visible() for button in page.locator(".copy").all()] == [False, False]


def test_what_a_script_does_is_there_with_one(alice: Workspace, visit: Visit) -> None:
    page = visit(f"/t/{alice.tenant.slug}/playground/", alice)
    expect(page.get_by_text("Ctrl + Enter")).to_be_visible()
    expect(page.locator("noscript p")).to_have_count(0)
    expect(page.get_by_role("button", name="Copy").first).to_be_visible()
    page.goto(f"/t/{alice.tenant.slug}/keys/new")
    expect(page.get_by_label("Its last day")).to_be_hidden()
    page.get_by_label("Ends").select_option("on")
    expect(page.get_by_label("Its last day")).to_be_visible()
    fits(page)
    accessible(page)
