"""Who may do what in a workspace: one table, for pages, for API keys, for the docs.

An action's value is also the scope that lets an API key do it; a key may be given what its maker may do, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tenants.models import Role


class Action(StrEnum):
    """What a role allows, or does not."""

    FIGURES = "figures"
    CONTENT = "content"
    PLAYGROUND = "playground"
    CACHE = "cache"
    KEYS = "keys"
    ROUTES = "routes"
    PROVIDERS = "providers"
    BILLING = "billing"
    SHARE = "share"
    ALERTS = "alerts"
    TEAM = "team"
    SETTINGS = "settings"
    AUDIT = "audit"
    OWNERSHIP = "ownership"


ADMIN_SCOPE = "admin"
# No API key may be given these: who pays by card, and who may end a workspace, is a person who has logged in.
PEOPLE_ONLY = frozenset({Action.PLAYGROUND, Action.SHARE, Action.OWNERSHIP})
SCOPES = frozenset(action.value for action in Action if action not in PEOPLE_ONLY)

_ALL = frozenset(Role)
_DEVELOPERS = frozenset({Role.OWNER, Role.ADMIN, Role.DEVELOPER})
_PAYERS = frozenset({Role.OWNER, Role.ADMIN, Role.FINANCE})
_ADMINS = frozenset({Role.OWNER, Role.ADMIN})

ALLOWED: dict[Action, frozenset[Role]] = {
    Action.FIGURES: _ALL,
    Action.CONTENT: _DEVELOPERS,
    Action.PLAYGROUND: _DEVELOPERS,
    Action.CACHE: _DEVELOPERS,
    Action.KEYS: _DEVELOPERS,
    Action.ROUTES: _DEVELOPERS,
    Action.PROVIDERS: _ADMINS,
    Action.BILLING: _PAYERS,
    Action.SHARE: _PAYERS,
    Action.ALERTS: _ADMINS,
    Action.TEAM: _ADMINS,
    Action.SETTINGS: _ADMINS,
    Action.AUDIT: _ADMINS,
    Action.OWNERSHIP: frozenset({Role.OWNER}),
}

# Of an operator who looks in while the workspace lets support see its content (tenants.impersonation). No member's.
SUPPORT = "support"
_SUPPORTS = frozenset({Action.FIGURES, Action.CONTENT})

WHAT: dict[Action, Promise] = {
    Action.FIGURES: _("See requests, costs and savings, and take them away as files"),
    Action.CONTENT: _("Read prompts and answers: cache entries, the review queue"),
    Action.PLAYGROUND: _("Try models in the playground, which costs money"),
    Action.CACHE: _("Judge hits, drop and pin entries, set what is cached and how alike it must be"),
    Action.KEYS: _("Create, change, rotate and revoke API keys"),
    Action.ROUTES: _("Change aliases, routes and how calls are made"),
    Action.PROVIDERS: _("Add and change providers and their credentials"),
    Action.BILLING: _("Buy and change plans, set budgets, open the customer portal"),
    Action.SHARE: _("Share the savings by a link"),
    Action.ALERTS: _("Change alerts and webhooks"),
    Action.TEAM: _("Invite and remove people, change their roles"),
    Action.SETTINGS: _("Change the workspace's name and settings"),
    Action.AUDIT: _("Read the audit log"),
    Action.OWNERSHIP: _("Name owners, transfer or delete the workspace"),
}


def may(role: str, action: Action) -> bool:
    return action in _SUPPORTS if role == SUPPORT else role in ALLOWED[action]


def actions_of(role: str) -> frozenset[Action]:
    return frozenset(action for action in Action if may(role, action))


def who_may(action: Action) -> list[str]:
    """Names of roles, the most powerful first."""
    return [role.value for role in Role if role in ALLOWED[action]]


def scopes_of(role: str) -> frozenset[str]:
    """Those that somebody of this role may give to a key. “admin” is all of them."""
    given = actions_of(role)
    admin = {ADMIN_SCOPE} if all(Action(scope) in given for scope in SCOPES) else set()
    return frozenset({action.value for action in given if action.value in SCOPES} | admin)


def does(scopes: Iterable[str], action: Action) -> bool:
    """Whether a key with these scopes may do it."""
    held = set(scopes)
    return ADMIN_SCOPE in held or action.value in held
