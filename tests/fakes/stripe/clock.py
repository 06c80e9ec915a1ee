"""Time passing: does what is due, in the order of its time, up to a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.fakes.stripe import checkout, invoices, renewal, schedules
from tests.fakes.stripe.account import Account

# At the same moment: a schedule's new phase before the renewal that bills it, an end before a renewal.
ORDER = "phase finish tell_trial_end tell_upcoming renew finalize retry expire expire_incomplete".split()
MOST_STEPS = 100_000


class Due(NamedTuple):
    time: int
    order: int
    action: Callable[[], object]


def catch_up(account: Account) -> None:
    """Does what is due by now."""
    move(account, account.now())


def move(account: Account, to: int) -> int:
    """Sets the clock to a later time and does what is due until then, each at its own time; how much that was."""
    for steps in range(MOST_STEPS):
        due = [each for each in _all_due(account) if each.time <= to]
        if not due:
            if to > account.now():
                account.set_clock(to)
            return steps
        first = min(due, key=lambda each: (each.time, each.order))
        if first.time > account.now():
            account.set_clock(first.time)
        first.action()
    raise AssertionError("Time does not pass: an action stays due.")


def _all_due(account: Account) -> Iterator[Due]:
    for schedule in account.all("subscription_schedule", status="active"):
        for time in schedules.due_times(schedule):
            yield Due(time, ORDER.index("phase"), lambda schedule=schedule: schedules.enter_phase(account, schedule))  # type: ignore[misc]
    for subscription in account.all("subscription"):
        for time, name in renewal.due_times(account, subscription):
            action = getattr(renewal, name)
            yield Due(time, ORDER.index(name), lambda action=action, it=subscription: action(account, it))  # type: ignore[misc]
    for invoice in account.all("invoice", status="draft", auto_advance=True):
        if invoice["automatically_finalizes_at"] is not None:
            at = invoice["automatically_finalizes_at"]
            yield Due(at, ORDER.index("finalize"), lambda it=invoice: invoices.advance(account, it))  # type: ignore[misc]
    for invoice in account.all("invoice", status="open"):
        if invoice["next_payment_attempt"] is not None:
            at = invoice["next_payment_attempt"]
            yield Due(at, ORDER.index("retry"), lambda it=invoice: invoices.collect(account, it))  # type: ignore[misc]
    for session in account.all("checkout.session", status="open"):
        yield Due(session["expires_at"], ORDER.index("expire"), lambda it=session: checkout.expire(account, it))  # type: ignore[misc]
