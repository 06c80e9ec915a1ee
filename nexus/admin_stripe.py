"""The operators' view of dj-stripe's mirror: the objects that this product makes, to look at. Stripe is where they are
changed; dj-stripe's own forms for forty tables would change the copy alone, or ask Stripe from a list.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import ForeignKey, JSONField
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from djstripe import models as mirror
from unfold.admin import ModelAdmin

from billing.figures import usd
from tenants.admin import ReadOnly


@admin.display(description=_("Amount"))
def amount(invoice: Any) -> str:
    return usd(Decimal(invoice.stripe_data["total"]) / 100, 2)


@admin.display(description=_("Status"))
def state(row: Any) -> str:
    return str(row.stripe_data["status"])


# With what a list shows beside the id.
SHOWN: dict[Any, tuple[Any, ...]] = {
    mirror.Customer: ("subscriber", "email", "created"),
    mirror.Subscription: ("customer", state, "created"),
    mirror.Invoice: ("customer", amount, state, "created"),
    mirror.Product: ("name", "active", "created"),
    mirror.Price: ("product", "currency", "active", "created"),
    mirror.Event: ("type", "created"),
    mirror.WebhookEndpoint: ("url", "status", "created"),
    mirror.WebhookEventTrigger: ("event", "valid", "processed", "created"),
}


class MirrorAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    ordering = ("-created",)
    search_fields = ("id",)

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        return ("id", *SHOWN[self.model])

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        plain = [field.name for field in self.model._meta.fields if not isinstance(field, JSONField)]
        # Who has an endpoint's secret could send us events.
        shown = [name for name in plain if name not in ("secret", "body") and not name.startswith("djstripe_")]
        return shown if self.model is mirror.WebhookEndpoint else [*shown, "as_sent"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj)

    @admin.display(description=_("As Stripe sent it"))
    def as_sent(self, row: Any) -> str:
        sent = row.json_body if isinstance(row, mirror.WebhookEventTrigger) else row.stripe_data
        text = json.dumps(sent, indent=2, ensure_ascii=False)
        return format_html('<pre class="font-mono text-xs whitespace-pre-wrap break-all">{}</pre>', text)


def linked(model: Any) -> list[str]:
    """A customer's name is that of its workspace."""
    names = [name for name in SHOWN[model] if isinstance(name, str)]
    found = [name for name in names if isinstance(model._meta.get_field(name), ForeignKey)]
    return [f"{name}__subscriber" if name == "customer" else name for name in found]


# dj-stripe takes its cents for dollars there.
mirror.Invoice.__str__ = lambda invoice: str(invoice.stripe_data.get("number") or invoice.id)
# As people call it.
apps.get_app_config("djstripe").verbose_name = "Stripe"
for table in [model for model in admin.site._registry if model._meta.app_label == "djstripe"]:
    admin.site.unregister(table)
for table in SHOWN:
    admin.site.register(table, MirrorAdmin, list_select_related=linked(table))
