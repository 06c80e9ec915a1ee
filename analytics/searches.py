"""Which of a workspace's requests are listed: what was asked for, and how it is found among a million of them.

Records have an index by time, one of failures by time, and one by request id. For what else may be asked, the hourly
sums say in which hours there are such requests. Tags are in neither: for them so many requests are looked through at a
time, and where it ended the next page goes on. Sync; within the tenant's schema.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import Min, Q, Sum
from rest_framework import serializers

from analytics import queries
from analytics.events import HIT_EXACT, HIT_SEMANTIC, OUTCOMES
from analytics.models import HOUR_S, UsageRecord, UsageRollup
from analytics.windows import Window
from tenants import keys
from tenants.bodies import Body
from tenants.management_views import printable, read
from tenants.models import ApiKey, Tenant
from tenants.paging import Order

PAGE = 50
# An index of tags would cost each tagged request more than it costs to look through these: about 50 ms.
LOOKED_THROUGH = 100_000
ORDER = Order("requests-page", ["at", "id"], descending=True)
HITS, FAILED = "hits", "failed"
# What the hourly sums know as well as the records.
_OF_SUMS = {"outcome", "model", "key"}


class SearchQuery(Body):
    outcome = serializers.ChoiceField([HITS, *OUTCOMES], required=False)
    model = serializers.CharField(max_length=120, required=False, validators=[printable])
    key = serializers.CharField(max_length=32, required=False, validators=[printable])
    # `failed`, or one number.
    status = serializers.RegexField(rf"^({FAILED}|[1-5]\d\d)$", required=False)
    error = serializers.CharField(max_length=64, required=False, validators=[printable])
    tag = serializers.CharField(max_length=64, required=False, validators=[printable])
    request_id = serializers.CharField(max_length=128, required=False, validators=[printable])
    cursor = serializers.CharField(max_length=400, required=False)


class Found(NamedTuple):
    """`next` is the cursor of the following page, if there is one. `since`: older ones have not been looked through."""

    rows: list[UsageRecord]
    next: str | None
    since: dt.datetime | None = None


def asked(parameters: Mapping[str, str]) -> dict[str, str]:
    """Of a query string, in which others may stand beside. Raises ValidationError."""
    known = SearchQuery().fields
    query: dict[str, str] = read(
        SearchQuery(data={name: parameters[name].strip() for name in known if parameters.get(name, "").strip()})
    )
    return query | ({"key": keys.id_in(query["key"])} if "key" in query else {})


def find(tenant: Tenant, query: Mapping[str, str], window: Window | None) -> Found:
    """Newest first, a page of them. Raises ValidationError for a cursor that is none."""
    place = ORDER.read(query["cursor"]) if "cursor" in query else None
    wanted = _wanted(tenant, query)
    if window is not None:
        wanted &= Q(at__gte=window.start, at__lt=window.end)
    found = UsageRecord.objects.filter(wanted)
    if (sums := _of_sums(tenant, query)) and set(query) <= _OF_SUMS | {"cursor"}:
        found = found.filter(_hours(sums, window, place))
    since = _looked_through(window, place) if "tag" in query else None
    if since is not None:
        found = found.filter(at__gte=since)
    rows = list(ORDER.after(found, place)[: PAGE + 1])
    if len(rows) > PAGE:
        return Found(rows[:PAGE], ORDER.write(ORDER.place_of(rows[PAGE - 1])))
    # Behind all of that time.
    return Found(rows, ORDER.write([since.isoformat(), str(uuid.UUID(int=0))]) if since else None, since)


def _looked_through(window: Window | None, place: Sequence[Any] | None) -> dt.datetime | None:
    """Since when; None: since the beginning."""
    until = None if place is None else dt.datetime.fromisoformat(place[0])
    if window is None:
        return queries.newest_since(LOOKED_THROUGH, None, until)
    return queries.newest_since(LOOKED_THROUGH, window.start, min(until or window.end, window.end))


def _key_id(tenant: Tenant, public_id: str) -> int:
    """Of a key that is not there: of no request."""
    return ApiKey.objects.filter(tenant=tenant, public_id=public_id).values_list("pk", flat=True).first() or 0


def _of_sums(tenant: Tenant, query: Mapping[str, str]) -> Q:
    """What the sums know of it, too."""
    wanted = Q()
    if "outcome" in query:
        wanted &= Q(outcome__in=[HIT_EXACT, HIT_SEMANTIC] if query["outcome"] == HITS else [query["outcome"]])
    if "model" in query:
        wanted &= Q(model=query["model"])
    if "key" in query:
        wanted &= Q(key_id=_key_id(tenant, query["key"]))
    return wanted


def _wanted(tenant: Tenant, query: Mapping[str, str]) -> Q:
    wanted = _of_sums(tenant, query)
    status = query.get("status", "")
    if status.isdigit():
        wanted &= Q(status=int(status))
    if status >= "4" or "error" in query:
        # As the index of failures has it.
        wanted &= Q(status__gte=400)
    for name in ("error", "request_id"):
        if name in query:
            wanted &= Q(**{name: query[name]})
    if "tag" in query:
        wanted &= Q(tags__contains=[query["tag"]])
    return wanted


def _hours(wanted: Q, window: Window | None, place: Sequence[Any] | None) -> Q:
    """The latest hours that have a page of such requests, as bounds of their times."""
    hour = dt.timedelta(seconds=HOUR_S)
    sums = UsageRollup.objects.filter(wanted, width_s=HOUR_S)
    oldest = UsageRecord.objects.aggregate(at=Min("at"))["at"]
    if oldest is None:
        return Q(pk=None)
    since = max(oldest, window.start) if window is not None else oldest
    sums = sums.filter(bucket__gt=since - hour)
    if window is not None:
        sums = sums.filter(bucket__lt=window.end)
    if place is not None:
        sums = sums.filter(bucket__lte=dt.datetime.fromisoformat(place[0]))
    bounds, left = Q(pk=None), 0
    for bucket, requests in sums.values_list("bucket").annotate(Sum("requests")).order_by("-bucket")[: PAGE + 2]:
        bounds |= Q(at__gte=bucket, at__lt=bucket + hour)
        # How many of the cursor's own hour have been shown is not known.
        left += requests if place is None or bucket + hour <= dt.datetime.fromisoformat(place[0]) else 0
        if left > PAGE:
            break
    return bounds
