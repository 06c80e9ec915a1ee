"""How the operators' admin looks, and its menu: what they need daily; what is mirrored of Stripe is a click away."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


def _item(title: Promise, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
    }


def _page(title: Promise, icon: str, name: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(name),
        "permission": lambda request: request.user.has_perm("tenants.view_tenant"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "NexusGateway",
    "SITE_HEADER": "NexusGateway",
    "SITE_SUBHEADER": _("Operators"),
    "SITE_URL": "/",
    "SITE_ICON": lambda request: static("nexus/mark.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("nexus/mark.svg")}],
    "THEME": "dark",
    "SHOW_HISTORY": False,
    "STYLES": [lambda request: static("nexus/admin.css")],
    "SCRIPTS": [lambda request: static("nexus/admin.js")],
    # nexus.css's cyan, lighter and darker. White is read on 600, 500 on the dark ground.
    "COLORS": {
        "primary": {
            "50": "#e6fffb", "100": "#b8fff3", "200": "#87f7e8", "300": "#5ff3e4", "400": "#22e6d2", "500": "#14c4b3",
            "600": "#0a776d", "700": "#09655d", "800": "#08544d", "900": "#06403b", "950": "#04211e",
        }
    },
    "SIDEBAR": {
        "show_all_applications": True,
        "navigation": [
            {
                "title": _("Customers"),
                "items": [
                    _item(_("Tenants"), "domain", "tenants.tenant"),
                    _item(_("Users"), "group", "tenants.user"),
                    _item(_("Members"), "badge", "tenants.membership"),
                    _item(_("API keys"), "key", "tenants.apikey"),
                ],
            },
            {
                "title": _("Money"),
                "items": [
                    _item(_("Subscriptions"), "card_membership", "billing.subscription"),
                    _item(_("Plans"), "sell", "billing.plan"),
                    _item(_("Price overrides"), "price_change", "billing.priceoverride"),
                    _item(_("Ledger"), "receipt_long", "billing.ledgerentry"),
                    _item(_("Invoices"), "request_quote", "djstripe.invoice"),
                ],
            },
            {
                "title": _("Watch"),
                "items": [
                    _page(_("System"), "monitor_heart", "admin-system"),
                    _page(_("Failures"), "error", "admin-failures"),
                    _item(_("Comparisons of books"), "balance", "billing.reconciliation"),
                    _item(_("Meter reports"), "speed", "billing.meterreport"),
                    _item(_("Stripe's events"), "webhook", "djstripe.webhookeventtrigger"),
                    _item(_("Audit log"), "history", "tenants.auditevent"),
                ],
            },
        ],
    },
}  # fmt: skip
