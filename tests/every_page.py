"""Every page of the product, found by walking the URL configuration; and every address that is no page, with why.

A page is what a person opens: GET, HTML, whole. What is neither listed as no page nor taken by an area is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib import admin
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tenants.models import User
from tests.filled import Filled
from tests.isolation.test_permissions import NOBODY

# Why each of these is not opened as a page is.
POST_ALONE = {
    "admin-retry-event", "admin-retry-message", "admin-retry-task", "admin:logout", "alert-read", "alert-replay",
    "alert-webhook-pause", "alert-webhook-rotate", "alert-webhook-test", "alerts-read", "billing-budget",
    "billing-buy", "billing-portal", "billing-resume", "cache-collect", "cache-judge", "cache-pin",
    "cache-policy-change", "cache-shadow-switch", "cache-threshold-apply", "cache-undo",
    "djstripe:djstripe_webhook_by_uuid", "impersonation-end", "invitation-again", "invitation-withdraw", "invite",
    "key-change", "key-rotate", "playground-ask", "playground-snippet", "provider-change", "provider-test",
    "retention", "route-change", "routing-calls-change", "showcase", "support-access",
}  # fmt: skip
NO_PAGES = {
    "a file": {
        "audit-csv", "audit-jsonl", "billing-ledger", "mfa_download_recovery_codes", "savings-csv", "savings-report",
        "schema",
    },
    "a part of another page": {"routing-figures", "routing-health", "start-news"},
    "for a script": {"admin:autocomplete", "admin:jsi18n", "admin:search", "mfa_login_webauthn"},
    "leads on": {
        "admin:login", "admin:password_change", "admin:password_change_done", "admin:view_on_site",
        "admin:billing_subscription_look_at_stripe_button", "billing-look", "billing-return", "claimed",
    },
    "another name for a page": {"account_login", "account_logout", "account_signup"},
    "no way leads to it": {"account_confirm_login_code"},
    "in the middle of a login: tests/browser/test_every_page.py": {"mfa_authenticate"},
    "in the middle of a login by another site": {"socialaccount_signup"},
}  # fmt: skip
SECTIONS = ("live", "savings", "cache", "playground", "keys", "routing", "billing", "alerts", "settings", "start")
# The admin shows models of these apps. Of the log of changes one page stands for all.
ADMIN = ("tenants", "billing", "djstripe")
MODEL_PAGES = ("_changelist", "_add", "_change", "_delete", "_history")
# Others lead on while there is nothing to cancel.
FOR_SUBSCRIBERS = {"billing-cancel"}
# Pages that are other pages with other parameters.
QUERIES = {
    "dashboard": ("", "range=7d", "from=2026-11-01T00:00&to=2026-11-02T00:00"),
    "billing-change": ("plan=scale",),
    "cache-entries": ("", "q=invoice"),
    "route-new": ("", "strategy=complexity"),
    "routing-results": ("", "model=house&days=30"),
    "savings": ("range=30d", "range=365d&by=model"),
}


class Place(NamedTuple):
    name: str
    route: str
    view: Any

    def path(self, slug: str) -> str:
        """Of nothing that there is, but for the workspace."""
        route = self.route.replace("<slug:slug>", slug)
        return "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda found: NOBODY[found[1] or "str"], route)


class Look(NamedTuple):
    """One page to be opened."""

    place: str
    path: str
    status: int = 200
    # The address is a link's, and the page has another one.
    leads_on: bool = False


def places(found: Any = None, before: str = "", space: str = "") -> Iterator[Place]:
    """All that have a name."""
    for pattern in (found or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from places(pattern, route, f"{space}{pattern.namespace}:" if pattern.namespace else space)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield Place(space + pattern.name, route, pattern.callback)


def section_of(place: Place) -> str:
    """Of a page below /t/<slug>/."""
    first = place.route.split("/")[2]
    return "live" if first in ("", "requests") else first


def is_page(place: Place) -> bool:
    return place.name not in POST_ALONE and not any(place.name in names for names in NO_PAGES.values())


def of_workspace(section: str) -> list[Place]:
    return [
        place
        for place in places()
        if place.route.startswith("t/<slug:slug>/") and section_of(place) == section and is_page(place)
    ]


def looks_at(section: str, slug: str, parts: dict[str, dict[str, Any]] | None) -> Iterator[Look]:
    """All pages of a workspace's section; without `parts` those that need none."""
    for place in of_workspace(section):
        of_one = place.route.count("<") > 1
        if parts is None and (of_one or place.name in FOR_SUBSCRIBERS):
            continue
        path = reverse(place.name, kwargs={"slug": slug, **(parts[place.name] if of_one and parts else {})})
        for query in QUERIES.get(place.name, ("",)):
            yield Look(place.name, f"{path}?{query}".rstrip("?"))


