"""The routing pages in a browser: rows come, go and move, shares as one types, a provider tested; without scripts."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from gateway.models import Route
from tenants.db import schema_of
from tests.browser.conftest import Visit, apart, log_in
from tests.conftest import Workspace


def routing(workspace: Workspace, path: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/routing/{path}"


def targets(workspace: Workspace, model: str) -> list[tuple[str, int]]:
    def read() -> list[tuple[str, int]]:
        with schema_of(workspace.tenant):
            return list(Route.objects.get(model=model).targets.values_list("upstream_model", "weight"))

    return list(apart(read))


def test_a_weighted_route_is_made_with_rows_that_come_and_move(alice: Workspace, visit: Visit) -> None:
    page = visit(routing(alice, "routes/new"), alice)
    page.get_by_label("Name").fill("house")
    page.get_by_label("How a target is chosen").select_option("weighted")
    weights = page.get_by_label("Weight")
    expect(weights).to_have_count(2)
    models = page.get_by_label("Model, as the provider has it")
    models.nth(0).fill("gpt-4o")
    models.nth(1).fill("gpt-4o-mini")
    page.get_by_role("button", name="Add a target").click()
    expect(models).to_have_count(3)
    models.nth(2).fill("gpt-5")
    weights.nth(2).fill("2")
    weights.nth(2).press("Tab")
    expect(page.locator(".share-of").nth(2)).to_have_text("50 %")
    page.get_by_role("button", name="Move up").nth(2).click()
    expect(models.nth(1)).to_have_value("gpt-5")
    page.get_by_role("button", name="Remove").nth(0).click()
    expect(models).to_have_count(2)
    expect(page.get_by_label("Name")).to_have_value("house")
    page.get_by_role("button", name="Make the route").click()
    expect(page.locator(".targets li").filter(has_text="gpt-5")).to_contain_text("66.7 %")
    assert targets(alice, "house") == [("gpt-5", 2), ("gpt-4o-mini", 1)]


def test_a_provider_is_tested_in_its_page(
    alice: Workspace, with_provider: Callable[[Workspace], Workspace], visit: Visit
) -> None:
    apart(with_provider, alice)
    page = visit(routing(alice, "providers/fake/"), alice)
    expect(page.locator("#breaker-fake")).to_have_text("closed")
    test = page.locator("#test")
    test.get_by_label("Model").fill("echo")
    test.get_by_role("button", name="Send the question").click()
    expect(page.locator("#tried")).to_contain_text("It answers")
    test.get_by_label("Model").fill("status-401")
    test.get_by_role("button", name="Send the question").click()
    expect(page.locator("#tried")).to_contain_text("It does not answer")


def test_without_scripts_a_route_is_made_and_explained_by_forms(
    alice: Workspace, server: str, browser: Browser
) -> None:
    page: Page = browser.new_context(java_script_enabled=False, base_url=server).new_page()
    log_in(page, alice, routing(alice, "routes/new"))
    page.get_by_label("Name").fill("house")
    models = page.get_by_label("Model, as the provider has it")
    models.nth(0).fill("gpt-4o")
    page.get_by_role("button", name="Add a target").click()
    expect(models).to_have_count(3)
    page.get_by_role("button", name="Remove").nth(2).click()
    models.nth(1).fill("gpt-4o-mini")
    # Enter saves, and presses no other button.
    models.nth(1).press("Enter")
    expect(page.get_by_role("heading", name="house")).to_be_visible()
    assert targets(alice, "house") == [("gpt-4o", 1), ("gpt-4o-mini", 1)]
    page.get_by_role("link", name="Explain").last.click()
    page.goto(routing(alice, "explain/?model=house"))
    page.get_by_label("Question").fill("Why is tea hot?")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_text("asked first")).to_be_visible()
