"""A tenant's invoices, as Stripe has them now."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.models import Subscription
from billing.stripe import configuration
from billing.stripe.client import Object, ask, cents, moment, v1
from billing.stripe.errors import BillingError, Refused
from tenants.models import Tenant

# By what Stripe calls them.
STATUSES: dict[str, Promise] = {
    "draft": gettext_lazy("draft"),
    "open": gettext_lazy("open"),
    "paid": gettext_lazy("paid"),
    "uncollectible": gettext_lazy("uncollectible"),
    "void": gettext_lazy("void"),
}


class Invoice(NamedTuple):
    id: str
    number: str | None
    # One of STATUSES.
    status: str
    currency: str
    total_usd: Decimal
    paid_usd: Decimal
    due_usd: Decimal
    created_at: dt.datetime | None
    period_start: dt.datetime | None
    period_end: dt.datetime | None
    url: str | None
    pdf_url: str | None

    @property
    def status_text(self) -> str:
        return str(STATUSES.get(self.status, self.status))


class Page(NamedTuple):
    invoices: list[Invoice]
    has_more: bool


class NoSuchInvoice(BillingError):
    status = 400
    code = "unknown_invoice"
    param = "after"


def latest(tenant: Tenant, *, limit: int = 20, after: str | None = None, retry: bool = True) -> Page:
    """Newest first; `after` is the id of the last one that was shown. A page that shows more than invoices does not
    `retry`. Raises BillingError.
    """
    customer = Subscription.objects.values_list("stripe_customer_id", flat=True).get(tenant=tenant)
    if not customer:
        return Page([], False)
    configuration.require()
    asked: Object = {"customer": customer, "limit": limit}
    if after:
        if not re.fullmatch(r"in_\w{1,100}", after, re.ASCII):
            raise NoSuchInvoice(_("“after” is the id of an invoice: in_…."))
        asked["starting_after"] = after
    try:
        answer = ask(v1().invoices.list, asked, {} if retry else {"max_network_retries": 0})
    except Refused as error:
        if error.stripe_code == "resource_missing" and after:
            raise NoSuchInvoice(_("There is no invoice “%(id)s” here.") % {"id": after}) from error
        raise
    return Page([_invoice(each) for each in answer["data"]], answer["has_more"])


def _invoice(raw: Object) -> Invoice:
    return Invoice(
        id=raw["id"],
        number=raw["number"],
        status=raw["status"],
        currency=raw["currency"],
        total_usd=cents(raw["total"]),
        paid_usd=cents(raw["amount_paid"]),
        due_usd=cents(raw["amount_remaining"]),
        created_at=moment(raw["created"]),
        period_start=moment(raw["period_start"]),
        period_end=moment(raw["period_end"]),
        url=raw.get("hosted_invoice_url"),
        pdf_url=raw.get("invoice_pdf"),
    )
