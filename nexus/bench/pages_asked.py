"""Which pages there are: every path below /t/<slug>/ of the URL configuration, and what is asked of those that have
filters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from nexus.bench.pages_traffic import RARE_TAG

WORKSPACE = "t/<slug:slug>/"
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
# What is shown by its id, by the name of its page: which of those that the workspace is known to have.
SHOWN = {
    "request": "record",
    "cache-entry": "entry",
    "cache-drop": "entry",
    "key": "key",
    "key-rotate": "key",
    "key-revoke": "key",
    "member": "member",
    "member-remove": "member",
    "provider": "provider",
    "provider-delete": "provider",
    "route": "route",
    "route-delete": "route",
    "alert-webhook": "endpoint",
    "alert-webhook-delete": "endpoint",
    "alert-rule": "kind",
    "savings-unshare": "share",
}
# Beside the page as it opens.
FILTERED = {
    "dashboard": [f"range={name}" for name in ("15m", "24h", "7d", "30d", "90d")],
    "requests": [
        "outcome=hits",
        "model=gpt-4.1",
        "status=failed",
        "status=404",
        "error=provider_timeout",
        "tag=web",
        f"tag={RARE_TAG}",
        "tag=unheard-of",
        "tag=unheard-of&range=90d",
        "tag=checkout&model=gpt-4.1&outcome=REFRESH",
        "request_id=unheard-of",
    ],
    "savings": [f"by={by}&range=90d" for by in ("day", "model", "key", "tag", "tier")] + ["range=365d"],
    "savings-dollar": ["range=90d"],
    "cache": ["days=30"],
    "cache-entries": ["q=travel", "q=nothing+like+it", "q=remove+stains&by=meaning", "tag=faq", "order=hits"],
    "cache-review": ["of=judged"],
    "cache-invalidate": ["by=meaning&q=orchids"],
    "routing-figures": [f"model={model}&days={days}" for model in ("support", "gpt-4o-mini") for days in (7, 30)],
    "audit": ["who=person-7", "who=nobody", "what=keys", "what=team&start=2020-01-01"],
    "alerts": ["unread=on", "kind=drift"],
    "alert-deliveries": ["status=failed", "status=waiting"],
}
OPERATORS = (
    "admin/", "admin/system/", "admin/failures/", "admin/tenants/tenant/", "admin/tenants/tenant/?q=bench-7",
    "admin/tenants/user/", "admin/tenants/apikey/", "admin/tenants/auditevent/", "admin/tenants/auditevent/?q=person",
    "admin/billing/subscription/", "admin/billing/ledgerentry/", "admin/billing/closedperiod/",
    "admin/billing/reconciliation/", "admin/billing/meterreport/", "admin/billing/plan/",
    "admin/billing/priceoverride/",
)  # fmt: skip


class Page(NamedTuple):
    """`arguments` are those of its path beside the slug."""

    name: str
    arguments: tuple[str, ...]


def workspace_pages() -> Iterator[Page]:
    """All that is named below a workspace, whatever its method."""
    for at, name in _routes(get_resolver().url_patterns, ""):
        if at.startswith(WORKSPACE):
            yield Page(name, tuple(_ARGUMENT.findall(at.removeprefix(WORKSPACE))))


def _routes(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        at = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, at)
        elif pattern.name:
            yield at, pattern.name


def address(page: Page, slug: str, named: dict[str, str]) -> str:
    return reverse(page.name, args=[slug, *([named[SHOWN[page.name]]] if page.arguments else [])])
