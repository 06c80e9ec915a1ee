"""An invoice from draft to paid, failed or void: its totals, its number, the customer's balance."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fakes.stripe import charging, lines, payments, standing
from tests.fakes.stripe.account import Account, random_text
from tests.fakes.stripe.coupons import drop_over, spend
from tests.fakes.stripe.faults import Fault, Object, invalid

# A renewal's invoice stays a draft that long, so that late usage is still on it.
DRAFT_S = 3600
# Less than this is not charged: the customer's balance owes it.
SMALLEST_CHARGE_CENTS = 50

_FIXED_FIELDS: Object = {
    "account_tax_ids": None,
    "amount_due": 0,
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_remaining": 0,
    "amount_shipping": 0,
    "application": None,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "automatically_finalizes_at": None,
    "custom_fields": None,
    "customer_account": None,
    "customer_shipping": None,
    "default_payment_method": None,
    "default_source": None,
    "default_tax_rates": [],
    "description": None,
    "due_date": None,
    "effective_at": None,
    "ending_balance": None,
    "footer": None,
    "from_invoice": None,
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "issuer": {"type": "self"},
    "last_finalization_error": None,
    "latest_revision": None,
    "next_payment_attempt": None,
    "number": None,
    "on_behalf_of": None,
    "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "receipt_number": None,
    "rendering": None,
    "shipping_cost": None,
    "shipping_details": None,
    "starting_balance": 0,
    "statement_descriptor": None,
    "status": "draft",
    "test_clock": None,
    "total_pretax_credit_amounts": [],
    "webhooks_delivered_at": None,
}


def draft(
    account: Account,
    customer: Object,
    reason: str,
    subscription: Object | None = None,
    *,
    fixed: Sequence[Object] = (),
    arrears: Sequence[Object] = (),
    period: tuple[int, int] | None = None,
) -> Object:
    """A draft with what waits for it. `fixed` are lines for sure, `arrears` usage that is counted again at the end."""
    if subscription:
        drop_over(account, subscription)
    waited = lines.waiting(account, customer["id"], subscription["id"] if subscription else None)
    known = [*fixed, *(lines.line_of(account, each) for each in waited)]
    now = account.now()
    source = subscription or {}
    fields: Object = {
        **{name: value.copy() if isinstance(value, (dict, list)) else value for name, value in _FIXED_FIELDS.items()},
        "account_country": "US",
        "account_name": "Fake Stripe",
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": bool(source.get("automatic_tax", {}).get("enabled")),
            "liability": None,
            "provider": None,
            "status": None,
        },
        "billing_reason": reason,
        "collection_method": source.get("collection_method", "charge_automatically"),
        "currency": source.get("currency") or customer["currency"] or "usd",
        "customer": customer["id"],
        "discounts": list(source.get("discounts", [])),
        "metadata": {},
        "parent": _parent(subscription) if subscription else None,
        "period_start": period[0] if period else now,
        "period_end": period[1] if period else now,
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
    }
    invoice = account.add("invoice", fields, fixed=known, arrears=list(arrears))
    for each in waited:
        each["invoice"] = invoice["id"]
    compute(account, invoice)
    lines.bill_debits(account, invoice["lines"]["data"])
    account.tell("invoice.created", invoice)
    return invoice


def _parent(subscription: Object) -> Object:
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def subscription_of(account: Account, invoice: Object) -> Object | None:
    details = (invoice["parent"] or {}).get("subscription_details")
    return account.find(details["subscription"]) if details else None


def compute(account: Account, invoice: Object) -> None:
    """The lines and every total, from the draft's notes and the customer as they are now."""
    customer, notes = account.objects[invoice["customer"]], account.notes[invoice["id"]]
    usage = [lines.usage_of(account, each, customer["id"]) for each in notes["arrears"]]
    if usage != notes.get("usage"):
        notes["usage"] = usage
        used = [line for each in notes["arrears"] for line in lines.arrears_lines(account, each, customer["id"])]
        notes["lines"] = [*notes["fixed"], *used]
    all_lines = notes["lines"]
    for line in all_lines:
        line.update(invoice=invoice["id"], discount_amounts=[], taxes=[])
    charging.discount_lines(account, all_lines, invoice["discounts"])
    if invoice["automatic_tax"]["enabled"]:
        invoice["automatic_tax"] |= {"status": charging.tax_lines(all_lines, customer), "provider": "stripe"}
    url = f"/v1/invoices/{invoice['id']}/lines"
    invoice["lines"] = {
        "object": "list",
        "data": all_lines,
        "has_more": False,
        "total_count": len(all_lines),
        "url": url,
    }
    invoice.update(_totals(all_lines, invoice["discounts"]))
    invoice.update(_customer_fields(account, customer))
    invoice["amount_due"] = invoice["amount_remaining"] = max(0, invoice["total"] + min(0, customer["balance"]))


