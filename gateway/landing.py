"""The front page: what the gateway does, its example, which really runs, and the plans there are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from analytics.figures import duration, usd
from billing.figures import usd as price
from billing.models import FREE, Plan
from billing.offers import gives, metered
from gateway import showcase
from gateway.errors import GatewayError
from gateway.showcase import SAMPLES, Step
from tenants import addresses, keyspace, onboarding, pace
from tenants.writing import number

logger = logging.getLogger(__name__)

# For one address.
RUNS_PER_MINUTE = 10
# What a bar's width is a share of.
BAR = 100.0


class Line(NamedTuple):
    """A step in words. `kind` is its colour, `bar` its share of the longest, in percent."""

    label: str
    question: str
    kind: str
    outcome: str
    latency: str
    cost: str
    saved: str
    similarity: str
    bar: float


class Example(NamedTuple):
    """`is_live`: it ran just now. `why` says why it did not, where somebody has asked for it."""

    lines: list[Line]
    faster: str
    chosen: int = 0
    is_live: bool = False
    why: str = ""


class Offer(NamedTuple):
    code: str
    name: str
    price: str
    trial_days: int
    gives: list[str]
    metered: list[str]


@require_GET
def landing(request: HttpRequest) -> HttpResponse:
    return _page(request, example_of(showcase.RECORDED))


@require_POST
def run(request: HttpRequest) -> HttpResponse:
    """The example with the question that was chosen; the whole page where no script asks for a part."""
    example = _run(request)
    if request.headers.get("HX-Request"):
        return render(request, "landing/_example.html", {"example": example, "samples": SAMPLES})
    return _page(request, example)


def _run(request: HttpRequest) -> Example:
    chosen = _chosen(request.POST.get("question", ""))
    address = addresses.client_address(request)
    if address is not None:
        key = keyspace.showcase_runs(addresses.neighbourhood(address))
        if pace.wait_s(key, RUNS_PER_MINUTE) is not None:
            return _recorded(chosen, _("That was often. Try again in a minute; these figures were recorded."))
    key_of_it = showcase.find_key()
    if key_of_it is None:
        return _recorded(chosen, _("The example is not set up on this gateway: these figures were recorded."))
    try:
        steps = async_to_sync(showcase.run)(key_of_it.public_id, SAMPLES[chosen])
    except GatewayError as error:
        logger.warning("the front page's example did not run: %s", error)
        return _recorded(chosen, _("The example could not run just now: these figures were recorded."))
    return example_of(steps, chosen, is_live=True)


def _chosen(text: str) -> int:
    return int(text) if text in {str(number) for number in range(len(SAMPLES))} else 0


def _recorded(chosen: int, why: str) -> Example:
    return example_of(showcase.RECORDED)._replace(chosen=chosen, why=why)


def example_of(steps: Sequence[Step], chosen: int = 0, *, is_live: bool = False) -> Example:
    longest_ms = max(step.latency_ms for step in steps)
    labels = (_("First time"), _("Asked again"), _("In other words"))
    lines = [
        Line(
            label,
            step.question,
            step.outcome.lower(),
            step.outcome,
            duration(step.latency_ms),
            usd(step.cost_usd, digits=6),
            usd(step.saved_usd, digits=6),
            "–" if step.similarity is None else number(step.similarity, 3),
            max(0.6, round(BAR * step.latency_ms / longest_ms, 1)),
        )
        for label, step in zip(labels, steps, strict=True)
    ]
    return Example(lines, number(longest_ms / max(steps[1].latency_ms, 0.1)), chosen, is_live)


def _page(request: HttpRequest, example: Example) -> HttpResponse:
    context: dict[str, Any] = {
        "example": example,
        "samples": SAMPLES,
        "model": showcase.MODEL,
        "offers": [
            Offer(plan.code, plan.name, price(plan.price_usd), plan.trial_days, gives(plan), metered(plan))
            for plan in Plan.objects.filter(is_public=True)
        ],
        "free": FREE,
        "base_url": onboarding.base_url(),
    }
    return render(request, "landing.html", context)
