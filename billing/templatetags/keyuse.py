"""What a key has used of its own limits, for its page: which belongs to a layer that knows no usage."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils import timezone

from billing import figures, usage
from billing.models import Subscription
from billing.periods import period_at
from tenants.models import ApiKey

register = template.Library()


@register.inclusion_tag("billing/_key_use.html")
def use_of_key(key: ApiKey) -> dict[str, Any]:
    now = timezone.now()
    period = period_at(Subscription.objects.get(tenant=key.tenant_id).anchor_at, now)
    used = usage.of_key(key, period, now.date())
    return {
        "key": key,
        "slug": key.tenant.slug,
        "bars": figures.bars_of_key(key, used),
        "used": used,
        "period": period,
        "now": now,
    }
