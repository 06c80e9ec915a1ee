"""What is known of one request, told as its way through the gateway: steps, times, tokens and their price, books.

Only what its record and the sums beside it hold; no prompt and no answer. Sync; within the tenant's schema.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from analytics import bills, figures
from analytics.api.base import names_of_keys
from analytics.bills import Bill
from analytics.events import HIT_EXACT, HIT_SEMANTIC, HITS
from analytics.figures import count, duration, usd
from analytics.models import HOUR_S, UsageRecord, UsageRollup
from analytics.overview import ENDPOINTS
from billing.models import LedgerEntry
from tenants import kept
from tenants.models import Tenant
from tenants.writing import number

FAILED_FROM = 400


class Step(NamedTuple):
    """One station. `state` is its CSS class: passed, answered, failed or skipped; `verdict` says it in words."""

    name: str
    state: str
    verdict: str
    text: str


class Span(NamedTuple):
    """A bar of the waterfall, in percent of the whole."""

    name: str
    kind: str
    start: float
    width: float
    text: str


class Books(NamedTuple):
    """Where it is counted: the sums of its hour, and the ledger's rows of its key, day and period."""

    hour: dt.datetime
    hour_requests: str
    day: dt.date
    rows: str
    day_requests: str
    day_cost: str
    day_saved: str


class Story(NamedTuple):
    record: UsageRecord
    kind: str
    title: str
    endpoint: str
    key: tuple[str, str]
    steps: list[Step]
    spans: list[Span]
    first_token: float | None
    times: list[tuple[str, str]]
    bill: Bill
    why: str
    books: Books


def find(reference: str) -> list[UsageRecord]:
    """By the record's own id; else by the request id, which apps choose, maybe twice. Newest first, two at most."""
    with contextlib.suppress(ValueError):
        if own := list(UsageRecord.objects.filter(pk=uuid.UUID(reference))):
            return own
    return list(UsageRecord.objects.filter(request_id=reference).order_by("-at")[:2])


def story(tenant: Tenant, record: UsageRecord) -> Story:
    spans, first_token = _waterfall(record)
    return Story(
        record=record,
        kind=figures.kind_of(record),
        title=_title(record),
        endpoint=kept.read(ENDPOINTS.get(record.dialect, record.dialect)),
        key=names_of_keys([record.key_id])[record.key_id],
        steps=[_arrival(record), *_cache(record), _provider(record), _ending(record)],
        spans=spans,
        first_token=first_token,
        times=_times(record),
        bill=bills.bill(record),
        why=_why(record),
        books=_books(tenant, record),
    )


def _failed(record: UsageRecord) -> bool:
    return record.status >= FAILED_FROM


def _title(record: UsageRecord) -> str:
    if _failed(record):
        return _("Failed with %(status)s") % {"status": record.status}
    if record.coalesced:
        return _("Shared an answer that was on its way")
    if record.stale:
        return _("Answered from the cache, past its time")
    titles = {
        HIT_EXACT: _("Answered from the cache: the same request"),
        HIT_SEMANTIC: _("Answered from the cache: the same meaning"),
    }
    return titles.get(record.outcome) or _("Answered by a provider")


def _arrival(record: UsageRecord) -> Step:
    text = _("The key was good, and rate limits, quota and budget had room.")
    if record.stream:
        text += " " + _("The app asked for a stream.")
    return Step(_("Edge"), "passed", _("let in"), text)


def _cache(record: UsageRecord) -> list[Step]:
    exact, semantic = _("Exact cache"), _("Semantic cache")
    outcome, asked_not = record.outcome, {"REFRESH", "BYPASS"}
    if outcome in asked_not:
        why = _("Not looked at: the request asked for a fresh answer.")
        if outcome == "BYPASS":
            why = _("Not looked at: this request leaves the cache alone, or its kind is never cached.")
        return [
            Step(exact, "skipped", _("left out"), why),
            Step(semantic, "skipped", _("left out"), _("Not looked at either.")),
        ]
    if outcome == HIT_EXACT and not record.stale:
        found = _("It had the answer to this very request.")
        if record.coalesced:
            found = _("An identical request was under way. This one got its answer, and cost nothing.")
        return [
            Step(exact, "answered", _("answered"), found),
            Step(semantic, "skipped", _("not needed"), _("Not looked at.")),
        ]
    nothing = Step(exact, "passed", _("nothing found"), _("It had no answer to this very request."))
    if outcome == HIT_SEMANTIC and not record.stale:
        return [nothing, Step(semantic, "answered", _("answered"), _similar(record))]
    if record.shadow_saved_usd is not None or (record.entry_id and outcome not in HITS):
        shadow = _(
            "In shadow mode: it would have answered with an entry of similarity %(similarity)s, and only noted it."
        )
        return [
            nothing,
            Step(semantic, "passed", _("only looked"), shadow % {"similarity": _number(record.similarity)}),
        ]
    return [
        nothing,
        Step(
            semantic,
            "passed",
            _("nothing found"),
            _("No entry was similar enough, or a guard refused it, or it is off."),
        ),
    ]


def _similar(record: UsageRecord) -> str:
    return _(
        "An entry's question had similarity %(similarity)s: above the threshold, and no guard found a conflict."
    ) % {"similarity": _number(record.similarity)}


