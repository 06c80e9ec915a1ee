"""Debian's Chromium, driven by Playwright; a page that fails on any error of its scripts."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, sync_playwright

from nexus.checks import CHROMIUM_NAMES
from tests.conftest import PASSWORD, Workspace

WIDE = (1440, 1000)
Visit = Callable[..., Page]
# Desk and phone.
WIDTHS = (1280, 390)
SEVERE = ("serious", "critical")


def apart(do: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What uses the database, in a thread of its own: Playwright's event loop has this one."""

    def run() -> Any:
        try:
            return do(*arguments, **named)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def fits(page: Page) -> None:
    """Nothing is wider than a screen, wide or narrow."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} at {width} px"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    assert path, "Chromium is missing; on Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """One a test: while Playwright runs, no other event loop can in this thread."""
    with chromium() as launched:
        yield launched


@pytest.fixture
def visit(server: str, browser: Browser) -> Iterator[Visit]:
    """`visit("/path/", workspace)`: a page, logged in as the workspace's owner."""
    errors: list[tuple[str, str]] = []
    # Pages that said no themselves: Chromium calls each of them an error.
    refusals = set()

    def open_page(path: str, owner_of: Workspace | None = None, size: tuple[int, int] = WIDE) -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, base_url=server)
        page.on("pageerror", lambda error: errors.append((str(error), "")))
        page.on("console", lambda line: errors.append((line.text, _url(line))) if line.type == "error" else None)
        page.on("response", lambda answer: refusals.add(answer.url) if _is_refusal(answer) else None)
        if owner_of is None:
            page.goto(path)
            return page
        log_in(page, owner_of, path)
        return page

    yield open_page
    ours = [text for text, url in errors if url not in refusals and (not url or url.startswith(server))]
    assert ours == []


def log_in(page: Page, workspace: Workspace, path: str) -> None:
    """As its owner, who is led to the path."""
    page.goto(f"/login/?next={path}")
    page.get_by_label("Email").fill(workspace.owner.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{path}")


def _url(line: ConsoleMessage) -> str:
    return line.location["url"].partition("#")[0]


def _is_refusal(answer: Response) -> bool:
    return 400 <= answer.status < 500 and answer.request.is_navigation_request()


def accessible(page: Page) -> None:
    """Fails on what axe-core calls serious or critical."""
    assert severe(page) == [], page.url


def severe(page: Page) -> list[str]:
    """The rules that are broken, each with the first places."""
    found = Axe().run(page).response["violations"]
    rules = [rule for rule in found if rule["impact"] in SEVERE]
    return [f"{rule['id']} at {[node['target'] for node in rule['nodes']][:5]}" for rule in rules]
