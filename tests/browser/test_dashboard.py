"""The dashboard in a browser: it updates by itself, comes back by itself, and fits a phone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from django.db import connections
from playwright.sync_api import Page, WebSocketRoute, expect

from analytics.tasks import drain_usage
from tests.browser.conftest import WIDE, Visit
from tests.conftest import Workspace
from tests.usage import exact_hit, miss, send, stream_of

PHONE = (390, 844)


def drain() -> None:
    """In a thread, as Playwright's event loop has this one."""

    def run() -> None:
        try:
            drain_usage()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result()


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
    rows = page.get_by_role("table").locator("tbody tr")
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
            """() => [...document.querySelectorAll("main h2, main th, .tile, #chart, .scroll")].map((node) => {
                const box = node.getBoundingClientRect();
                return [box.x, box.y, box.width].map(Math.round);
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
    expect(page.get_by_role("link", name="Plan and limits")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="Latest requests")).to_be_focused()


def test_copying_a_request_id_is_not_disturbed(alice: Workspace, visit: Visit) -> None:
    send(stream_of(alice), miss(alice, request_id="copy-me"))
    drain()
    page = visit(dashboard_of(alice), alice)
    expect(page.get_by_role("status")).to_have_text("live")
    page.get_by_text("copy-me").select_text()
    send(stream_of(alice), miss(alice))
    drain()
    expect(page.locator("[data-figure=requests]")).to_have_text("2")
    assert page.evaluate("getSelection().toString()").strip() == "copy-me"
