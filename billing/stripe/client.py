"""The one client of Stripe's API, with its timeouts and retries; its answers as plain values, its errors as ours."""

from __future__ import annotations

import datetime as dt
import functools
import json
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import stripe
from django.conf import settings
from django.utils.translation import gettext as _

from billing.stripe import configuration
from billing.stripe.errors import Declined, KeyRefused, Refused, Unavailable

logger = logging.getLogger(__name__)

# After the first attempt; the SDK waits 0.5 s and more between them, and sends the same idempotency key.
RETRIES = 2
Object = dict[str, Any]


def v1() -> Any:
    """The SDK's services: `v1().subscriptions.update`. To be called through `ask`. Raises NotConfigured."""
    configuration.require()
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_TIMEOUT_S).v1


@functools.lru_cache(maxsize=4)
def _client(key: str, base: str, timeout_s: float) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        http_client=stripe.RequestsClient(timeout=timeout_s),
        max_network_retries=RETRIES,
    )


def limit_others() -> None:
    """The same patience for the calls that dj-stripe makes, on the SDK's global client."""
    stripe.default_http_client = stripe.RequestsClient(timeout=settings.STRIPE_TIMEOUT_S)
    stripe.max_network_retries = RETRIES


def ask(call: Callable[..., Any], *arguments: Any) -> Object:
    """`ask(v1().prices.list, {"limit": 10})`: the answer as JSON has it. Raises BillingError."""
    try:
        answer = call(*arguments)
    except stripe.CardError as error:
        raise Declined(error.user_message or _("The card was declined.")) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        logger.error("Stripe refuses the key: %s", error)
        raise KeyRefused(error.user_message or _("it is not valid.")) from error
    except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
        logger.error("Stripe refuses %s: %s", getattr(call, "__qualname__", call), error)
        raise Refused(error.user_message or str(error), error.code) from error
    except stripe.StripeError as error:
        # A rate limit, a failure of theirs, or no answer at all.
        logger.error("Stripe is not available: %s", error)
        raise Unavailable from error
    plain: Object = json.loads(str(answer))
    return plain


def cents(amount: int | None) -> Decimal:
    """USD of an amount in cents."""
    return Decimal(amount or 0) / 100


def moment(seconds: int | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


def id_of(reference: Any) -> str:
    """Of an object that may be expanded, or is only named."""
    return str(reference["id"] if isinstance(reference, dict) else reference or "")
