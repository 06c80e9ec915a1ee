"""The alert pages in a browser: what was raised, a rule changed, a webhook added; wide and narrow."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from analytics import alerts
from analytics.alerts import changes
from analytics.alerts.models import AlertEvent, Delivery, WebhookEndpoint
from analytics.alerts.posting import Answer
from analytics.alerts.standing import note
from tenants.db import schema_of
from tests.browser.conftest import Visit, accessible, apart, fits
from tests.conftest import Workspace

HOOK = "https://hooks.example.com/services/T02/B7/alerts"


def alerts_of(workspace: Workspace, rest: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/alerts/{rest}"


def whole(page: Page) -> None:
    fits(page)
    accessible(page)


def fill(workspace: Workspace) -> WebhookEndpoint:
    """Some weeks of a workspace: an endpoint that takes what it is sent, and one that does not."""
    tenant = workspace.tenant
    hook, _ = changes.make_endpoint(tenant, {"url": HOOK, "description": "Chat of the platform team"}, {})
    failing, _ = changes.make_endpoint(tenant, {"url": "https://pager.example.net/in", "kinds": ["error_rate"]}, {})
    span = {"used": "41,022,318", "limit": "50,000,000", "what": "tokens", "percent": 80, "span": "1 Nov 2026"}
    alerts.raise_alert(tenant, "quota_tokens", f"nk-{workspace.api_key.public_id}-… (checkout)", span, "q80")
    spike = {"times": 4.2, "cost_usd": "18.40", "mean_usd": "4.38", "hours": 168, "hour": "14:00 UTC"}
    alerts.raise_alert(tenant, "spend_spike", tenant.slug, spike, "spike")
    failed = {"percent": 31, "failed": 62, "requests": 200, "minutes": 10}
    alerts.raise_alert(tenant, "error_rate", tenant.slug, failed, "errors")
    with schema_of(tenant):
        AlertEvent.objects.filter(kind="plan_changed").update(read_at="2026-11-01T10:00Z")
        for sent in Delivery.objects.select_related("event", "endpoint"):
            took = Answer(503, "It answered 503.", "upstream connect error", 0.0, 5_012)
            note(tenant, sent, took if sent.endpoint_id == failing.pk else Answer(204, "", "", 0.0, 87))
    return hook


def test_what_was_raised_is_read(alice: Workspace, visit: Visit) -> None:
    apart(fill, alice)
    page = visit(alerts_of(alice), alice)
    rows = page.get_by_role("list", name="Alerts, the newest first").get_by_role("listitem")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text("31 % of requests fail")
    whole(page)
    page.get_by_role("button", name="Mark “31 % of requests fail” as read").click()
    expect(rows.filter(has_text="New")).to_have_count(2)
    page.get_by_label("About").select_option("spend_spike")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    page.get_by_role("navigation", name="Alerts").get_by_role("link", name="Delivery log").click()
    log = page.get_by_role("list", name="Messages, the newest first")
    failed = log.get_by_role("listitem").filter(has_text="503").first
    expect(failed).to_contain_text("Waiting")
    failed.get_by_text("1 attempt").click()
    expect(failed).to_contain_text("upstream connect error")
    whole(page)


def test_a_rule_is_changed_where_faults_are_said_beside_the_field(alice: Workspace, visit: Visit) -> None:
    page = visit(alerts_of(alice, "rules/"), alice)
    whole(page)
    page.get_by_role("link", name="Requests that fail").click()
    share = page.get_by_label("Share that fails")
    share.fill("lots")
    page.get_by_role("button", name="Save").click()
    expect(share).to_have_accessible_description(re.compile("A number from 0.001 to 1"))
    whole(page)
    share.fill("0.05")
    page.get_by_label("Webhooks").uncheck()
    page.get_by_role("button", name="Save").click()
    rule = page.get_by_role("listitem").filter(has_text="Requests that fail")
    expect(rule).to_contain_text("Changed")
    expect(rule).to_contain_text("0.05")


def test_a_webhook_is_added_tried_and_deleted(alice: Workspace, visit: Visit) -> None:
    page = visit(alerts_of(alice, "webhooks/"), alice)
    whole(page)
    page.get_by_role("link", name="Add an endpoint").first.click()
    page.get_by_label("Address").fill(HOOK)
    page.get_by_label("Description").fill("Chat")
    page.get_by_label("Requests that fail").check()
    whole(page)
    page.get_by_role("button", name="Add, and show its secret").click()
    secret = page.get_by_label("Secret", exact=True)
    expect(secret).to_contain_text("whsec_")
    whole(page)
    page.get_by_role("link", name="To the endpoint").click()
    expect(page.get_by_text("whsec_")).to_have_count(0)
    whole(page)
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status").first).to_contain_text("A test is on its way")
    expect(page.get_by_role("list", name="Messages, the newest first")).to_contain_text("A test")
    page.get_by_role("navigation", name="Alerts").get_by_role("link", name="Webhooks").click()
    page.get_by_role("link", name="Chat", exact=True).click()
    page.get_by_role("link", name="Delete").click()
    whole(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No endpoint yet")).to_be_visible()
