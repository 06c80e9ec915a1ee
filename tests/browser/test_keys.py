"""A key made, copied, changed and revoked in a browser, by mouse and by keyboard."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tenants.models import ApiKey
from tests.browser.conftest import Visit, accessible, apart, fits
from tests.conftest import Workspace


def test_a_key_is_made_copied_and_revoked(alice: Workspace, visit: Visit) -> None:
    page = visit(f"/t/{alice.tenant.slug}/keys/", alice)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    fits(page)
    accessible(page)
    page.get_by_role("link", name="Create a key").click()
    page.get_by_role("textbox", name="Name").fill("shop")
    page.get_by_text("Its own limits and budget").click()
    page.get_by_label("Requests a minute").fill("60")
    fits(page)
    accessible(page)
    page.get_by_role("button", name="Create the key").click()
    key = page.locator("#api-key").inner_text()
    assert re.fullmatch(r"nk-[a-z0-9]{12}-.+", key)
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    fits(page)
    accessible(page)
    page.get_by_role("link", name="I have kept it").click()
    page.get_by_role("link", name="shop").click()
    expect(page.get_by_label("Requests a minute")).to_have_value("60")
    fits(page)
    accessible(page)
    page.get_by_role("link", name="Revoke…").click()
    accessible(page)
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("is refused everywhere")).to_be_visible()
    expect(page.get_by_role("link", name="shop")).to_have_count(0)
    assert apart(ApiKey.objects.get, tenant=alice.tenant, name="shop").revoked_at is not None


def test_who_may_only_look_sees_no_button(alice: Workspace, mallory: Workspace, visit: Visit) -> None:
    from tenants.models import Membership

    apart(Membership.objects.create, user=mallory.owner, tenant=alice.tenant, role="viewer")
    page = visit(f"/t/{alice.tenant.slug}/keys/", mallory)
    expect(page.get_by_role("link", name="default")).to_be_visible()
    expect(page.get_by_role("link", name="Create a key")).to_have_count(0)
    page.goto(f"/t/{alice.tenant.slug}/keys/new")
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()
    accessible(page)
