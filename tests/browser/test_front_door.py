"""The front door in a browser: the example that runs, sign-up to the first hit, a passkey in place of a password."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from gateway import showcase
from tenants.models import ApiKey
from tests.browser.conftest import Visit, accessible, apart, fits
from tests.browser.test_dashboard import drain
from tests.conftest import PASSWORD


def sign_up(page: Page) -> str:
    """The address of who did."""
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    page.goto(urllib.parse.urljoin(page.url, "/signup/"))
    page.get_by_label("Email").fill(email)
    page.get_by_label("Workspace").fill("Tea & Co")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create my workspace").click()
    expect(page.get_by_role("heading", name="Tea & Co is ready")).to_be_visible()
    return email


@pytest.fixture
def example() -> Iterator[None]:
    """The workspace in which the front page's example runs."""
    apart(showcase.prepare)
    yield
    apart(close_example)


def close_example() -> None:
    """Without a key it does not run; `prepare` makes another."""
    ApiKey.objects.filter(tenant__slug=showcase.SLUG).update(revoked_at=timezone.now())


def test_the_example_runs_a_miss_and_two_hits(example: None, visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("#example")).to_contain_text("recorded")
    accessible(page)
    fits(page)
    page.get_by_label("What is your refund policy?").check()
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#example")).to_contain_text("ran just now")
    expect(page.locator(".line .badge")).to_have_text(["MISS", "HIT-EXACT", "HIT-SEMANTIC"])
    expect(page.locator(".line").first).to_contain_text("What is your refund policy?")
    accessible(page)
    fits(page)


def test_without_its_workspace_the_figures_are_recorded_ones_and_say_so(visit: Visit) -> None:
    apart(close_example)
    page = visit("/")
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#example")).to_contain_text("these figures were recorded")
    for plan, price in (("Free", "$0"), ("Pro", "$29"), ("Scale", "$249")):
        offer = page.locator(".offer").filter(has=page.get_by_role("heading", name=plan, exact=True))
        expect(offer).to_contain_text(price)


def test_the_example_runs_without_javascript(example: None, visit: Visit) -> None:
    page = visit("/")
    plain = page.context.browser.new_context(java_script_enabled=False).new_page()  # type: ignore[union-attr]
    plain.goto(page.url)
    plain.get_by_role("button", name="Run it").click()
    expect(plain.locator("#example")).to_contain_text("ran just now")
    plain.context.close()


def test_from_sign_up_to_the_first_hit(visit: Visit) -> None:
    page = visit("/login/")
    sign_up(page)
    key = page.locator("#api-key").inner_text()
    for tab, words in (("Python", "client = OpenAI("), ("Node", "baseURL"), ("LangChain", "ChatOpenAI(")):
        page.get_by_text(tab, exact=True).click()
        shown = page.locator(".tabs pre:visible")
        expect(shown).to_contain_text(words)
        expect(shown).to_contain_text(key)
    accessible(page)
    fits(page)
    told = page.locator("#first-calls")
    expect(told).to_contain_text("Waiting for your first request")
    page.get_by_role("button", name="send it from this page").click()
    expect(page.locator("#from-here")).to_contain_text("MISS")
    drain()
    expect(told).to_contain_text("Your first request was answered.")
    page.get_by_role("button", name="send it from this page").click()
    expect(page.locator("#from-here")).to_contain_text("HIT-EXACT")
    drain()
    expect(told).to_contain_text("your first hit")
    accessible(page)
    fits(page)
    page.reload()
    expect(page.get_by_role("main")).not_to_contain_text(key)
    expect(page.get_by_role("button", name="Make a new key")).to_be_visible()
    page.get_by_role("link", name="Open Live").click()
    expect(page.get_by_role("heading", name="Live", exact=True)).to_be_visible()


def test_a_passkey_logs_in(visit: Visit, server: str) -> None:
    page = visit("/login/")
    # Passkeys are for names; a number is none.
    page.goto(server.replace("127.0.0.1", "localhost") + "/login/")
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    more = {"isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, **more}})
    sign_up(page)

    page.get_by_role("link", name="Account").click()
    page.get_by_label("Account").get_by_role("link", name="Passkeys").click()
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto(urllib.parse.urljoin(page.url, "/account/2fa/webauthn/"))
    expect(page.get_by_role("main")).to_contain_text("Laptop")
    accessible(page)
    fits(page)

    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log in").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("link", name="Account")).to_be_visible()


def test_a_passkey_that_is_not_given_is_no_error_of_the_page(visit: Visit) -> None:
    page = visit("/login/")
    # On an address without a name the browser refuses at once.
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("No passkey was given")).to_be_visible()
