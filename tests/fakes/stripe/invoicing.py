"""Invoices in the API: list, preview, finalize, pay, void; their lines, their payments, and items of one's own."""

from __future__ import annotations

from decimal import Decimal

from tests.fakes.stripe import charging, invoices, lines, payments, renewal, subscriptions
from tests.fakes.stripe.account import Account, merged_metadata, newest_first
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.charging import Part
from tests.fakes.stripe.coupons import redeem
from tests.fakes.stripe.customers import require_method
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.rendering import page, shown, within


def listing(account: Account, given: Object) -> Object:
    chosen = equal(account.all("invoice"), given, ("customer", "status", "collection_method"))
    if "subscription" in given:
        chosen = [each for each in chosen if (_subscription_id(each)) == given["subscription"]]
    return page(account, newest_first(within(chosen, "created", given.get("created"))), given, "/v1/invoices")


def _subscription_id(invoice: Object) -> str | None:
    return ((invoice["parent"] or {}).get("subscription_details") or {}).get("subscription")


def list_lines(account: Account, given: Object, id_: str) -> Object:
    invoice = account.get("invoice", id_)
    return page(account, invoice["lines"]["data"], given, f"/v1/invoices/{id_}/lines")


def create(account: Account, given: Object) -> Object:
    """A draft of the customer's own waiting items; nothing is charged on its own."""
    if "customer" not in given:
        raise missing("customer")
    customer = account.get("customer", given["customer"], "customer")
    if "subscription" in given:
        subscription = account.get("subscription", given["subscription"], "subscription")
        invoice = invoices.draft(account, customer, "subscription_update", subscription)
    else:
        invoice = invoices.draft(account, customer, "manual")
    invoice["auto_advance"] = given.get("auto_advance", False)
    invoice["automatically_finalizes_at"] = account.now() + invoices.DRAFT_S if invoice["auto_advance"] else None
    invoice["metadata"] = given.get("metadata", {})
    invoice["description"] = given.get("description")
    return invoice


def update(account: Account, given: Object, id_: str) -> Object:
    invoice = account.get("invoice", id_)
    if given.get("default_payment_method"):
        require_method(account, given["default_payment_method"], invoice["customer"], "default_payment_method")
    with account.changing(invoice, "invoice.updated"):
        for name in ("auto_advance", "default_payment_method", "description", "footer"):
            invoice[name] = given.get(name, invoice[name])
        if "metadata" in given:
            invoice["metadata"] = merged_metadata(invoice["metadata"], given["metadata"])
    return invoice


def delete(account: Account, given: Object, id_: str) -> Object:
    invoice = account.get("invoice", id_)
    _require_draft(invoice, "delete")
    account.tell("invoice.deleted", invoice)
    return account.remove(invoice)


def _require_draft(invoice: Object, verb: str) -> None:
    if invoice["status"] != "draft":
        message = f"You can only {verb} draft invoices. This one is {invoice['status']}."
        raise invalid(message, code="invoice_not_editable")


def finalize(account: Account, given: Object, id_: str) -> Object:
    invoice = account.get("invoice", id_)
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    invoices.finalize(account, invoice)
    if invoice["status"] == "open" and given.get("auto_advance", invoice["auto_advance"]):
        invoice["next_payment_attempt"] = account.now() + invoices.DRAFT_S
    if invoice["last_finalization_error"]:
        raise invalid(invoice["last_finalization_error"]["message"], code="customer_tax_location_invalid")
    return invoice


def pay(account: Account, given: Object, id_: str) -> Object:
    """A refused card is a 402, and counts as a try."""
    invoice = account.get("invoice", id_)
    if invoice["status"] == "draft":
        invoices.finalize(account, invoice)
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(f"This invoice can no longer be paid: it is {invoice['status']}.", code="invoice_not_payable")
    if given.get("paid_out_of_band"):
        payments.cancel(account, invoice)
        invoices.paid(account, invoice, None)
        return invoice
    if "payment_method" in given:
        require_method(account, given["payment_method"], invoice["customer"], "payment_method")
    fault = invoices.collect(account, invoice, given.get("payment_method"))
    if fault:
        raise fault
    return invoice


def void(account: Account, given: Object, id_: str) -> Object:
    invoice = account.get("invoice", id_)
    invoices.void(account, invoice)
    return invoice


def mark_uncollectible(account: Account, given: Object, id_: str) -> Object:
    invoice = account.get("invoice", id_)
    if invoice["status"] != "open":
        raise invalid("You can only mark open invoices as uncollectible.")
    with account.changing(invoice, "invoice.updated"):
        invoice.update(status="uncollectible", next_payment_attempt=None)
        invoice["status_transitions"]["marked_uncollectible_at"] = account.now()
    account.tell("invoice.marked_uncollectible", invoice)
    return invoice


def list_payments(account: Account, given: Object) -> Object:
    chosen = equal(account.all("invoice_payment"), given, ("invoice", "status"))
    return page(account, newest_first(chosen), given, "/v1/invoice_payments")


# Previews


def preview(account: Account, given: Object) -> Object:
    """The next invoice, or the one that a change would make; nothing of it stays."""
    for name in ("schedule", "schedule_details", "invoice_items"):
        if name in given:
            raise invalid(f"The fake previews no {name}.", name)
    with account.undone(), account.quiet():
        invoice = _preview(account, given)
        if invoice is None:
            who = given.get("customer") or given.get("subscription")
            raise invalid(f"No upcoming invoices for customer: {who}", code="invoice_upcoming_none", status=404)
        invoice.update(status="draft", number=None, hosted_invoice_url=None, invoice_pdf=None)
        return {**shown(account, invoice, given.get("expand")), "id": f"upcoming_{invoice['id']}"}


