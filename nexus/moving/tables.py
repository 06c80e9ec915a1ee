"""Every table, and whether it moves with a tenant; a test fails when one has no decision. What moves is its own:
what belongs to the platform, to a person or to a process stays.
"""

from __future__ import annotations

import fnmatch
from typing import NamedTuple


class Moved(NamedTuple):
    """It travels as Postgres' COPY writes it; numbers and secrets are replaced on the way."""

    # A condition on the table, or none; `%(tenant)s` is the tenant's number.
    where: str = ""
    # Columns that are not taken along: what the target gives by itself.
    without: tuple[str, ...] = ()
    # Encrypted columns (tenants.secretbox), and numbers of keys and people, which are others at the target.
    secrets: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


class Left(NamedTuple):
    why: str


Decision = Moved | Left

_NUMBERED = ("id", "tenant_id")
_OF_TENANT = "tenant_id = %(tenant)s"
_MEMBERS = "SELECT user_id FROM public.tenants_membership WHERE tenant_id = %(tenant)s"
# What Stripe knows the subscription by; taken along only when it is asked for.
STRIPE_COLUMNS = (
    "status", "stripe_customer_id", "stripe_subscription_id", "stripe_read_at", "grace_until", "period_start",
    "period_end", "trial_end", "trial_told_for", "cancel_at", "pending_plan", "pending_at", "card_brand", "card_last4",
    "price_usd", "checkout_session_id", "metered_since",
)  # fmt: skip
METER_REPORTS, LEDGER = "billing_meterreport", "billing_ledgerentry"
TENANT, USER, ADDRESS, KEY = "tenants_tenant", "tenants_user", "account_emailaddress", "tenants_apikey"
SUBSCRIPTION, DOMAIN = "billing_subscription", "tenants_domain"
# Read first, since the numbers in others are theirs; written after the tenant's own, so that nobody who signs up
# meanwhile waits long.
FIRST = (TENANT, USER, ADDRESS, KEY)

PUBLIC: dict[str, Decision] = {
    TENANT: Moved("id = %(tenant)s", without=("moving_since", "support_access_until", "internal")),
    USER: Moved(
        f"id IN ({_MEMBERS})",
        # Nobody is an operator there because they are one here; passwords are set again, by a link to the mailbox.
        without=("password", "last_login", "is_staff", "is_superuser", "claimed_at"),
    ),
    ADDRESS: Moved(f"user_id IN ({_MEMBERS})", without=("id",), people=("user_id",)),
    KEY: Moved(_OF_TENANT, without=_NUMBERED[1:], people=("created_by_id",)),
    SUBSCRIPTION: Moved(_OF_TENANT, without=_NUMBERED),
    DOMAIN: Moved(_OF_TENANT, without=_NUMBERED),
    "tenants_membership": Moved(_OF_TENANT, without=_NUMBERED, people=("user_id",)),
    "tenants_invitation": Moved(_OF_TENANT, without=_NUMBERED, people=("invited_by_id",)),
    "billing_closedperiod": Moved(_OF_TENANT, without=_NUMBERED),
    METER_REPORTS: Moved(_OF_TENANT, without=_NUMBERED),
    LEDGER: Moved(_OF_TENANT, without=_NUMBERED, keys=("key_id",)),
    "tenants_auditevent": Moved(_OF_TENANT, without=_NUMBERED, people=("actor_id",)),
    "billing_reconciliation": Left("The books are compared again at the target."),
    "billing_plan": Left("The platform's: the target must have a plan of the same code."),
    "billing_priceoverride": Left("The platform's prices."),
    "billing_platformlimits": Left("The platform's."),
    "tenants_refreshfamily": Left("Tokens of `/auth/token` end with the move: apps get new ones with their key."),
    "tenants_user_groups": Left("Operators' rights."),
    "tenants_user_user_permissions": Left("Operators' rights."),
    "account_emailconfirmation": Left("A link that is on its way leads to the source."),
    "mfa_authenticator": Left("A second factor is a person's, not the workspace's: they set it up again."),
    "socialaccount_*": Left("How a person logs in is theirs: they connect it again."),
    "usersessions_usersession": Left("People log in again."),
    "auth_*": Left("Operators' rights."),
    "django_*": Left("Django's own account of this database."),
    "djstripe_*": Left("What Stripe said: `manage.py stripe_sync` asks it again."),
}

TENANTS_OWN: dict[str, Decision] = {
    "analytics_alertrule": Moved(),
    "analytics_webhookendpoint": Moved(secrets=("secret", "previous_secret")),
    "analytics_alertevent": Moved(),
    # Who raised it sends it: else both would.
    "analytics_delivery": Moved("status <> 'waiting'"),
    "analytics_usagerecord": Moved(keys=("key_id",)),
    "analytics_usagerollup": Moved(keys=("key_id",)),
    "analytics_savingsshare": Left("Links are signed by the source, and hold the tenant's number there."),
    "gateway_cacheentry": Moved(),
    "gateway_cachevector": Moved(),
    "gateway_provider": Moved(secrets=("credential",)),
    "gateway_route": Moved(),
    "gateway_target": Moved(),
    "gateway_callsettings": Moved(),
    "gateway_cachesettings": Moved(),
    "gateway_cachetuning": Moved(),
    "gateway_verdict": Moved(people=("reviewer_id",)),
    "django_migrations": Left("Written when the schema is made."),
}


def decision(table: str, decisions: dict[str, Decision]) -> Decision | None:
    """None: nobody has decided yet."""
    if table in decisions:
        return decisions[table]
    return next((one for name, one in decisions.items() if "*" in name and fnmatch.fnmatch(table, name)), None)


def moved(decisions: dict[str, Decision]) -> dict[str, Moved]:
    return {table: one for table, one in decisions.items() if isinstance(one, Moved)}
