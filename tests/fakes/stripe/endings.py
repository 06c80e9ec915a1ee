"""How subscriptions end by a call: canceled now, with their customer; and how a paused one goes on."""

from __future__ import annotations

from tests.fakes.stripe import changes, invoices, lines, renewal, standing
from tests.fakes.stripe.account import Account
from tests.fakes.stripe.changes import items_of
from tests.fakes.stripe.faults import Object, invalid


def cancel(account: Account, given: Object, id_: str) -> Object:
    """Ends it now. `invoice_now` bills what was used, `prorate` gives back what was not."""
    subscription = account.get("subscription", id_)
    if subscription["status"] in standing.ENDED:
        raise invalid(f"No such subscription: {id_}", "id", "resource_missing", status=404)
    subscription["cancellation_details"] |= given.get("cancellation_details", {})
    now = account.now()
    if given.get("prorate"):
        for item in items_of(subscription):
            lines.credit_rest(account, subscription, item, now)
    arrears = renewal.take_arrears(account, subscription, now) if given.get("invoice_now") else []
    invoice = renewal.bill_now(account, subscription, [], arrears) if given.get("invoice_now") else None
    standing.end_now(account, subscription)
    if invoice:
        invoices.advance(account, invoice)
    return subscription


def resume(account: Account, given: Object, id_: str) -> Object:
    """A paused one begins a period now. It stays paused until the invoice for that is paid."""
    subscription = account.get("subscription", id_)
    if subscription["status"] != "paused":
        raise invalid(f"Only paused subscriptions can be resumed. This one is {subscription['status']}.")
    if given.get("billing_cycle_anchor", "now") != "now":
        raise invalid("The fake resumes with billing_cycle_anchor=now only.", "billing_cycle_anchor")
    with account.changing(subscription, "customer.subscription.updated"):
        now = account.now()
        for item in items_of(subscription):
            account.notes[item["id"]]["since"] = now
        changes.begin_period(subscription, now, now)
        invoice = renewal.bill_now(account, subscription, renewal.advance_lines(account, subscription), [])
    if invoice and invoices.advance(account, invoice):
        return subscription
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["status"] = "active"
    account.tell("customer.subscription.resumed", subscription)
    return subscription


def delete_customer(account: Account, given: Object, id_: str) -> Object:
    """Their subscriptions end at once."""
    customer = account.get("customer", id_)
    for subscription in account.all("subscription", customer=id_):
        if subscription["status"] not in standing.ENDED:
            standing.end_now(account, subscription)
    account.tell("customer.deleted", customer)
    return account.remove(customer, remembered=True)