def _totals(all_lines: list[Object], discounts: list[str]) -> Object:
    subtotal = sum(line["amount"] for line in all_lines)
    taken = dict.fromkeys(discounts, 0)
    taxes: dict[str, Object] = {}
    for line in all_lines:
        for each in line["discount_amounts"]:
            taken[each["discount"]] = taken.get(each["discount"], 0) + each["amount"]
        for tax in line["taxes"]:
            summed = taxes.setdefault(tax["tax_rate_details"]["tax_rate"], {**tax, "amount": 0, "taxable_amount": 0})
            summed["amount"] += tax["amount"]
            summed["taxable_amount"] += tax["taxable_amount"]
    without_tax = subtotal - sum(taken.values())
    return {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": without_tax + sum(tax["amount"] for tax in taxes.values()),
        "total_discount_amounts": [{"amount": amount, "discount": id_} for id_, amount in taken.items()],
        "total_excluding_tax": without_tax,
        "total_taxes": list(taxes.values()),
    }


def _customer_fields(account: Account, customer: Object) -> Object:
    return {
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [
            {"type": each["type"], "value": each["value"]} for each in account.all("tax_id", customer=customer["id"])
        ],
    }


def finalize(account: Account, invoice: Object) -> None:
    """Gives it a number and makes it payable; one of nothing is paid by that. Without a place for its tax it stays."""
    with account.changing(invoice, "invoice.updated"):
        compute(account, invoice)
        if invoice["automatic_tax"]["status"] == "requires_location_inputs":
            message = "The customer's location isn't recognized. Set a valid customer address to calculate tax."
            code = "customer_tax_location_invalid"
            invoice["last_finalization_error"] = {"code": code, "message": message, "type": "invalid_request_error"}
            invoice["automatically_finalizes_at"] = None
            account.tell("invoice.finalization_failed", invoice)
            return
        customer, now = account.objects[invoice["customer"]], account.now()
        token = f"{account.url}/i/{invoice['id']}/{random_text(24)}"
        account.notes[invoice["id"]]["token"] = token.rpartition("/")[2]
        invoice.update(
            status="open",
            number=f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}",
            hosted_invoice_url=token,
            invoice_pdf=f"{token}/pdf",
            effective_at=now,
            automatically_finalizes_at=None,
            last_finalization_error=None,
        )
        invoice["status_transitions"]["finalized_at"] = now
        _settle_balance(account, invoice, customer)
    subscription = subscription_of(account, invoice)
    if subscription:
        spend(account, subscription)
    account.tell("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        paid(account, invoice, None)
    else:
        payments.expect(account, invoice)


def _settle_balance(account: Account, invoice: Object, customer: Object) -> None:
    """A credit pays first; what is negative, or too little to charge, goes to the balance."""
    before, total = customer["balance"], invoice["total"]
    due = max(0, total + min(0, before))
    after = before + total - due if total < 0 or before < 0 else before
    if 0 < due < SMALLEST_CHARGE_CENTS:
        after, due = after + due, 0
    with account.changing(customer, "customer.updated"):
        customer["balance"] = after
        customer["next_invoice_sequence"] += 1
        customer["currency"] = customer["currency"] or invoice["currency"]
    invoice.update(starting_balance=before, ending_balance=after, amount_due=due, amount_remaining=due)


def paid(account: Account, invoice: Object, charge: Object | None) -> None:
    with account.changing(invoice, "invoice.updated"):
        invoice.update(
            status="paid",
            amount_paid=invoice["amount_due"],
            amount_remaining=0,
            attempted=True,
            next_payment_attempt=None,
            auto_advance=False,
        )
        invoice["attempt_count"] += 1 if charge else 0
        invoice["status_transitions"]["paid_at"] = account.now()
    account.tell("invoice.paid", invoice)
    account.tell("invoice.payment_succeeded", invoice)
    standing.after_paid(account, invoice, subscription_of(account, invoice))


def collect(account: Account, invoice: Object, method: str | None = None) -> Fault | None:
    """Tries to charge an open invoice once; the refusal, if there was one. What follows from it has happened."""
    subscription = subscription_of(account, invoice)
    method = method or payments.method_for(account, invoice, subscription)
    try:
        charge = payments.charge(account, invoice, method)
    except Fault as fault:
        with account.changing(invoice, "invoice.updated"):
            invoice["attempted"] = True
            invoice["attempt_count"] += 1
            standing.plan_next_attempt(account, invoice, subscription)
        account.tell("invoice.payment_failed", invoice)
        standing.after_failed(account, invoice, subscription)
        return fault
    paid(account, invoice, charge)
    return None


def advance(account: Account, invoice: Object) -> Fault | None:
    """What Stripe does on its own with a draft that is ready: finalizes it and charges it."""
    finalize(account, invoice)
    if invoice["status"] != "open" or invoice["collection_method"] != "charge_automatically":
        return None
    return collect(account, invoice)


def void(account: Account, invoice: Object) -> None:
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(f"You can only void open or uncollectible invoices. This one is {invoice['status']}.", "invoice")
    with account.changing(invoice, "invoice.updated"):
        invoice.update(status="void", next_payment_attempt=None, auto_advance=False)
        invoice["status_transitions"]["voided_at"] = account.now()
    payments.cancel(account, invoice)
    account.tell("invoice.voided", invoice)
