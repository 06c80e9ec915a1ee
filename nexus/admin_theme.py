"""How the operators' admin looks, and its menu: what they need daily; dj-stripe's forty tables are a click away."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
    }


def _page(title: str, icon: str, name: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(name),
        "permission": lambda request: request.user.has_perm("tenants.view_tenant"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "NexusGateway",
    "SITE_HEADER": "NexusGateway",
    "SITE_SUBHEADER": "Operators",
    "SITE_URL": "/",
    "SITE_ICON": lambda request: static("nexus/mark.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("nexus/mark.svg")}],
    "THEME": "dark",
    "SHOW_HISTORY": False,
    # nexus.css's cyan, lighter and darker.
    "COLORS": {
        "primary": {
            "50": "#e6fffb", "100": "#b8fff3", "200": "#87f7e8", "300": "#5ff3e4", "400": "#22e6d2", "500": "#14c4b3",
            "600": "#0e9d90", "700": "#0b7a70", "800": "#095c55", "900": "#06403b", "950": "#04211e",
        }
    },
    "SIDEBAR": {
        "show_all_applications": True,
        "navigation": [
            {
                "title": "Customers",
                "items": [
                    _item("Tenants", "domain", "tenants.tenant"),
                    _item("Users", "group", "tenants.user"),
                    _item("API keys", "key", "tenants.apikey"),
                ],
            },
            {
                "title": "Money",
                "items": [
                    _item("Subscriptions", "card_membership", "billing.subscription"),
                    _item("Plans", "sell", "billing.plan"),
                    _item("Price overrides", "price_change", "billing.priceoverride"),
                    _item("Ledger", "receipt_long", "billing.ledgerentry"),
                ],
            },
            {
                "title": "Watch",
                "items": [
                    _page("System", "monitor_heart", "admin-system"),
                    _page("Failures", "error", "admin-failures"),
                    _item("Comparisons of books", "balance", "billing.reconciliation"),
                    _item("Meter reports", "speed", "billing.meterreport"),
                    _item("Audit log", "history", "tenants.auditevent"),
                ],
            },
        ],
    },
}  # fmt: skip
