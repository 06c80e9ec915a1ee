"""The settings in a browser: a person invited who joins, a role changed, the log filtered, a workspace deleted."""

from __future__ import annotations

import datetime as dt
import re
import uuid

from django.core import mail
from django.utils import timezone
from playwright.sync_api import Page, expect

from tenants import audit, support
from tenants.models import Invitation, Membership, Role, Tenant, User
from tenants.tasks import send_invitation
from tests.browser.conftest import Visit, accessible, apart, fits
from tests.conftest import PASSWORD, Workspace

NAMES = ["Bea Okoye", "Chidi Lind", "Dora Weiss", "Emil Haddad"]


def settings_of(workspace: Workspace, rest: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/settings/{rest}"


def people_of(workspace: Workspace) -> list[User]:
    """One of each lesser role."""
    people = []
    for name, role in zip(NAMES, [Role.ADMIN, Role.DEVELOPER, Role.FINANCE, Role.VIEWER], strict=True):
        email = f"{name.split()[0].lower()}-{uuid.uuid4().hex[:6]}@example.com"
        user = User.objects.create_user(email, PASSWORD, name=name, last_login=timezone.now() - dt.timedelta(hours=7))
        Membership.objects.create(user=user, tenant=workspace.tenant, role=role)
        people.append(user)
    return people


def link_of(email: str) -> str:
    """Of the letter, which is sent now."""
    send_invitation(Invitation.objects.get(email=email).pk)
    found = re.search(r"http://[^/\s]+(/invitations/\S+)", str(mail.outbox[-1].body))
    assert found is not None
    return found[1]


def whole(page: Page) -> None:
    fits(page)
    accessible(page)


def test_somebody_is_invited_and_joins_by_the_link(alice: Workspace, visit: Visit) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    apart(people_of, alice)
    page = visit(settings_of(alice), alice)
    page.get_by_label("Email", exact=True).fill(alice.owner.email)
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_label("Email", exact=True)).to_have_accessible_description(re.compile("is a member already"))
    page.get_by_label("Email", exact=True).fill(email)
    page.get_by_label("Role", exact=True).select_option("finance")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("status").first).to_contain_text(f"{email} gets a letter")
    invited = page.get_by_role("region", name="Open invitations")
    expect(invited).to_contain_text("On its way")
    whole(page)
    guest = visit(apart(link_of, email))
    expect(guest.get_by_role("heading", level=1)).to_have_text(f"Join {alice.tenant.name}")
    whole(guest)
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_role("button", name="Make my account and join").click()
    expect(guest.get_by_role("status").first).to_contain_text("Your role here: Finance")
    page.reload()
    expect(invited).to_have_count(0)
    expect(page.get_by_role("region", name="Members", exact=True)).to_contain_text(email)


def test_an_invitation_is_withdrawn_after_one_question(alice: Workspace, visit: Visit) -> None:
    expires_at = timezone.now() + dt.timedelta(days=7)
    apart(
        Invitation.objects.create,
        tenant=alice.tenant,
        email="late@example.com",
        role="viewer",
        invited_by=alice.owner,
        expires_at=expires_at,
    )
    page = visit(settings_of(alice), alice)
    page.get_by_text("Withdraw", exact=True).press("Enter")
    whole(page)
    page.get_by_role("button", name="Yes, withdraw").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("late@example.com is not invited any more")


def test_a_role_is_changed_and_a_person_removed(alice: Workspace, visit: Visit) -> None:
    _, developer, *_ = apart(people_of, alice)
    page = visit(settings_of(alice), alice)
    page.get_by_role("link", name=f"Change {developer.email}").click()
    expect(page.get_by_label("Developer")).to_be_checked()
    whole(page)
    page.get_by_label("Finance").check()
    page.get_by_role("button", name="Save role").click()
    expect(page.get_by_role("row").filter(has_text=developer.email)).to_contain_text("Finance")
    page.get_by_role("link", name=f"Change {developer.email}").click()
    page.get_by_role("link", name="Remove from the workspace").click()
    whole(page)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("region", name="Members", exact=True)).not_to_contain_text(developer.email)


def test_roles_and_the_workspace_are_read_and_support_let_in(alice: Workspace, visit: Visit) -> None:
    apart(people_of, alice)
    page = visit(settings_of(alice, "roles"), alice)
    expect(page.get_by_role("columnheader", name="Owner")).to_have_attribute("aria-current", "true")
    whole(page)
    page.get_by_role("link", name="Workspace", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Wonder Ltd")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    page.get_by_role("button", name="Let them look for 7 days").click()
    expect(page.get_by_role("region", name="Support access")).to_contain_text("may see prompts and answers here until")
    whole(page)
    page.get_by_role("button", name="End it now").click()
    assert not apart(lambda: support.is_open(Tenant.objects.get(pk=alice.tenant.pk)))


def test_the_log_is_filtered_in_place_and_its_address_holds_the_filter(alice: Workspace, visit: Visit) -> None:
    def fill() -> None:
        by = {"tenant": alice.tenant, "actor": alice.owner, "ip": "203.0.113.7"}
        for number in range(60):
            targets = [{"provider": "openai", "model": name, "weight": 50} for name in ("gpt-4o", "gpt-4o-mini", "o3")]
            before: dict[str, object] = {"targets": targets, "retries": number}
            audit.record("route.replaced", target=f"house-{number}", before=before, after={"retries": 100}, **by)
            audit.record("member.changed", target=NAMES[0], before={"role": "viewer"}, after={"role": "admin"}, **by)

    apart(fill)
    page = visit(settings_of(alice, "audit"), alice)
    log = page.locator("#log")
    expect(log).to_contain_text("house-59")
    whole(page)
    page.get_by_label("What", exact=True).select_option("keys")
    expect(log).to_contain_text("key.issued")
    expect(log).not_to_contain_text("house-59")
    assert "what=keys" in page.url
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert "house-59" not in download.value.path().read_text() and "key.issued" in download.value.path().read_text()
    page.reload()
    expect(page.get_by_label("What", exact=True)).to_have_value("keys")
    page.goto(settings_of(alice, "audit"))
    page.get_by_role("link", name="Older").click()
    expect(log).to_contain_text("house-30")
    whole(page)


def test_another_workspace_is_made_and_deleted(alice: Workspace, visit: Visit) -> None:
    page = visit("/workspaces/new", alice)
    whole(page)
    page.get_by_label("Name", exact=True).fill("Second thing")
    page.get_by_role("button", name="Create workspace").click()
    expect(page.locator("main")).to_contain_text("nk-")
    made = apart(lambda: Membership.objects.select_related("tenant").filter(user=alice.owner).latest("pk").tenant)
    page.goto(f"/t/{made.slug}/settings/delete")
    whole(page)
    page.get_by_label("The workspace's name").fill("Third thing")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the workspace's name.")
    page.get_by_label("The workspace's name").fill("Second thing")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("status").first).to_contain_text("Second thing was deleted.")
    assert not apart(Tenant.objects.filter(pk=made.pk).exists)
