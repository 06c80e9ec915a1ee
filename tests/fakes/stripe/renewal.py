"""What happens to a subscription when its time comes: a new period, the end of a trial, its own end."""

from __future__ import annotations

from tests.fakes.stripe import invoices, lines, periods, standing
from tests.fakes.stripe.account import Account
from tests.fakes.stripe.changes import begin_period, items_of, period_of
from tests.fakes.stripe.faults import Fault, Object
from tests.fakes.stripe.periods import DAY_S

TRIAL_NOTICE_S = 3 * DAY_S
INCOMPLETE_S = 23 * 3600


def advance_lines(account: Account, subscription: Object, *, trial: bool = False) -> list[Object]:
    """The licensed items for the period they are in."""
    licensed = [each for each in items_of(subscription) if not lines.is_metered(each)]
    return [line for item in licensed for line in lines.advance_lines(account, item, trial=trial)]


def take_arrears(account: Account, subscription: Object, until: int) -> list[Object]:
    """The metered items' time that is over; it is taken only once."""
    taken = lines.take_owed(account, subscription)
    for item in items_of(subscription):
        since = lines.metered_since(account, item)
        if lines.is_metered(item) and since < until:
            taken.append(lines.arrears(item, since, until))
            account.notes[item["id"]]["since"] = until
    return taken


def renew(account: Account, subscription: Object) -> Object | None:
    """A period is over: usage of it and the next one's fees go on an invoice, which is a draft for an hour."""
    start, end = period_of(subscription)
    trial = subscription["status"] == "trialing"
    if trial and _without_method(account, subscription):
        return None
    with account.changing(subscription, "customer.subscription.updated"):
        if trial:
            # Nothing that was used during it is billed.
            for item in items_of(subscription):
                account.notes[item["id"]]["since"] = end
            subscription["status"] = "active"
            subscription["billing_cycle_anchor"] = end
        arrears = take_arrears(account, subscription, end)
        begin_period(subscription, end, subscription["billing_cycle_anchor"])
        fixed = advance_lines(account, subscription)
        invoice = _cycle_draft(account, subscription, fixed, arrears, (start, end))
        if invoice:
            subscription["latest_invoice"] = invoice["id"]
    account.notes[subscription["id"]].pop("upcoming_told", None)
    return invoice


def _cycle_draft(
    account: Account, subscription: Object, fixed: list[Object], arrears: list[Object], period: tuple[int, int]
) -> Object | None:
    customer = account.objects[subscription["customer"]]
    if not fixed and not arrears and not lines.waiting(account, customer["id"], subscription["id"]):
        return None
    with account.quiet():
        invoice = invoices.draft(
            account, customer, "subscription_cycle", subscription, fixed=fixed, arrears=arrears, period=period
        )
        # An unpaid subscription's invoices pile up as drafts.
        collected = subscription["status"] not in ("unpaid", "paused")
        invoice["auto_advance"] = collected
        invoice["automatically_finalizes_at"] = account.now() + invoices.DRAFT_S if collected else None
    account.tell("invoice.created", invoice)
    return invoice


def _without_method(account: Account, subscription: Object) -> bool:
    """A trial that ends with no card may end the subscription, if that was asked for."""
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    customer = account.objects[subscription["customer"]]
    has = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    if has or behavior == "create_invoice":
        return False
    if behavior == "cancel":
        standing.end_now(account, subscription)
    else:
        with account.changing(subscription, "customer.subscription.updated"):
            subscription["status"] = "paused"
        account.tell("customer.subscription.paused", subscription)
    return True


def end_trial(account: Account, subscription: Object) -> Fault | None:
    """`trial_end=now`: the first paid period begins, and is charged at once."""
    invoice = begin_paying(account, subscription)
    return invoices.advance(account, invoice) if invoice else None


def begin_paying(account: Account, subscription: Object) -> Object | None:
    """The draft for the first paid period."""
    now = account.now()
    with account.changing(subscription, "customer.subscription.updated"):
        subscription.update(status="active", trial_end=now)
        for item in items_of(subscription):
            account.notes[item["id"]]["since"] = now
        begin_period(subscription, now, now)
        return bill_now(account, subscription, advance_lines(account, subscription), [])


def bill_now(account: Account, subscription: Object, fixed: list[Object], arrears: list[Object]) -> Object | None:
    """A draft for what is due at this moment, waiting items included; none when that is nothing."""
    customer = account.objects[subscription["customer"]]
    if not fixed and not arrears and not lines.waiting(account, customer["id"], subscription["id"]):
        return None
    period = (period_of(subscription)[0], account.now())
    invoice = invoices.draft(
        account, customer, "subscription_update", subscription, fixed=fixed, arrears=arrears, period=period
    )
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def finish(account: Account, subscription: Object) -> None:
    """It ends when its period does: what was used is billed a last time."""
    with account.changing(subscription, "customer.subscription.updated"):
        arrears = take_arrears(account, subscription, account.now())
        invoice = _cycle_draft(account, subscription, [], arrears, period_of(subscription)) if arrears else None
        if invoice:
            subscription["latest_invoice"] = invoice["id"]
    standing.end_now(account, subscription)


def expire_incomplete(account: Account, subscription: Object) -> None:
    """Its first invoice was not paid in time."""
    with account.changing(subscription, "customer.subscription.updated"):
        subscription.update(status="incomplete_expired", ended_at=account.now())
    invoice = account.find(subscription["latest_invoice"])
    if invoice and invoice["status"] == "open":
        invoices.void(account, invoice)


def tell_upcoming(account: Account, subscription: Object) -> None:
    """`invoice.upcoming`: the next invoice as it stands, without an id."""
    account.notes[subscription["id"]]["upcoming_told"] = True
    with account.undone(), account.quiet():
        preview = next_invoice(account, subscription)
    if preview:
        account.tell("invoice.upcoming", {name: value for name, value in preview.items() if name != "id"})


def next_invoice(account: Account, subscription: Object) -> Object | None:
    """What the next period's invoice will be if nothing changes. To be called where everything is undone."""
    offset = account.offset_s
    try:
        account.set_clock(max(account.now(), period_of(subscription)[1]))
        invoice = renew(account, subscription)
    finally:
        account.offset_s = offset
    if invoice:
        invoice.update(billing_reason="upcoming", next_payment_attempt=period_of(subscription)[0] + invoices.DRAFT_S)
        invoice.update(automatically_finalizes_at=None)
    return invoice


def due_times(account: Account, subscription: Object) -> list[tuple[int, str]]:
    """When which of these is next for a subscription."""
    notes, status = account.notes[subscription["id"]], subscription["status"]
    if status in standing.ENDED or status == "paused":
        return []
    if status == "incomplete":
        return [(subscription["created"] + INCOMPLETE_S, "expire_incomplete")]
    end = period_of(subscription)[1]
    ends_at = subscription["cancel_at"]
    due = [(end, "renew")]
    if ends_at is not None:
        due.append((ends_at, "finish"))
    elif not notes.get("upcoming_told"):
        due.append((end - account.settings["upcoming_days"] * periods.DAY_S, "tell_upcoming"))
    if status == "trialing" and not notes.get("trial_told"):
        due.append((subscription["trial_end"] - TRIAL_NOTICE_S, "tell_trial_end"))
    return due


def tell_trial_end(account: Account, subscription: Object) -> None:
    account.notes[subscription["id"]]["trial_told"] = True
    account.tell("customer.subscription.trial_will_end", subscription)
