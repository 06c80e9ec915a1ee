"""The live page in a browser: it updates by itself, comes back by itself, and fits a phone."""

from __future__ import annotations

import re
import time

import httpx2
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from analytics.tasks import drain_usage
from tests.browser.conftest import WIDE, Visit, apart
from tests.conftest import PASSWORD, Workspace
from tests.usage import exact_hit, miss, send, stream_of

PHONE = (390, 844)


def drain() -> None:
    apart(drain_usage)


def dashboard_of(workspace: Workspace) -> str:
    return f"/t/{workspace.tenant.slug}/"


def figure(page: Page, name: str) -> str:
    return page.locator(f"[data-figure={name}]").inner_text()


def ask(server: str, workspace: Workspace) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How do I make tea?"}]}
    headers = {"Authorization": f"Bearer {workspace.key}"}
    httpx2.post(f"{server}/v1/chat/completions", json=body, headers=headers, timeout=30).raise_for_status()


def test_requests_arrive_on_an_open_dashboard(alice: Workspace, server: str, visit: Visit) -> None:
    page = visit(dashboard_of(alice), alice)
    expect(page.get_by_role("status")).to_have_text("live")
    expect(page.get_by_text("No request yet")).to_be_visible()
    ask(server, alice)
    ask(server, alice)
    drain()
    expect(page.locator("[data-figure=requests]")).to_have_text("2")
    assert (figure(page, "exact_hits"), figure(page, "misses"), figure(page, "hit_rate")) == ("1", "1", "50.0 %")
    expect(page.get_by_text("No request yet")).to_be_hidden()
    rows = page.locator("#latest tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("HIT-EXACT")
    expect(rows.first).to_contain_text("SIMULATED")


def test_a_dashboard_that_lost_its_connection_says_so_and_comes_back(alice: Workspace, visit: Visit) -> None:
    page = visit(dashboard_of(alice), alice)
    cuts: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        cuts.append(route)

    page.route_web_socket(re.compile("/ws/"), through)
    page.reload()
    state = page.get_by_role("status")
    expect(state).to_have_text("live")
    cuts[0].close(code=1012)
    expect(state).to_have_text("reconnecting…")
    send(stream_of(alice), miss(alice))
    drain()
    expect(state).to_have_text("live")
    expect(page.locator("[data-figure=requests]")).to_have_text("1")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_on_the_page_moves_while_it_updates(alice: Workspace, visit: Visit, size: tuple[int, int]) -> None:
    def layout() -> object:
        return page.evaluate(
            """() => [...document.querySelectorAll("main h2, main th, .tile, .chart, .card, .scroll")].map((node) => {
                const box = node.getBoundingClientRect();
                return [box.x, box.y, box.width, box.height].map(Math.round);
            })"""
        )

    send(stream_of(alice), *(miss(alice) for _ in range(20)))
    drain()
    page = visit(dashboard_of(alice), alice, size)
    expect(page.get_by_role("status")).to_have_text("live")
    before = layout()
    long = {"model": "a-very-long-model-name-of-somebodys-own-2026-11-20", "latency_ms": 59_999.0}
    send(stream_of(alice), *(exact_hit(alice, **long) for _ in range(500)))
    drain()
    expect(page.locator("[data-figure=requests]")).to_have_text("520")
    assert layout() == before
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_keyboard_reaches_the_content_first_and_the_table_too(alice: Workspace, visit: Visit) -> None:
    send(stream_of(alice), miss(alice))
    drain()
    page = visit(dashboard_of(alice), alice, PHONE)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(".sub").get_by_role("link", name="Live")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "requests":
            break
    expect(page.get_by_role("region", name="Latest requests")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The way it took")).to_be_visible()


def test_copying_a_request_id_is_not_disturbed(alice: Workspace, visit: Visit) -> None:
    send(stream_of(alice), miss(alice, request_id="copy-me"))
    drain()
    page = visit(dashboard_of(alice), alice)
    expect(page.get_by_role("status")).to_have_text("live")
    page.locator("#latest .id").get_by_text("copy-me").select_text()
    send(stream_of(alice), miss(alice))
    drain()
    expect(page.locator("[data-figure=requests]")).to_have_text("2")
    assert page.evaluate("getSelection().toString()").strip() == "copy-me"


def test_who_has_a_row_in_focus_keeps_it_while_others_come(alice: Workspace, visit: Visit) -> None:
    send(stream_of(alice), miss(alice, request_id="stay-here"))
    drain()
    page = visit(dashboard_of(alice), alice)
    expect(page.get_by_role("status")).to_have_text("live")
    page.get_by_role("link", name="Request stay-here").focus()
    send(stream_of(alice), *(miss(alice) for _ in range(5)))
    drain()
    expect(page.locator("#latest tr")).to_have_count(6)
    expect(page.get_by_role("link", name="Request stay-here")).to_be_focused()


def test_a_range_is_in_the_url_and_its_updates_keep_it(alice: Workspace, visit: Visit) -> None:
    page = visit(dashboard_of(alice), alice)
    page.get_by_role("link", name="7 days").click()
    expect(page).to_have_url(re.compile(r"\?range=7d$"))
    expect(page.get_by_role("status")).to_have_text("live")
    send(stream_of(alice), miss(alice), miss(alice, at=_days_ago(3)))
    drain()
    expect(page.locator("[data-figure=requests]")).to_have_text("2")
    expect(page.locator("#latest tr")).to_have_count(2)


def _days_ago(days: int) -> float:
    return time.time() - days * 86_400


def test_times_and_the_picker_are_the_viewers(alice: Workspace, server: str, browser: Browser) -> None:
    send(stream_of(alice), miss(alice))
    drain()
    context = browser.new_context(timezone_id="Asia/Tokyo", base_url=server)
    page = context.new_page()
    page.goto(f"/login/?next={dashboard_of(alice)}")
    page.get_by_label("Email").fill(alice.owner.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{dashboard_of(alice)}")
    time_of = page.locator("#latest time")
    shown, utc = time_of.inner_text(), time_of.get_attribute("title") or ""
    assert shown[:2] != utc[11:13]
    assert utc.endswith("UTC")
    page.get_by_text("From … to …").click()
    page.get_by_label("From").fill("2026-11-01T00:00")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"tz=Asia%2FTokyo"))
    expect(page.get_by_label("From")).to_have_value("2026-11-01T00:00")
    context.close()


def test_it_is_all_there_without_scripts(alice: Workspace, server: str, visit: Visit, browser: Browser) -> None:
    send(stream_of(alice), miss(alice, request_id="plain"))
    drain()
    cookies = visit(dashboard_of(alice), alice).context.cookies()
    context = browser.new_context(java_script_enabled=False, base_url=server)
    context.add_cookies(cookies)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(dashboard_of(alice))
    expect(page.locator("[data-figure=requests]")).to_have_text("1")
    page.get_by_role("link", name="30 days").click()
    expect(page.locator("[data-figure=requests]")).to_have_text("1")
    page.locator(".sub").get_by_role("link", name="Requests").click()
    page.get_by_label("Request id").fill("plain")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name="The way it took")).to_be_visible()
    context.close()
