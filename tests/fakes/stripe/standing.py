"""What paying or not paying does to a subscription: its status, the next try, and how it ends."""

from __future__ import annotations

from tests.fakes.stripe.account import Account
from tests.fakes.stripe.faults import Object
from tests.fakes.stripe.periods import DAY_S

# Statuses in which nothing is expected of the customer any more.
ENDED = frozenset({"canceled", "incomplete_expired"})


def after_paid(account: Account, invoice: Object, subscription: Object | None) -> None:
    customer = account.objects[invoice["customer"]]
    if customer["delinquent"] and not account.all("invoice", customer=customer["id"], status="open"):
        with account.changing(customer, "customer.updated"):
            customer["delinquent"] = False
    if subscription is None or subscription["status"] in ENDED:
        return
    settles = invoice["billing_reason"] == "subscription_create" or subscription["latest_invoice"] == invoice["id"]
    if settles and subscription["status"] in ("incomplete", "past_due", "unpaid"):
        with account.changing(subscription, "customer.subscription.updated"):
            trial_end = subscription["trial_end"]
            subscription["status"] = "trialing" if trial_end and trial_end > account.now() else "active"


def plan_next_attempt(account: Account, invoice: Object, subscription: Object | None) -> None:
    """When the invoice is tried again, if ever. A first invoice is not: its customer is there to do it."""
    days = account.settings["dunning_days"]
    attempt = invoice["attempt_count"]
    if subscription is None or subscription["status"] in (*ENDED, "incomplete") or attempt > len(days):
        invoice["next_payment_attempt"] = None
    else:
        invoice["next_payment_attempt"] = account.now() + round(days[attempt - 1] * DAY_S)


def after_failed(account: Account, invoice: Object, subscription: Object | None) -> None:
    customer = account.objects[invoice["customer"]]
    if not customer["delinquent"]:
        with account.changing(customer, "customer.updated"):
            customer["delinquent"] = True
    if subscription is None or subscription["status"] in (*ENDED, "incomplete"):
        return
    if invoice["next_payment_attempt"] is None and subscription["status"] in ("active", "past_due"):
        end = account.settings["dunning_end"]
        if end == "canceled":
            end_now(account, subscription, "payment_failed")
        else:
            _become(account, subscription, end)
    elif subscription["status"] == "active":
        _become(account, subscription, "past_due")


def _become(account: Account, subscription: Object, status: str) -> None:
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["status"] = status


def end_now(account: Account, subscription: Object, reason: str = "cancellation_requested") -> None:
    """Canceled from this moment on. Open invoices stay open, but nobody tries them any more."""
    now = account.now()
    schedule = account.find(subscription["schedule"])
    subscription.update(status="canceled", ended_at=now, schedule=None, pending_update=None)
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["cancellation_details"]["reason"] = subscription["cancellation_details"]["reason"] or reason
    for invoice in account.all("invoice", status="open"):
        details = (invoice["parent"] or {}).get("subscription_details") or {}
        if details.get("subscription") == subscription["id"]:
            invoice.update(next_payment_attempt=None, auto_advance=False)
    if schedule:
        schedule.update(status="canceled", canceled_at=now, subscription=None, current_phase=None)
        account.tell("subscription_schedule.canceled", schedule)
    account.tell("customer.subscription.deleted", subscription)
