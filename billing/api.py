"""The billing API: buying, changing and ending a subscription, its invoices, and a workspace's own budget.

Whoever has a key may look, and may open a page to pay on: that harms nobody. What changes something needs the scope
“admin”.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from billing import budgets, pace, summary
from billing.api_bodies import (
    BudgetBody,
    CancelBody,
    ChangeBody,
    CheckoutAnswer,
    CheckoutBody,
    InvoicesAnswer,
    InvoicesQuery,
    PlansAnswer,
    PortalAnswer,
    PreviewAnswer,
    SubscriptionAnswer,
)
from billing.models import Subscription
from billing.stripe import catalog, changes, checkout, invoices, portal
from billing.stripe.errors import BillingError
from tenants.authentication import MayManage
from tenants.management_views import ManagementView, listed, read
from tenants.roles import Action


class MayManageOrLook(MayManage):
    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method == "GET" or super().has_permission(request, view)


class BillingView(ManagementView):
    action = Action.BILLING
    permission_classes: tuple[type[BasePermission], ...] = (MayManageOrLook,)

    def check_throttles(self, request: Request) -> None:
        """All that is posted here goes to Stripe."""
        if request.method == "POST":
            pace.count_act(self.key.tenant)

    def handle_exception(self, exc: Exception) -> Response:
        if not isinstance(exc, BillingError):
            answer: Response = super().handle_exception(exc)
            return answer
        kind = "server_error" if exc.status >= 500 else "invalid_request_error"
        body = {"message": str(exc), "type": kind, "param": exc.param, "code": exc.code}
        return Response({"error": body}, status=exc.status)

    def subscription(self) -> Response:
        return Response(summary.of(self.key.tenant))


class CheckoutView(BillingView):
    """Opens the page on which to pay for a plan. Asked twice, it is the same page."""

    # A valid key is enough.
    permission_classes = ()

    @extend_schema(request=CheckoutBody, responses={201: CheckoutAnswer})
    def post(self, request: Request) -> Response:
        body = read(CheckoutBody(data=request.data))
        session = checkout.start(self.key.tenant, body["plan"], **self.by())
        return Response({"checkout_url": session.url, "session_id": session.id}, status=201)


class SubscriptionView(BillingView):
    """What the workspace is on, what comes next, its quota and its budget."""

    @extend_schema(responses=SubscriptionAnswer)
    def get(self, request: Request) -> Response:
        return self.subscription()


class ChangeView(BillingView):
    """Another plan: now, charged or credited for the rest of the period, or when the period ends. A trial ends at once
    with a plan that has none, or is metered.
    """

    @extend_schema(request=ChangeBody, responses=SubscriptionAnswer)
    def post(self, request: Request) -> Response:
        body = read(ChangeBody(data=request.data))
        changes.change(self.key.tenant, body["plan"], body["when"], **self.by())
        return self.subscription()


class PreviewView(BillingView):
    """What a change would cost. Changes nothing."""

    @extend_schema(request=ChangeBody, responses=PreviewAnswer)
    def post(self, request: Request) -> Response:
        body = read(ChangeBody(data=request.data))
        return Response(plain(changes.preview(self.key.tenant, body["plan"], body["when"])))


class CancelView(BillingView):
    """Ends the subscription when the period ends, or now; then nothing is paid back for the rest of the period, and
    what was metered is invoiced. The workspace goes on, on Free.
    """

    @extend_schema(request=CancelBody, responses=SubscriptionAnswer)
    def post(self, request: Request) -> Response:
        body = read(CancelBody(data=request.data))
        changes.cancel(self.key.tenant, body["when"], **self.by())
        return self.subscription()


class ResumeView(BillingView):
    """Takes back a cancellation or a change that waits for the end of the period."""

    @extend_schema(request=None, responses=SubscriptionAnswer)
    def post(self, request: Request) -> Response:
        changes.resume(self.key.tenant, **self.by())
        return self.subscription()


class PortalView(BillingView):
    """Opens Stripe's customer portal: cards, addresses, tax ids, invoices."""

    @extend_schema(request=None, responses=PortalAnswer)
    def post(self, request: Request) -> Response:
        return Response({"url": portal.open_portal(self.key.tenant)})


class PlansView(BillingView):
    """The plans that can be chosen, and what they cost."""

    @extend_schema(responses=PlansAnswer)
    def get(self, request: Request) -> Response:
        return Response(listed(catalog.described()))


class InvoicesView(BillingView):
    """The invoices, newest first."""

    def check_throttles(self, request: Request) -> None:
        pace.count_list(self.key.tenant)

    @extend_schema(parameters=[InvoicesQuery], responses=InvoicesAnswer)
    def get(self, request: Request) -> Response:
        query = read(InvoicesQuery(data=request.query_params))
        page = invoices.latest(self.key.tenant, limit=query["limit"], after=query["after"] or None)
        return Response({**listed([plain(each) for each in page.invoices]), "has_more": page.has_more})


class BudgetView(BillingView):
    """The workspace's own budget, beside that of its plan: the smaller one counts."""

    @extend_schema(responses=BudgetBody)
    def get(self, request: Request) -> Response:
        return Response(summary.budget(Subscription.objects.get(tenant=self.key.tenant)))

    @extend_schema(request=BudgetBody, responses=BudgetBody)
    def put(self, request: Request) -> Response:
        body: Any = read(BudgetBody(data=request.data))
        return Response(summary.budget(budgets.change(self.key.tenant, body, **self.by())))


def plain(value: Any) -> Any:
    """Tuples with names as objects, times as ISO 8601, money as text."""
    if hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
