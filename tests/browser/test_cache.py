"""The cache's pages in a browser: samples judged with one key press, a threshold that moves, forms without scripts."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.cache import tuning
from gateway.models import CacheEntry, CacheSettings, Verdict
from tenants.db import schema_of
from tests import judged
from tests.browser.conftest import Visit, apart, log_in
from tests.cached import ask
from tests.conftest import Workspace


def cache_of(workspace: Workspace, path: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/cache/{path}"


def verdicts(workspace: Workspace) -> list[bool | None]:
    """Of the oldest sample first."""

    def read() -> list[bool | None]:
        with schema_of(workspace.tenant):
            return list(Verdict.objects.order_by("at").values_list("right", flat=True))

    return list(apart(read))


def own_threshold(workspace: Workspace) -> float:
    def read() -> float:
        with schema_of(workspace.tenant):
            return (CacheSettings.objects.first() or CacheSettings()).threshold

    return float(apart(read))


def give_history(server: str, workspace: Workspace) -> uuid.UUID:
    """The id of an entry that has answered much."""
    judged.keep_faq(server, workspace)
    ask(server, workspace, "Is the 3 litre pot fit for induction?")
    with schema_of(workspace.tenant):
        entry = CacheEntry.objects.get(prompt__startswith="How long does delivery")
    judged.ask_many(workspace, 300, entry_id=entry.pk.hex)
    judged.judge_many(workspace, 150, wrong_below=0.88)
    judged.put_aside(workspace, count=3)
    judged.put_aside(workspace, "near_miss", count=1, fresh_answer="Two days to Sweden.")
    tuning.tune(workspace.tenant)
    return entry.pk


def test_samples_are_judged_skipped_and_undone_with_one_key_each(alice: Workspace, visit: Visit) -> None:
    samples = apart(judged.put_aside, alice, count=4)
    page = visit(cache_of(alice, "review/"), alice)
    sample = page.locator(".sample")
    expect(sample).to_contain_text("How can I get my password")
    page.keyboard.press("r")
    expect(sample.locator("mark").filter(has_text="Sweden")).to_be_visible()
    expect(sample).to_be_focused()
    page.keyboard.press("w")
    expect(page.get_by_text("You have judged 2 today. The last one: wrong.")).to_be_visible()
    assert verdicts(alice) == [True, False, None, None]
    page.keyboard.press("u")
    expect(sample.locator("mark").filter(has_text="Sweden")).to_be_visible()
    assert verdicts(alice) == [True, None, None, None]
    page.keyboard.press("s")
    expect(sample).to_contain_text("premium plan")
    page.get_by_role("button", name="Right").click()
    expect(sample).to_contain_text("3 litre pot")
    assert verdicts(alice) == [True, None, True, None]
    page.keyboard.press("s")
    expect(page.get_by_text("That was the last one")).to_be_visible()
    page.get_by_role("link", name="From the beginning").click()
    expect(page.locator(f"form[action$='{samples[1].pk}']")).to_be_visible()


def test_a_key_with_another_meaning_judges_nothing(alice: Workspace, visit: Visit) -> None:
    apart(judged.put_aside, alice, count=1)
    page = visit(cache_of(alice, "review/"), alice)
    for key in ("x", "Enter", "Alt+r"):
        page.keyboard.press(key)
    expect(page.locator(".sample")).to_be_visible()
    assert verdicts(alice) == [None]


def test_the_threshold_moves_with_what_it_would_mean_and_is_applied(
    alice: Workspace, server: str, visit: Visit
) -> None:
    apart(give_history, server, alice)
    page = visit(cache_of(alice, "threshold/"), alice)
    hits = page.locator("[data-of=hits]")
    before = int(hits.inner_text())
    line = page.locator("[data-line]").first
    at = line.get_attribute("x1")
    page.get_by_role("slider", name="Threshold").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert int(hits.inner_text()) < before and line.get_attribute("x1") != at
    page.get_by_role("spinbutton", name="Threshold").fill("0.97")
    page.keyboard.press("Tab")
    few = hits.inner_text()
    page.wait_for_url("**threshold=0.97")
    page.reload()
    expect(hits).to_have_text(few)
    page.get_by_role("button", name="Make it your threshold: 0.97").click()
    expect(page.get_by_role("status").filter(has_text="The threshold is 0.97")).to_be_visible()
    assert own_threshold(alice) == 0.97


def test_the_search_looks_as_one_types_and_keeps_it_in_the_address(alice: Workspace, server: str, visit: Visit) -> None:
    apart(judged.keep_faq, server, alice)
    page = visit(cache_of(alice, "entries/"), alice)
    rows = page.get_by_role("region", name="Entries").locator("tbody tr")
    expect(rows).to_have_count(len(judged.FAQ))
    page.get_by_label("Search").press_sequentially("invoice")
    expect(rows).to_have_count(1)
    page.wait_for_url("**q=invoice**")
    page.get_by_label("Search").fill("what do I pay each month")
    page.get_by_label("By", exact=True).select_option("meaning")
    expect(rows.first).to_contain_text("premium plan cost")


@pytest.fixture
def plain(server: str, browser: Browser) -> Page:
    """A browser without JavaScript."""
    return browser.new_context(java_script_enabled=False, base_url=server).new_page()


def test_without_scripts_all_of_it_works_by_forms(alice: Workspace, server: str, plain: Page) -> None:
    apart(give_history, server, alice)
    page = plain
    log_in(page, alice, cache_of(alice, "review/"))
    page.get_by_role("button", name="Wrong").click()
    expect(page.get_by_text("You have judged 1 today. The last one: wrong.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("You have judged 0 today.")).to_be_visible()
    page.goto(cache_of(alice, "threshold/?threshold=0.95"))
    expect(page.get_by_role("button", name="Make it your threshold: 0.95")).to_be_visible()
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("button", name="Make it your threshold: 0.95")).to_be_visible()
    page.goto(cache_of(alice))
    page.get_by_role("link", name="Look at the newest answers").click()
    expect(page.get_by_text("numbers differ: 3 against 5")).to_be_visible()
    page.goto(cache_of(alice, "invalidate/"))
    page.get_by_label("Tag", exact=False).check()
    page.get_by_label("That is").fill("faq")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Take 5 answers away").click()
    expect(page.get_by_text("5 answers are gone.")).to_be_visible()
