"""What a workspace's pages have around them: the sections, what this member may do, and where they are now."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tenants import roles
from tenants.roles import Action


class Section(NamedTuple):
    """`url_name` is that of its first page, below which its others are. Who may not see it, is not shown it."""

    url_name: str
    label: Promise
    action: Action
    icon: str


SECTIONS = [
    Section("dashboard", _("Live"), Action.FIGURES, "live"),
    Section("savings", _("Savings"), Action.FIGURES, "savings"),
    Section("cache", _("Cache"), Action.FIGURES, "cache"),
    Section("playground", _("Playground"), Action.PLAYGROUND, "playground"),
    Section("keys", _("Keys"), Action.FIGURES, "keys"),
    Section("routing", _("Routing"), Action.FIGURES, "routing"),
    Section("billing", _("Billing"), Action.FIGURES, "billing"),
    Section("alerts", _("Alerts"), Action.FIGURES, "alerts"),
    Section("settings", _("Settings"), Action.FIGURES, "settings"),
]


class Link(NamedTuple):
    url: str
    label: Promise
    icon: str
    current: bool


def workspace(request: HttpRequest) -> dict[str, Any]:
    """A context processor: `tenant`, `membership`, `may` and `sections` on pages below /t/<slug>/."""
    membership = getattr(request, "membership", None)
    if membership is None:
        return {}
    return {
        "tenant": membership.tenant,
        "membership": membership,
        # The others are there as well: `may.keys` of a dictionary without that key is its method, and true.
        "may": {action.value: roles.may(membership.role, action) for action in Action},
        "sections": _links(request.path, membership.tenant.slug, membership.role),
    }


def _links(path: str, slug: str, role: str) -> list[Link]:
    links = []
    for section in SECTIONS:
        if roles.may(role, section.action):
            links.append(Link(reverse(section.url_name, args=[slug]), section.label, section.icon, False))
    # The first one's address is the beginning of all the others'.
    here = max((link.url for link in links if path.startswith(link.url)), key=len, default="")
    return [link._replace(current=link.url == here) for link in links]