def _number(similarity: float | None) -> str:
    return figures.NOTHING if similarity is None else number(similarity, 3)


def _provider(record: UsageRecord) -> Step:
    name = _("Provider")
    if record.coalesced or (record.outcome in HITS and not record.stale):
        return Step(name, "skipped", _("not needed"), _("Not asked."))
    if record.stale:
        return Step(name, "failed", _("failed"), _("Asked in vain; an entry of the cache stood in."))
    who = record.provider or _("Nobody")
    if record.upstream_model and record.upstream_model != record.model:
        who = f"{who}, {record.upstream_model}"
    if _failed(record):
        return Step(name, "failed", _("failed"), _("%(who)s was the last one asked.") % {"who": who})
    text = _("%(who)s answered.") % {"who": who}
    if record.simulated:
        text += " " + _("It is simulated: no model was asked.")
    if record.variant:
        text += " " + _("An A/B route chose “%(variant)s”.") % {"variant": record.variant}
    if (record.token_details or {}).get("hedged"):
        text += " " + _("Another provider was asked at the same time, and was slower.")
    return Step(name, "answered", _("answered"), text)


def _ending(record: UsageRecord) -> Step:
    name = _("Answer")
    if not _failed(record):
        return Step(name, "passed", _("sent"), _("Status %(status)s, whole.") % {"status": record.status})
    text = _("Status %(status)s: %(error)s.") % {"status": record.status, "error": record.error or _("no code")}
    if record.billed_tokens > 0:
        text += " " + _("It ended half way; what had come was paid for.")
    return Step(name, "failed", _("failed"), text)


def _waterfall(record: UsageRecord) -> tuple[list[Span], float | None]:
    """Who shares an answer has no times but its own; a provider's time ends with the answer."""
    whole = max(record.latency_ms, 0.001)
    if record.coalesced:
        return [Span(_("Waiting for the shared answer"), "shared", 0, 100, duration(whole))], None
    if record.provider_ms is None:
        name = _("Until it had failed") if _failed(record) else _("In the gateway")
        return [Span(name, figures.kind_of(record), 0, 100, duration(whole))], None
    provider = min(record.provider_ms, whole)
    own = round(100 * (whole - provider) / whole, 2)
    first = None
    if record.first_token_ms is not None:
        first = round(100 * min(record.first_token_ms, whole) / whole, 2)
    return [
        Span(_("In the gateway"), "own", 0, own, duration(whole - provider)),
        Span(record.provider or _("Provider"), "asked", own, round(100 - own, 2), duration(provider)),
    ], first


def _times(record: UsageRecord) -> list[tuple[str, str]]:
    rows = [(_("In all, to the last byte"), duration(record.latency_ms))]
    if record.coalesced or record.provider_ms is None:
        return rows
    if record.first_token_ms is not None:
        rows.append((_("To the first token"), duration(record.first_token_ms)))
    rows.append((_("The provider's attempt that answered"), duration(record.provider_ms)))
    own = max(0.0, record.latency_ms - record.provider_ms)
    rows.append((_("All else: admission, caches, and attempts that failed before"), duration(own)))
    return rows


def _why(record: UsageRecord) -> str:
    """Of the cache's part."""
    if record.stale:
        return _("The provider failed, and the workspace lets answers past their time stand in.")
    if record.outcome == HIT_EXACT:
        return _("The request was the same in all that can change an answer: model, messages, parameters, scope.")
    if record.outcome == HIT_SEMANTIC:
        return _similar(record)
    if record.outcome == "REFRESH":
        return _("The request asked for a fresh answer; if it was complete, it replaced the one in the cache.")
    if record.outcome == "BYPASS":
        return _("The cache was left alone.")
    if record.entry_id is not None:
        return _("Shadow mode looked and did not answer. What it found would have saved %(usd)s.") % {
            "usd": usd(record.shadow_saved_usd)
        }
    if _failed(record):
        return _("Nothing in the cache could answer, and nothing came that could be kept.")
    return _("Nothing in the cache could answer. If the answer was complete, it is there now for the next one.")


def _books(tenant: Tenant, record: UsageRecord) -> Books:
    hour = record.at.replace(minute=0, second=0, microsecond=0)
    same = {name: getattr(record, name) for name in ("outcome", "model", "provider", "key_id")}
    requests = (
        UsageRollup.objects.filter(bucket=hour, width_s=HOUR_S, **same).values_list("requests", flat=True).first()
    )
    day = record.at.astimezone(dt.UTC).date()
    booked: Any = LedgerEntry.objects.filter(
        tenant=tenant, period_start=record.period_start, key_id=record.key_id, day=day
    ).aggregate(rows=Count("pk"), requests=Sum("requests"), cost=Sum("cost_usd"), saved=Sum("saved_usd"))
    return Books(
        hour=hour,
        hour_requests=_requests(requests or 0),
        day=day,
        rows=ngettext("%(rows)s row", "%(rows)s rows", booked["rows"]) % {"rows": count(booked["rows"])},
        day_requests=_requests(booked["requests"] or 0),
        day_cost=usd(booked["cost"] or Decimal(0)),
        day_saved=usd(booked["saved"] or Decimal(0)),
    )


def _requests(times: int) -> str:
    return ngettext("%(number)s request", "%(number)s requests", times) % {"number": count(times)}
