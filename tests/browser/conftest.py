"""Debian's Chromium, driven by Playwright; a page that fails on any error of its scripts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from nexus.checks import CHROMIUM_NAMES
from tests.conftest import PASSWORD, Workspace

WIDE = (1440, 1000)
Visit = Callable[..., Page]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """One a test: while Playwright runs, no other event loop can in this thread."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    assert path, "Chromium is missing; on Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(server: str, browser: Browser) -> Iterator[Visit]:
    """`visit("/path/", workspace)`: a page, logged in as the workspace's owner."""
    errors: list[str] = []

    def open_page(path: str, owner_of: Workspace | None = None, size: tuple[int, int] = WIDE) -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, base_url=server)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        if owner_of is None:
            page.goto(path)
            return page
        page.goto(f"/login/?next={path}")
        page.get_by_label("Email").fill(owner_of.owner.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main").get_by_role("button", name="Log in").click()
        page.wait_for_url(f"**{path}")
        return page

    yield open_page
    assert errors == []