def named(name: str, *args: object, status: int = 200, query: str = "") -> Look:
    return Look(name, f"{reverse(name, args=args)}?{query}".rstrip("?"), status)


def for_strangers(filled: Filled) -> list[Look]:
    tokens = filled.tokens
    return [
        *map(named, ("landing", "docs", "login", "signup", "account_reset_password", "account_reset_password_done")),
        *map(named, ("account_reset_password_from_key_done", "account_inactive", "account_email_verification_sent")),
        named("socialaccount_login_cancelled"),
        named("socialaccount_login_error", status=401),
        # Of a provider that is set up on the gateway alone.
        Look("google_login", "/account/google/login/"),
        named("account_reset_password_from_key", *tokens["reset"].split("-", 1))._replace(leads_on=True),
        named("account_reset_password_from_key", "nobody", "0-0"),
        named("account_confirm_email", tokens["confirm"]),
        named("account_confirm_email", "nothing"),
        named("invitation", tokens["invitation"]),
        named("invitation", tokens["invitation over"], status=404),
        named("shared-savings", tokens["shared"]),
        named("shared-savings", tokens["share revoked"], status=404),
        Look("404", "/no/such/page", 404),
    ]


def of_plain_account(filled: Filled) -> list[Look]:
    """Of who has a password, and nothing else yet."""
    return [
        *map(named, ("account", "account_email", "account_change_password", "mfa_index", "mfa_activate_totp")),
        *map(named, ("mfa_list_webauthn", "usersessions_list", "socialaccount_connections", "logout")),
        *map(named, ("account_reauthenticate", "new_workspace")),
    ]


def of_guarded_account(filled: Filled) -> list[Look]:
    passkey = filled.passkey_id
    return [
        *map(named, ("account", "account_email", "mfa_index", "mfa_deactivate_totp", "mfa_view_recovery_codes")),
        *map(named, ("mfa_generate_recovery_codes", "mfa_list_webauthn", "mfa_add_webauthn", "usersessions_list")),
        *map(named, ("socialaccount_connections", "mfa_reauthenticate", "mfa_reauthenticate_webauthn", "workspaces")),
        named("mfa_edit_webauthn", passkey),
        named("mfa_remove_webauthn", passkey),
        named("invitation", filled.tokens["invitation"]),
    ]


def of_operators(filled: Filled) -> Iterator[Look]:
    """The admin's pages that are not those of a model."""
    yield from map(named, ("admin:index", "admin-system", "admin-failures"))
    yield from (named("admin:app_list", label) for label in ADMIN)
    tenant, key = filled.workspace.tenant.pk, filled.workspace.api_key.pk
    yield named("admin:tenants_tenant_history", tenant)
    for model, pk in (("tenant", tenant), ("apikey", key), ("user", filled.guarded.pk)):
        for place in places():
            if place.name.startswith(f"admin:tenants_{model}_") and not place.name.endswith(MODEL_PAGES):
                yield named(place.name, pk)


def of_models(app_label: str, operator: User) -> Iterator[Look]:
    """Each model's list; where there are such, the page that adds a row, and the newest row's own."""
    request = RequestFactory().get("/")
    request.user = operator
    for model, shown in admin.site._registry.items():
        name = f"admin:{app_label}_{model._meta.model_name}"
        if model._meta.app_label != app_label:
            continue
        yield named(f"{name}_changelist")
        if shown.has_add_permission(request):
            yield named(f"{name}_add")
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            yield named(f"{name}_change", row.pk)
        if row is not None and shown.has_delete_permission(request, row):
            yield named(f"{name}_delete", row.pk)


def is_of_model(name: str) -> bool:
    """Those that `of_models` opens where there are such."""
    return any(name.startswith(f"admin:{label}_") for label in ADMIN) and name.endswith(MODEL_PAGES)


def of_all(filled: Filled) -> Iterator[Look]:
    for section in SECTIONS:
        yield from looks_at(section, filled.workspace.tenant.slug, filled.parts)
    for pages in (for_strangers, of_plain_account, of_guarded_account, of_account_without_password, of_operators):
        yield from pages(filled)


def of_account_without_password(filled: Filled) -> list[Look]:
    return [named("account"), named("account_set_password")]