def _preview(account: Account, given: Object) -> Object | None:
    details = given.get("subscription_details", {})
    if "subscription" not in given:
        return _preview_of_new(account, given, details)
    subscription = account.get("subscription", given["subscription"], "subscription")
    if "discounts" in given:
        account.notes[subscription["id"]].pop("debits", None)
        subscription["discounts"] = redeem(account, given["discounts"] or [], subscription)
    behavior = details.get("proration_behavior", "create_prorations")
    subscriptions.set_cancellation(account, subscription, details)
    if details.get("cancel_now"):
        arrears = renewal.take_arrears(account, subscription, account.now())
        return renewal.bill_now(account, subscription, [], arrears)
    now_due = subscriptions.change(account, subscription, details, behavior)
    if details.get("trial_end") == "now" and subscription["status"] == "trialing":
        return renewal.begin_paying(account, subscription)
    if now_due:
        return now_due
    if given.get("preview_mode") == "recurring":
        for each in lines.waiting(account, subscription["customer"], subscription["id"]):
            each["invoice"] = "none"
    if subscription["cancel_at"] is not None and not _has_waiting(account, subscription):
        return None
    return renewal.next_invoice(account, subscription)


def _has_waiting(account: Account, subscription: Object) -> bool:
    metered = any(map(lines.is_metered, subscription["items"]["data"]))
    return metered or bool(lines.waiting(account, subscription["customer"], subscription["id"]))


def _preview_of_new(account: Account, given: Object, details: Object) -> Object | None:
    if "customer" not in given:
        raise missing("customer")
    customer = account.get("customer", given["customer"], "customer")
    if not details.get("items"):
        active = [each for each in account.all("subscription", customer=customer["id"]) if each["status"] != "canceled"]
        return _preview(account, {**given, "subscription": active[-1]["id"]}) if active else None
    wanted = {
        "items": details["items"],
        "discounts": given.get("discounts") or [],
        "payment_behavior": "default_incomplete",
    }
    if "trial_end" in details:
        wanted["trial_end"] = details["trial_end"]
    wanted["automatic_tax"] = given.get("automatic_tax", {"enabled": False})
    subscription, _ = subscriptions.begin(account, customer, wanted)
    return account.find(subscription["latest_invoice"])


# Invoice items of one's own


def create_item(account: Account, given: Object) -> Object:
    if "customer" not in given:
        raise missing("customer")
    customer = account.get("customer", given["customer"], "customer")
    if ("amount" in given) == ("pricing" in given):
        raise invalid("You must give either `amount` or `pricing`.", "amount", "parameter_missing")
    quantity = given.get("quantity", 1)
    price = account.get("price", given["pricing"]["price"], "pricing[price]") if "pricing" in given else None
    part = charging.parts(account, price, quantity)[0] if price else Part(1, Decimal(given["amount"]), given["amount"])
    subscription = (
        account.get("subscription", given["subscription"], "subscription") if "subscription" in given else None
    )
    now = account.now()
    details = {"subscription": subscription["id"], "subscription_item": None} if subscription else None
    made = account.add(
        "invoiceitem",
        {
            "amount": part.amount,
            "currency": given.get("currency") or (price or {}).get("currency") or customer["currency"] or "usd",
            "customer": customer["id"],
            "customer_account": None,
            "date": now,
            "description": given.get("description") or (lines.product_name(account, price) if price else None),
            "discountable": given.get("discountable", part.amount > 0),
            "discounts": [],
            "frozen_fields": None,
            "invoice": None,
            "metadata": given.get("metadata", {}),
            "net_amount": part.amount,
            "parent": {"subscription_details": details, "type": "subscription_details"} if details else None,
            "period": given.get("period", {"start": now, "end": now}),
            "pricing": lines.pricing(price, part.unit) if price else None,
            "proration": False,
            "proration_details": None,
            "quantity": part.quantity,
            "quantity_decimal": str(part.quantity),
            "tax_rates": [],
            "test_clock": None,
        },
    )
    del made["created"]
    if "invoice" in given:
        _add_to(account, account.get("invoice", given["invoice"], "invoice"), made)
    account.tell("invoiceitem.created", made)
    return made


def _add_to(account: Account, invoice: Object, made: Object) -> None:
    _require_draft(invoice, "add items to")
    made["invoice"] = invoice["id"]
    notes = account.notes[invoice["id"]]
    notes["fixed"].append(lines.line_of(account, made))
    # All is counted again.
    notes.pop("usage", None)
    with account.changing(invoice, "invoice.updated"):
        invoices.compute(account, invoice)


def delete_item(account: Account, given: Object, id_: str) -> Object:
    made = account.get("invoiceitem", id_)
    if made["invoice"] is not None:
        raise invalid("Only items that are on no invoice yet can be deleted here.", code="invoice_not_editable")
    account.tell("invoiceitem.deleted", made)
    return account.remove(made)


def list_items(account: Account, given: Object) -> Object:
    chosen = equal(account.all("invoiceitem"), given, ("customer", "invoice"))
    if given.get("pending"):
        chosen = [each for each in chosen if each["invoice"] is None]
    return page(account, newest_first(chosen), given, "/v1/invoiceitems")
