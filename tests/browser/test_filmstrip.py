"""One person's way in a browser: from the front page to a key, a first answer, a live page, a 402, and a paid plan.

`FILM=/a/folder bin/test tests/browser/test_filmstrip.py` keeps a picture of each step there, at both widths.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from billing import subscriptions
from tenants.models import ApiKey
from tests.browser.conftest import WIDTHS, Visit, accessible, apart
from tests.browser.test_dashboard import drain
from tests.calls import chat
from tests.conftest import PASSWORD
from tests.own_redis import until
from tests.paying import VISA, payments
from tests.post import mail_to

FOLDER = os.environ.get("FILM", "")
# What people ask on a harbour tour, now and then in other words.
QUESTIONS = [
    "When does the first ferry leave on Sunday?",
    "Can I bring my dog on board?",
    "How much is a family ticket?",
    "What happens if it rains?",
    "What does a family ticket cost?",
    "Where do I find the pier?",
    "How long does the big tour take?",
    "Is the ferry fit for wheelchairs?",
    "May I bring my dog on board?",
]
FREE_REQUESTS = 100


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[str]:
    """In place of the one that takes no payments, and prints its mails: a worker would send them."""
    with payments(NEXUS_EMAIL_URL="smtp://127.0.0.1:1?tls=off") as made:
        yield made.gateway


class Film:
    """Pictures of the steps, numbered. Each has to fit, whether it is kept or not."""

    def __init__(self, width: int) -> None:
        self._width, self._number = width, 0

    def take(self, page: Page, name: str) -> None:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} at {self._width} px"
        self._number += 1
        if FOLDER:
            path = Path(FOLDER) / f"{self._number:02}-{name}-{self._width}.png"
            page.screenshot(path=path, full_page=True, animations="disabled")


def run(snippet: str) -> str:
    """What it prints, as a program of its own."""
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("width", WIDTHS)
def test_from_the_front_page_to_a_paid_plan(server: str, visit: Visit, width: int) -> None:
    film = Film(width)
    page = visit("/", None, (width, 900))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    film.take(page, "front-page")
    email = sign_up(page, film)
    key, snippet = take_key(page, film)
    confirm(page, email, film)
    first_call(page, snippet, film)
    look_live(page, snippet, film)
    use_it_up(page, server, key, film)
    upgrade(page, film)
    go_on(page, server, key, film)


def sign_up(page: Page, film: Film) -> str:
    email = f"mira-{uuid.uuid4().hex[:6]}@example.com"
    page.get_by_role("link", name="Get a key").first.click()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Workspace").fill("Harbour Tours")
    page.get_by_label("Password").fill(PASSWORD)
    film.take(page, "sign-up")
    page.get_by_role("button", name="Create my workspace").click()
    expect(page.get_by_role("heading", name="Harbour Tours is ready")).to_be_visible()
    return email


def take_key(page: Page, film: Film) -> tuple[str, str]:
    """It, and the Python snippet, as the page's buttons copy them."""
    film.take(page, "key-shown-once")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    key = copied(page)
    assert key == page.locator("#api-key").inner_text()
    page.get_by_text("Python", exact=True).click()
    page.locator(".tabs .copyable:visible").get_by_role("button").click()
    film.take(page, "snippet-copied")
    snippet = copied(page)
    assert key in snippet
    return key, snippet


def copied(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def link_in_mail_to(address: str) -> str:
    (message,) = mail_to(address)
    found = re.search(r"http\S+/confirm-email/\S+", message.body)
    assert found
    return found[0]


def confirm(page: Page, email: str, film: Film) -> None:
    """In another tab, as mail programs open it; the key stays where it was."""
    with page.expect_popup() as opened:
        page.evaluate("(url) => void open(url)", apart(link_in_mail_to, email))
    tab = opened.value
    expect(tab.get_by_role("heading", name="Confirm your address")).to_be_visible()
    film.take(tab, "confirm-address")
    tab.get_by_role("button", name="Yes, confirm").click()
    expect(tab.get_by_text("confirmed")).to_be_visible()
    film.take(tab, "address-confirmed")
    tab.close()


def first_call(page: Page, snippet: str, film: Film) -> None:
    told = page.locator("#first-calls")
    expect(told).to_contain_text("Waiting for your first request…")
    assert run(snippet).startswith("MISS [simulated answer]")
    drain()
    expect(told).to_contain_text("Your first request was answered.")
    film.take(page, "first-answer")


def look_live(page: Page, snippet: str, film: Film) -> None:
    page.get_by_role("link", name="Open Live").click()
    expect(page.get_by_role("status")).to_have_text("live")
    requests = page.locator("[data-figure=requests]")
    expect(requests).to_have_text("1")
    film.take(page, "live")
    assert run(snippet).startswith("HIT-EXACT")
    drain()
    expect(requests).to_have_text("2")
    expect(page.locator("#latest tr").first).to_contain_text("HIT-EXACT")
    film.take(page, "live-first-hit")


def use_it_up(page: Page, server: str, key: str, film: Film) -> None:
    """Until the app is refused. What the page says of it comes by itself."""
    apart(hurry, key)
    asked = 2
    while (refused := ask(server, key, asked)).status_code == 200:
        asked += 1
    assert asked == FREE_REQUESTS and refused.status_code == 402
    error = refused.json()["error"]
    assert error["code"] == "quota_exceeded"
    assert re.search(r"100 requests are used. It resets on \d{4}-\d\d-\d\d", error["message"])
    drain()
    notice = page.get_by_role("region", name="The 100 requests of this period are used up.")
    expect(notice).to_be_visible()
    accessible(page)
    film.take(page, "live-used-up")
    notice.get_by_role("link", name="See plans").click()
    assert page.url.partition("#")[0] in error["message"], "the refusal leads to the same page"
    expect(page.locator(".bars .over")).to_contain_text("100 of 100")
    film.take(page, "billing-used-up")


def hurry(key: str) -> None:
    """Ten requests a minute are for people, not for tests."""
    tenant = ApiKey.objects.select_related("tenant").get(public_id=key.split("-")[1]).tenant
    subscriptions.change_plan(tenant, "free", overrides={"requests_per_minute": None})


def ask(server: str, key: str, number: int) -> httpx2.Response:
    return chat(server, key, "gpt-4o-mini", QUESTIONS[number % len(QUESTIONS)])


def upgrade(page: Page, film: Film) -> None:
    page.get_by_role("button", name="Start 14-day trial").click()
    expect(page.get_by_role("heading", name="Subscribe")).to_be_visible()
    film.take(page, "checkout")
    page.get_by_label("Card number").fill(VISA)
    page.locator("#pay").click()
    expect(page.get_by_role("heading", name="Pro is yours")).to_be_visible()
    film.take(page, "pro-is-yours")
    page.get_by_role("link", name="Billing").last.click()
    expect(page.get_by_role("region", name="Plan", exact=True).locator(".figure")).to_contain_text("Pro")
    film.take(page, "billing-pro")


def go_on(page: Page, server: str, key: str, film: Film) -> None:
    page.get_by_role("link", name="Live", exact=True).first.click()
    expect(page.get_by_role("status")).to_have_text("live")
    expect(page.get_by_role("link", name="See plans")).to_have_count(0)
    before = int(page.locator("[data-figure=requests]").inner_text())
    until(lambda: ask(server, key, 0).status_code == 200)
    drain()
    expect(page.locator("[data-figure=requests]")).to_have_text(str(before + 1))
    film.take(page, "answered-again")
