"""The account itself, its tax settings, and plain lists of what it was paid."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.stripe.account import Account, newest_first
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.faults import Object, no_such
from tests.fakes.stripe.rendering import page, within

ID = "acct_1FakeStripeFakeStr"


def get(account: Account, given: Object, id_: str = ID) -> Object:
    if id_ != ID:
        raise no_such("account", id_)
    return {
        "id": ID,
        "object": "account",
        "business_profile": {"mcc": "5734", "name": "Fake Stripe", "support_email": None, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": "merchant@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "card_payments": {"statement_descriptor_prefix": None},
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "dashboard": {"display_name": "Fake Stripe", "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": "FAKE STRIPE"},
        },
        "type": "standard",
    }


def tax_settings(account: Account, given: Object) -> Object:
    return {
        "object": "tax.settings",
        "defaults": {
            "provider": "stripe",
            "tax_behavior": "exclusive",
            "tax_code": "txcd_10103001",
            **account.tax_defaults,
        },
        "head_office": {
            "address": {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": None, "state": "DE"}
        },
        "livemode": False,
        "status": "active",
        "status_details": {"active": {}},
    }


def update_tax_settings(account: Account, given: Object) -> Object:
    account.tax_defaults |= given.get("defaults", {})
    return tax_settings(account, given)


def listing(kind: str, path: str) -> Callable[[Account, Object], Object]:
    """A handler that lists those of one customer, newest first."""

    def answer(account: Account, given: Object) -> Object:
        chosen = equal(account.all(kind), given, ("customer", "payment_intent"))
        return page(account, newest_first(within(chosen, "created", given.get("created"))), given, f"/v1/{path}")

    return answer
