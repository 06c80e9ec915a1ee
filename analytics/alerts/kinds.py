"""Every kind of alert, as a table: what it watches, its thresholds and their bounds, who hears of it, what it says.

A kind's `line` is filled from the event's facts; `title` stands in subjects and lists.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
    help: str
    whole: bool = False
    many: bool = False


class Kind(NamedTuple):
    name: str
    title: str
    watches: str
    line: str
    thresholds: tuple[Threshold, ...] = ()
    roles: tuple[str, ...] = MANAGERS
    channels: tuple[str, ...] = CHANNELS
    # Where a fact of the title is not known.
    plain_title: str = ""

    def defaults(self) -> dict[str, Any]:
        return {
            one.name: list(one.default) if isinstance(one.default, tuple) else one.default for one in self.thresholds
        }


_PERCENTS = Threshold(
    "percents", (50, 80, 100), 1, 1_000, "Shares of the limit, in percent; each is told once.", whole=True, many=True
)
_QUOTA = "{used} of {limit} {what} ({percent} % reached) in the period from {span}."
_BUDGET = "{used_usd} of {limit_usd} USD ({percent} % reached) {span_words}. The budget is {mode_words}."

_TABLE = (
    Kind(
        "quota_requests",
        "Requests of the month: {percent} % used",
        "Requests of the billing period against the workspace's and each key's monthly limit.",
        _QUOTA,
        (_PERCENTS,),
    ),
    Kind(
        "quota_tokens",
        "Tokens of the month: {percent} % used",
        "Tokens of the billing period against the workspace's and each key's monthly limit.",
        _QUOTA,
        (_PERCENTS,),
    ),
    Kind(
        "budget_daily",
        "Budget of the day: {percent} % spent",
        "What providers charge in the UTC day against the workspace's and each key's daily budget.",
        _BUDGET,
        (_PERCENTS,),
    ),
    Kind(
        "budget_monthly",
        "Budget of the month: {percent} % spent",
        "What providers charge in the billing period against the workspace's and each key's monthly budget.",
        _BUDGET,
        (_PERCENTS,),
    ),
    Kind(
        "spend_spike",
        "Spending is {times} × the usual",
        "An hour's cost against the mean hour of the 7 days before it; told once a UTC day.",
        "{cost_usd} USD in the hour from {hour}; the mean of the {hours} hours before is {mean_usd} USD.",
        (
            Threshold("factor", 3.0, 1.1, 1_000, "How many times the mean an hour must cost."),
            Threshold("floor_usd", 1.0, 0.01, 1_000_000, "Cheaper hours are never a spike, in USD."),
        ),
        plain_title="Spending has begun",
    ),
    Kind(
        "error_rate",
        "{percent} % of requests fail",
        "The share of requests that fail here or at a provider (5xx, and 429 from a provider); told once an hour.",
        "{failed} of {requests} requests failed in the last {minutes} minutes.",
        (
            Threshold("share", 0.2, 0.001, 1, "Of all requests, 0 to 1."),
            Threshold("minutes", 10, 1, 60, "How far it looks back.", whole=True),
            Threshold("minimum_requests", 20, 1, 1_000_000, "With fewer requests it says nothing.", whole=True),
        ),
    ),
    Kind(
        "drift",
        "The books differ",
        "Whether Redis, records, rollups, ledger and Stripe agree.",
        "The period from {period_start}: {drift_requests} requests, {drift_tokens} tokens and {drift_usd} USD apart.",
        roles=("owner", "finance"),
    ),
    Kind(
        "cache_budget_exceeded",
        "The semantic cache exceeds its wrong-answer budget",
        "Judged answers of the semantic cache against the workspace's wrong-answer budget.",
        "{reason} The semantic tier is {semantic}; its threshold is {threshold}.",
        roles=("owner", "admin", "developer"),
    ),
    Kind("payment_failed", "A payment failed", "Invoices that could not be collected.", "{text}"),
    Kind("payment_recovered", "A payment went through", "Invoices that were collected after all.", "{text}"),
    Kind("trial_ends", "The trial ends soon", "The end of a trial.", "{text}"),
    Kind("plan_changed", "The plan changed", "Changes of the workspace's plan.", "{text}"),
    Kind(
        "webhook_failing",
        "A webhook endpoint fails",
        "Endpoints that have not taken anything for long; they are switched off after 3 days.",
        "{url} has failed since {failing_since}: {error} {consequence}",
        (Threshold("hours", 24, 1, 71, "How long an endpoint must have failed.", whole=True),),
        roles=("owner",),
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}
# Not a rule: it goes to the endpoint that was asked for, once.
_TEST = Kind(TEST, "A test", "Nothing.", "It was sent to see whether it comes.", channels=(WEBHOOK,))


class _Facts(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "–"


def title_of(kind: str, facts: dict[str, Any]) -> str:
    found = _find(kind)
    try:
        return found.title.format_map({name: fact for name, fact in facts.items() if fact is not None})
    except KeyError:
        return (found.plain_title or found.title).format_map(_Facts(facts))


def line_of(kind: str, facts: dict[str, Any]) -> str:
    return _find(kind).line.format_map(_Facts(facts))


def _find(kind: str) -> Kind:
    """Rows of a kind that this version does not have say their name."""
    return _TEST if kind == TEST else KINDS.get(kind) or Kind(kind, kind, "", "")
