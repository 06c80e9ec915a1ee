"""Which lines of a tenant's invoices charge for the use of a period, as Stripe has them now."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from billing.models import Subscription
from billing.periods import Period
from billing.stripe import configuration
from billing.stripe.client import Object, ask, cents, v1
from tenants.models import Tenant

# An invoice for use is made when its period ends; older ones than these are not of a period that has records.
INVOICES = 12


class Line(NamedTuple):
    invoice_id: str
    number: str | None
    status: str
    url: str | None
    description: str
    quantity: int
    amount_usd: Decimal


def of_period(tenant: Tenant, period: Period) -> list[Line]:
    """None yet while the period is open. Asks once, for a page that shows more than this. Raises BillingError."""
    customer = Subscription.objects.values_list("stripe_customer_id", flat=True).get(tenant=tenant)
    if not customer:
        return []
    configuration.require()
    found = ask(v1().invoices.list, {"customer": customer, "limit": INVOICES}, {"max_network_retries": 0})
    return [
        _line(invoice, line)
        for invoice in found["data"]
        for line in invoice["lines"]["data"]
        if _is_use(invoice, line, period)
    ]


def _is_use(invoice: Object, line: Object, period: Period) -> bool:
    """What is charged for afterwards is use; the plan's own price is paid in advance."""
    starts, ends = line["period"]["start"], line["period"]["end"]
    overlaps = starts < period.end.timestamp() and ends > period.start.timestamp()
    details = line["parent"]["subscription_item_details"] or {}
    is_regular = bool(details) and not details["proration"]
    return bool(overlaps and is_regular and starts < ends <= invoice["created"])


def _line(invoice: Object, line: Object) -> Line:
    return Line(
        invoice_id=invoice["id"],
        number=invoice["number"],
        status=invoice["status"],
        url=invoice.get("hosted_invoice_url"),
        description=line["description"] or "",
        quantity=line["quantity"] or 0,
        amount_usd=cents(line["amount"]),
    )
