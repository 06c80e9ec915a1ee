"""Why something about payments could not be done.

BillingError            its sentence is for the caller; `status` and `code` are how the API says it
├── NotConfigured       no key of Stripe's
├── NotSynced           Stripe does not have our prices
├── KeyRefused          Stripe does not accept the key
├── UnknownCustomer     Stripe has not heard of a customer whom we know: the key is of another account, or another mode
├── Unavailable         Stripe did not answer, or failed
├── Refused             Stripe refused the request: `stripe_code` says why
├── Declined            the card was refused
├── UnknownPlan         no such plan can be bought
└── Conflict            not in this state of the subscription: `code` says which
"""

from __future__ import annotations

from django.utils.translation import gettext as _


class BillingError(Exception):
    status = 500
    code = "billing_failed"
    param: str | None = None


class NotConfigured(BillingError):
    status = 503
    code = "stripe_not_configured"


class NotSynced(BillingError):
    status = 503
    code = "stripe_not_synced"

    def __init__(self, what: str) -> None:
        text = _("Stripe has no %(what)s. The gateway's operator must run “manage.py stripe_sync”.")
        super().__init__(text % {"what": what})


class KeyRefused(BillingError):
    status = 503
    code = "stripe_key_refused"

    def __init__(self, why: str) -> None:
        super().__init__(_("Stripe does not accept this gateway's STRIPE_SECRET_KEY: %(why)s") % {"why": why})


class UnknownCustomer(BillingError):
    status = 503
    code = "stripe_customer_unknown"

    def __init__(self, customer_id: str, key: str) -> None:
        mode = next((mode for mode in ("test", "live") if f"_{mode}_" in key), "unknown")
        text = _(
            "Stripe knows no customer %(customer)s by this gateway's STRIPE_SECRET_KEY, whose mode is %(mode)s. The"
            " gateway's operator must check that the key is of the account and the mode in which the customer was made,"
            " or let go of the customer in the admin. Nothing was changed."
        )
        super().__init__(text % {"customer": customer_id, "mode": mode})


class Unavailable(BillingError):
    status = 502
    code = "stripe_unavailable"

    def __init__(self) -> None:
        super().__init__(_("Stripe, which handles payments, does not answer. Look at the subscription, and try again."))


class Refused(BillingError):
    status = 502
    code = "stripe_refused"

    def __init__(self, why: str, stripe_code: str | None) -> None:
        super().__init__(_("Stripe refused this: %(why)s") % {"why": why})
        self.stripe_code = stripe_code


class Declined(BillingError):
    status = 402
    code = "payment_failed"

    def __init__(self, why: str) -> None:
        text = _("The payment failed, and nothing was changed: %(why)s Another card can be given in the portal.")
        super().__init__(text % {"why": why})


class UnknownPlan(BillingError):
    status = 400
    code = "unknown_plan"
    param = "plan"


class Conflict(BillingError):
    status = 409

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
