"""Charging an open invoice: its payment intent, the invoice payment that ties the two, and a charge for each try."""

from __future__ import annotations

from tests.fakes.stripe import cards
from tests.fakes.stripe.account import Account, random_text
from tests.fakes.stripe.faults import Fault, Object, invalid

_INTENT_FIELDS: Object = {
    "amount_capturable": 0,
    "amount_details": {"tip": {}},
    "application": None,
    "application_fee_amount": None,
    "automatic_payment_methods": None,
    "canceled_at": None,
    "cancellation_reason": None,
    "capture_method": "automatic",
    "confirmation_method": "automatic",
    "customer_account": None,
    "excluded_payment_method_types": None,
    "last_payment_error": None,
    "latest_charge": None,
    "metadata": {},
    "next_action": None,
    "on_behalf_of": None,
    "payment_method_configuration_details": None,
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "payment_method_types": ["card"],
    "processing": None,
    "receipt_email": None,
    "review": None,
    "setup_future_usage": "off_session",
    "shipping": None,
    "source": None,
    "statement_descriptor": None,
    "statement_descriptor_suffix": None,
    "transfer_data": None,
    "transfer_group": None,
}
_CHARGE_FIELDS: Object = {
    "amount_refunded": 0,
    "application": None,
    "application_fee": None,
    "application_fee_amount": None,
    "balance_transaction": None,
    "calculated_statement_descriptor": "FAKE STRIPE",
    "captured": True,
    "disputed": False,
    "failure_balance_transaction": None,
    "fraud_details": {},
    "metadata": {},
    "on_behalf_of": None,
    "receipt_email": None,
    "receipt_number": None,
    "receipt_url": None,
    "refunded": False,
    "review": None,
    "shipping": None,
    "source": None,
    "source_transfer": None,
    "statement_descriptor": None,
    "statement_descriptor_suffix": None,
    "transfer_data": None,
    "transfer_group": None,
}
_CARD_FIELDS = "brand checks country exp_month exp_year fingerprint funding last4 regulated_status wallet".split()
NO_METHOD = (
    "This customer has no attached payment source or default payment method. "
    "Please consider adding a default payment method."
)


def expect(account: Account, invoice: Object) -> None:
    """The payment intent of an invoice that has just been finalized."""
    fields = {
        **_INTENT_FIELDS,
        "amount": invoice["amount_due"],
        "amount_received": 0,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": f"Subscription invoice {invoice['number']}",
        "payment_method": None,
        "status": "requires_payment_method",
        "client_secret": f"pi_fake_secret_{random_text(24)}",
    }
    intent = account.add("payment_intent", fields)
    secret = {"client_secret": intent["client_secret"], "type": "payment_intent"}
    account.notes[invoice["id"]] |= {"intent": intent["id"], "secret": secret}
    made = {
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    account.notes[invoice["id"]]["payment"] = account.add("invoice_payment", made)["id"]
    account.tell("payment_intent.created", intent)


def method_for(account: Account, invoice: Object, subscription: Object | None) -> str | None:
    """Which payment method pays: the invoice's own, else the subscription's, else the customer's."""
    customer = account.objects[invoice["customer"]]
    own = invoice["default_payment_method"] or (subscription or {}).get("default_payment_method")
    chosen: str | None = own or customer["invoice_settings"]["default_payment_method"]
    return chosen


def charge(account: Account, invoice: Object, method: str | None) -> Object:
    """One try. Raises the card's refusal after recording it."""
    notes = account.notes[invoice["id"]]
    intent, payment = account.objects[notes["intent"]], account.objects[notes["payment"]]
    if method is None:
        account.tell("payment_intent.payment_failed", intent)
        raise invalid(NO_METHOD, code="resource_missing")
    card = cards.CARDS[account.notes[method]["number"]]
    refused = cards.refusal(card.charged) if card.charged else None
    made = account.add("charge", _charge_fields(account, invoice, intent, method, refused))
    intent.update(payment_method=method, latest_charge=made["id"])
    if refused:
        refused.error |= {"charge": made["id"]}
        intent["last_payment_error"] = {**refused.error, "payment_method": dict(account.objects[method])}
        account.tell("charge.failed", made)
        account.tell("payment_intent.payment_failed", intent)
        raise refused
    intent.update(status="succeeded", amount_received=intent["amount"], last_payment_error=None)
    payment.update(status="paid", amount_paid=intent["amount"])
    payment["status_transitions"]["paid_at"] = account.now()
    account.tell("charge.succeeded", made)
    account.tell("payment_intent.succeeded", intent)
    account.tell("invoice_payment.paid", payment)
    return made


def _charge_fields(account: Account, invoice: Object, intent: Object, method: str, refused: Fault | None) -> Object:
    used = account.objects[method]
    amount = invoice["amount_due"]
    error = refused.error if refused else {}
    return {
        **_CHARGE_FIELDS,
        "amount": amount,
        "amount_captured": 0 if refused else amount,
        "billing_details": used["billing_details"],
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": intent["description"],
        "failure_code": error.get("code"),
        "failure_message": error.get("message"),
        "outcome": {
            "network_status": "declined_by_network" if refused else "approved_by_network",
            "reason": error.get("decline_code"),
            "risk_level": "normal",
            "seller_message": error.get("message", "Payment complete."),
            "type": "issuer_declined" if refused else "authorized",
        },
        "paid": refused is None,
        "payment_intent": intent["id"],
        "payment_method": method,
        "payment_method_details": {"card": {name: used["card"][name] for name in _CARD_FIELDS}, "type": "card"},
        "status": "failed" if refused else "succeeded",
    }


def cancel(account: Account, invoice: Object) -> None:
    """Nobody can pay the invoice here any more: it is void, or was paid elsewhere."""
    intent = account.find(account.notes[invoice["id"]].get("intent"))
    if intent and intent["status"] != "succeeded":
        intent.update(status="canceled", canceled_at=account.now(), cancellation_reason="failed_invoice")
        payment = account.objects[account.notes[invoice["id"]]["payment"]]
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = account.now()
        account.tell("payment_intent.canceled", intent)
