"""The page that Stripe sends buyers back to. Anyone may open it, so all it does is look, and lead on."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from billing.stripe import checkout
from billing.stripe.errors import BillingError

logger = logging.getLogger(__name__)


@require_GET
def back_from_checkout(request: HttpRequest) -> HttpResponse:
    """The plan is there before the buyer sees the next page, however late Stripe's event comes."""
    try:
        tenant = checkout.finish(request.GET.get("session_id", ""))
    except BillingError as error:
        # Its event will tell the same.
        logger.warning("a buyer came back, and Stripe could not be asked: %s", error)
        tenant = None
    return redirect("billing-bought", tenant.slug) if tenant else redirect("workspaces")
