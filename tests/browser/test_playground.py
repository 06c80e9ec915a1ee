"""The playground in a browser: models side by side as they stream, stopped, and never taken for markup."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit, accessible, apart, fits, log_in
from tests.conftest import Workspace

HARM = "<img src=x onerror='document.title=1'><b>bold</b>"


def playground(workspace: Workspace) -> str:
    return f"/t/{workspace.tenant.slug}/playground/"


@pytest.fixture
def own(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    return with_provider(alice)


def fill(page: Page, message: str, model: str = "fake/echo") -> None:
    page.get_by_label("Model or route").fill(model)
    page.get_by_label("Message").fill(message)


def test_three_models_answer_side_by_side_with_what_became_of_each(own: Workspace, visit: Visit) -> None:
    page = visit(playground(own), own)
    accessible(page)
    fits(page)
    page.set_viewport_size({"width": 1440, "height": 1000})
    fill(page, "Why is tea hot?", "fake/ok")
    for number, model in ((2, "fake/echo"), (3, "fake/cut")):
        page.get_by_role("button", name="Compare with another").click()
        page.get_by_label(f"Model {number}, beside it").fill(model)
    expect(page.get_by_role("button", name="Compare with another")).to_be_hidden()
    page.get_by_role("button", name="Ask").click()
    columns = page.locator(".column")
    expect(columns).to_have_count(3)
    expect(columns.nth(0).locator("[data-of=text]")).to_have_text("You said: Why is tea hot?")
    expect(columns.nth(0)).to_contain_text("MISS")
    expect(columns.nth(1)).to_contain_text("fake / echo")
    expect(columns.nth(2).get_by_role("alert")).not_to_be_empty()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    page.get_by_role("button", name="Ask").click()
    expect(columns.nth(0).locator("[data-of=cache]")).to_have_text("HIT-EXACT")
    accessible(page)
    fits(page)
    columns.nth(0).locator("[data-of=request]").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_what_a_model_says_is_text_and_no_markup(own: Workspace, visit: Visit) -> None:
    page = visit(playground(own), own)
    title = page.title()
    fill(page, HARM)
    for cached in ("MISS", "HIT-EXACT"):
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("[data-of=cache]").first).to_have_text(cached)
        expect(page.locator("[data-of=text]").first).to_have_text(HARM)
    assert page.locator(".said img, .said b").count() == 0 and page.title() == title
    expect(page.locator("#snippet-curl")).to_contain_text("onerror")


def test_an_answer_is_stopped(own: Workspace, visit: Visit) -> None:
    page = visit(playground(own), own)
    fill(page, "Go on and on", "fake/long")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("[data-of=text]").first).to_contain_text("word 2")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-of=state]").first).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_the_same_call_is_shown_as_code_while_it_is_written(own: Workspace, visit: Visit) -> None:
    page = visit(playground(own), own)
    fill(page, "Why is tea hot?", "house")
    page.get_by_label("Cache").select_option("off")
    page.locator("label[for=tab-python]").click()
    code = page.locator("#snippet-python")
    expect(code).to_contain_text('model="house"')
    expect(code).to_contain_text('extra_headers={"X-Nexus-Cache": "off"}')
    expect(code).to_be_visible()


def test_without_scripts_one_model_answers_in_the_page(own: Workspace, server: str, browser: Browser) -> None:
    page = browser.new_context(java_script_enabled=False, base_url=server).new_page()
    log_in(page, own, playground(own))
    expect(page.get_by_role("button", name="Compare with another")).to_be_hidden()
    fill(page, HARM)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".column [data-of=text]")).to_have_text(HARM)
    expect(page.locator(".column")).to_contain_text("MISS")
    assert apart(lambda: own.tenant.keys.filter(name="Playground").count()) == 1
