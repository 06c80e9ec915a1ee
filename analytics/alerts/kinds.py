"""Every kind of alert, as a table: what it watches, its thresholds and their bounds, who hears of it, what it says.

A kind's `line` is filled from the event's facts (analytics.alerts.telling); `title` stands in subjects and lists.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

EMAIL, WEBHOOK = "email", "webhook"
CHANNELS = (EMAIL, WEBHOOK)
MANAGERS = ("owner", "admin", "finance")
TEST = "test"


class Threshold(NamedTuple):
    """A number of a rule, or with `many` a list of them."""

    name: str
    default: float | int | tuple[int, ...]
    minimum: float
    maximum: float
    help: Promise
    whole: bool = False
    many: bool = False


class Kind(NamedTuple):
    """Without a `line` it depends on the facts, which analytics.alerts.telling looks at."""

    name: str
    title: Promise | str
    watches: Promise | str
    line: Promise | str
    thresholds: tuple[Threshold, ...] = ()
    roles: tuple[str, ...] = MANAGERS
    channels: tuple[str, ...] = CHANNELS
    # Where a fact of the title is not known.
    plain_title: Promise | str = ""

    def defaults(self) -> dict[str, Any]:
        return {
            one.name: list(one.default) if isinstance(one.default, tuple) else one.default for one in self.thresholds
        }


_PERCENTS = Threshold(
    "percents", (50, 80, 100), 1, 1_000, _("Shares of the limit, in percent; each is told once."), whole=True, many=True
)

_TABLE = (
    Kind(
        "quota_requests",
        _("Requests of the month: {percent} used"),
        _("Requests of the billing period against the workspace's and each key's monthly limit."),
        _("{used} of {limit} requests ({percent} reached) in the period from {span}."),
        (_PERCENTS,),
    ),
    Kind(
        "quota_tokens",
        _("Tokens of the month: {percent} used"),
        _("Tokens of the billing period against the workspace's and each key's monthly limit."),
        _("{used} of {limit} tokens ({percent} reached) in the period from {span}."),
        (_PERCENTS,),
    ),
    Kind(
        "budget_daily",
        _("Budget of the day: {percent} spent"),
        _("What providers charge in the UTC day against the workspace's and each key's daily budget."),
        "",
        (_PERCENTS,),
    ),
    Kind(
        "budget_monthly",
        _("Budget of the month: {percent} spent"),
        _("What providers charge in the billing period against the workspace's and each key's monthly budget."),
        "",
        (_PERCENTS,),
    ),
    Kind(
        "spend_spike",
        _("Spending is {times} × the usual"),
        _("An hour's cost against the mean hour of the 7 days before it; told once a UTC day."),
        _("{cost_usd} USD in the hour from {hour}; the mean of the {hours} hours before is {mean_usd} USD."),
        (
            Threshold("factor", 3.0, 1.1, 1_000, _("How many times the mean an hour must cost.")),
            Threshold("floor_usd", 1.0, 0.01, 1_000_000, _("Cheaper hours are never a spike, in USD.")),
        ),
        plain_title=_("Spending has begun"),
    ),
    Kind(
        "error_rate",
        _("{percent} of requests fail"),
        _("The share of requests that fail here or at a provider (5xx, and 429 from a provider); told once an hour."),
        _("{failed} of {requests} requests failed in the last {minutes} minutes."),
        (
            Threshold("share", 0.2, 0.001, 1, _("Of all requests, 0 to 1.")),
            Threshold("minutes", 10, 1, 60, _("How far it looks back."), whole=True),
            Threshold("minimum_requests", 20, 1, 1_000_000, _("With fewer requests it says nothing."), whole=True),
        ),
    ),
    Kind(
        "drift",
        _("The books differ"),
        _("Whether Redis, records, rollups, ledger and Stripe agree."),
        _(
            "The period from {period_start}: {drift_requests} requests, {drift_tokens} tokens and {drift_usd} USD"
            " apart."
        ),
        roles=("owner", "finance"),
    ),
    Kind(
        "cache_budget_exceeded",
        _("The semantic cache exceeds its wrong-answer budget"),
        _("Judged answers of the semantic cache against the workspace's wrong-answer budget."),
        "",
        roles=("owner", "admin", "developer"),
    ),
    Kind("payment_failed", _("A payment failed"), _("Invoices that could not be collected."), ""),
    Kind(
        "payment_recovered",
        _("A payment went through"),
        _("Invoices that were collected after all."),
        _("The payment for the plan “{plan}” went through."),
    ),
    Kind("trial_ends", _("The trial ends soon"), _("The end of a trial."), ""),
    Kind(
        "plan_changed",
        _("The plan changed"),
        _("Changes of the workspace's plan."),
        _("The workspace changed from the plan “{before}” to “{after}”."),
    ),
    Kind(
        "webhook_failing",
        _("A webhook endpoint fails"),
        _("Endpoints that have not taken anything for long; they are switched off after 3 days."),
        _("{url} has failed since {failing_since}: {error} {consequence}"),
        (Threshold("hours", 24, 1, 71, _("How long an endpoint must have failed."), whole=True),),
        roles=("owner",),
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}
# Not a rule: it goes to the endpoint that was asked for, once.
TEST_KIND = Kind(TEST, _("A test"), _("Nothing."), _("It was sent to see whether it comes."), channels=(WEBHOOK,))
