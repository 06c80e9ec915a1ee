"""The page that Stripe sends buyers back to. Anyone may open it, so all it does is look, and lead on."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from billing import pace
from billing.stripe import checkout, state
from billing.stripe.errors import BillingError
from tenants.pace import TooOften

logger = logging.getLogger(__name__)


@require_GET
def back_from_checkout(request: HttpRequest) -> HttpResponse:
    """The plan is there before the buyer sees the next page, however late Stripe's event comes."""
    tenant = checkout.buyer(request.GET.get("session_id", ""))
    if tenant is None:
        return redirect("workspaces")
    try:
        pace.count_act(tenant)
        state.refresh(tenant)
    except (BillingError, TooOften) as error:
        # Its event will tell the same. The next page explains.
        logger.warning("%s came back from paying, and Stripe was not asked: %s", tenant, error)
    return redirect("billing-bought", tenant.slug)
