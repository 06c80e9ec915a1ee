"""The bodies of the billing API, as they are read and as /api/docs/ describes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.models import Subscription
from billing.stripe.changes import WHEN
from tenants.bodies import Body
from tenants.limits import LARGEST_USD, BudgetMode


class CheckoutBody(Body):
    plan = serializers.CharField(max_length=32, help_text="Code of a plan: see GET /api/billing/plans.")


class CheckoutAnswer(serializers.Serializer[Any]):
    checkout_url = serializers.URLField()
    session_id = serializers.CharField()


class ChangeBody(Body):
    plan = serializers.CharField(
        max_length=32, help_text="Code of a plan; “free” ends the subscription, and pays nothing back."
    )
    when = serializers.ChoiceField(choices=WHEN, default="now")


class CancelBody(Body):
    when = serializers.ChoiceField(
        choices=WHEN,
        default="period_end",
        help_text="“period_end”: what is paid for stays until then. “now”: it ends at once, nothing is paid back, and"
        " what was metered is invoiced.",
    )


class _LineAnswer(serializers.Serializer[Any]):
    description = serializers.CharField()
    amount_usd = serializers.CharField()


class PreviewAnswer(serializers.Serializer[Any]):
    plan = serializers.CharField()
    effective_at = serializers.DateTimeField(allow_null=True)
    due_now_usd = serializers.CharField(help_text="Below zero: a credit for the next invoices.")
    lines = _LineAnswer(many=True)
    monthly_usd = serializers.CharField(help_text="What a period costs from then on, without use.")
    ends_trial = serializers.BooleanField(help_text="The trial is over at once: use is charged from then on.")


class PortalAnswer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="Good for one visitor, and some minutes.")


class _PlanAnswer(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()
    price_usd = serializers.CharField()
    trial_days = serializers.IntegerField()
    request_usd = serializers.CharField(allow_null=True, help_text="For each request beyond the included ones.")
    included_requests = serializers.IntegerField()
    passes_on_cost = serializers.BooleanField()
    monthly_requests = serializers.IntegerField(allow_null=True)
    monthly_tokens = serializers.IntegerField(allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    retention_days = serializers.IntegerField()


class PlansAnswer(serializers.Serializer[Any]):
    data = _PlanAnswer(many=True)


class InvoicesQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=100, default=20)
    after = serializers.CharField(max_length=110, default="", help_text="Id of the last one of the page before.")


class _InvoiceAnswer(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.CharField(allow_null=True)
    status = serializers.CharField(help_text="draft, open, paid, uncollectible or void.")
    currency = serializers.CharField()
    total_usd = serializers.CharField()
    paid_usd = serializers.CharField()
    due_usd = serializers.CharField()
    created_at = serializers.DateTimeField()
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    url = serializers.URLField(allow_null=True)
    pdf_url = serializers.URLField(allow_null=True)


class InvoicesAnswer(serializers.Serializer[Any]):
    data = _InvoiceAnswer(many=True)
    has_more = serializers.BooleanField()


def _budget(help_text: str) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=12,
        decimal_places=2,
        min_value=0,
        max_value=LARGEST_USD,
        allow_null=True,
        default=None,
        help_text=help_text,
    )


class BudgetBody(Body):
    """PUT replaces all four; what is left out is as it was in the beginning: no budget."""

    daily_budget_usd = _budget("By the UTC day.")
    monthly_budget_usd = _budget("In a billing period.")
    budget_mode = serializers.ChoiceField(choices=BudgetMode.choices, default=BudgetMode.HARD)
    unpriced = serializers.ChoiceField(choices=Subscription.Unpriced.choices, default=Subscription.Unpriced.REFUSE)


class _PendingAnswer(serializers.Serializer[Any]):
    plan = serializers.CharField()
    at = serializers.DateTimeField()


class _CardAnswer(serializers.Serializer[Any]):
    brand = serializers.CharField()
    last4 = serializers.CharField()


class _CountAnswer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField(help_text="What is booked: some seconds old.")


class _QuotaAnswer(serializers.Serializer[Any]):
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    requests = _CountAnswer()
    tokens = _CountAnswer()


class SubscriptionAnswer(serializers.Serializer[Any]):
    plan = serializers.CharField()
    plan_name = serializers.CharField()
    limits_of = serializers.CharField(help_text="“free” once the grace after a failed payment is over.")
    price_usd = serializers.CharField(help_text="A month, as it is paid: that of the plan may have changed since.")
    status = serializers.ChoiceField(choices=Subscription.Status.choices)
    pays_through_stripe = serializers.BooleanField()
    period_start = serializers.DateTimeField(allow_null=True)
    period_end = serializers.DateTimeField(allow_null=True)
    trial_end = serializers.DateTimeField(allow_null=True)
    grace_until = serializers.DateTimeField(allow_null=True)
    cancel_at = serializers.DateTimeField(allow_null=True)
    pending = _PendingAnswer(allow_null=True)
    card = _CardAnswer(allow_null=True)
    quota = _QuotaAnswer()
    budget = BudgetBody()
    read_at = serializers.DateTimeField(allow_null=True, help_text="When Stripe was last asked.")
