"""Who has taken an account over says in a browser which keys stay."""

from __future__ import annotations

from django.utils import timezone
from playwright.sync_api import expect

from tenants import apikeys
from tenants.models import Membership, User
from tests.browser.conftest import Visit, accessible, apart, fits
from tests.conftest import Workspace


def took_over(alice: Workspace, mallory: Workspace) -> None:
    apikeys.issue(alice.tenant, name="nightly report", scopes=["admin"])
    Membership.objects.create(user=mallory.owner, tenant=alice.tenant, role="developer")
    User.objects.filter(pk=alice.owner.pk).update(claimed_at=timezone.now())


def test_every_page_leads_to_the_question_until_it_is_answered(
    alice: Workspace, mallory: Workspace, visit: Visit
) -> None:
    apart(took_over, alice, mallory)
    page = visit(f"/t/{alice.tenant.slug}/keys/", alice)
    fits(page)
    accessible(page)
    page.get_by_role("link", name="Say what stays").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What stays?")
    fits(page)
    accessible(page)
    page.get_by_label("nightly report").check()
    page.get_by_role("button", name="Keep what is chosen").click()
    expect(page.get_by_role("status").first).to_contain_text("1 key was revoked.")
    assert apart(lambda: [key.name for key in apikeys.living(alice.tenant)]) == ["nightly report"]
