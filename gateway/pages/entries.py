"""Kept answers: searched by text and by meaning, read one by one, pinned and dropped."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import APIException, ValidationError

from analytics.figures import count, usd
from analytics.models import UsageRecord
from gateway.api import cache_hits, cache_policy
from gateway.api.cache_entries import EntriesQuery, chosen, listing, page_of
from gateway.api.cache_invalidation import near
from gateway.api.cache_settings import row_of_settings
from gateway.cache import holding, policy
from gateway.cache.rules import rules_of
from gateway.cache.verify import GUARDS
from gateway.dialects.simple_chat import text_of
from gateway.models import CacheEntry, Verdict
from gateway.pages.told import tell, wrong
from tenants import onboarding
from tenants.access import allowed, by_of, membership_of
from tenants.management_views import read
from tenants.models import Tenant
from tenants.roles import Action
from tenants.writing import number

PAGE, NEAREST, HITS, VERDICTS = 50, 50, 10, 10
# Who searches looks at what is nearest; to take away, it must be nearer (gateway.api.cache_invalidation.SIMILARITY).
RELATED = 0.25
HEAD, MOST_CHARACTERS = 1_200, 100_000
_YES_NO = {"yes": True, "no": False}


class Listed(NamedTuple):
    """`wrong`: why there are no rows, where there should be."""

    rows: list[dict[str, Any]]
    next: str | None = None
    wrong: str = ""


@allowed(Action.CONTENT)
@require_GET
def entries(request: HttpRequest, slug: str) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    asked: dict[str, str] = {name: request.GET[name] for name in _FILTERS if request.GET.get(name)}
    by_meaning = asked.get("by") == "meaning" and "q" in asked
    listed = _nearest(tenant, asked) if by_meaning else _found(asked, request.GET.get("cursor"))
    context = {
        "here": "entries",
        "asked": asked,
        "listed": listed,
        "by_meaning": by_meaning,
        "filtered": bool(asked.keys() - {"by", "order"}),
        "older": urlencode({**asked, "cursor": listed.next}) if listed.next else "",
        "nearest": NEAREST,
        "public_url": settings.PUBLIC_URL,
        "no_key": onboarding.NO_KEY,
    }
    return render(request, "gateway/cache/entries.html", context, status=400 if listed.wrong else 200)


_FILTERS = ("q", "by", "tier", "namespace", "tag", "model", "pinned", "expired", "order")


def _query(asked: dict[str, str]) -> dict[str, Any]:
    """As the API checks it. Raises ValidationError."""
    given: dict[str, Any] = {name: asked[name] for name in ("q", "namespace", "tag", "model", "order") if name in asked}
    given |= {name: _YES_NO[asked[name]] for name in ("pinned", "expired") if asked.get(name) in _YES_NO}
    if asked.get("tier") in ("meaning", "exact"):
        given["by_meaning"] = asked["tier"] == "meaning"
    return read(EntriesQuery(data=given))


def _found(asked: dict[str, str], cursor: str | None) -> Listed:
    try:
        query = _query(asked) | {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
        page = page_of(CacheEntry.objects.filter(chosen(query)), query)
    except ValidationError as error:
        return Listed([], wrong=wrong(error))
    return Listed([_row(entry) for entry in page.rows], page.next)


def _nearest(tenant: Tenant, asked: dict[str, str]) -> Listed:
    """The most similar first; those that hold all the words come after them."""
    try:
        query = _query(asked)
        similar = near(tenant, query.pop("q"), RELATED)
    except APIException as error:
        return Listed([], wrong=wrong(error))
    matching = CacheEntry.objects.filter(chosen(query), pk__in=similar)
    places = {entry_id: place for place, entry_id in enumerate(similar)}
    first = sorted(matching.values_list("pk", flat=True), key=places.__getitem__)[:NEAREST]
    rows = listing(CacheEntry.objects.all()).in_bulk(first)
    return Listed([_row(rows[each], similar[each]) for each in first if each in rows])


def _row(entry: CacheEntry, similarity: float | None = None) -> dict[str, Any]:
    return {
        "entry": entry,
        "prompt": entry.prompt[:240],
        "hits": count(entry.hits),
        "saved": usd(entry.saved_usd),
        "expired": not entry.pinned and entry.expires_at <= timezone.now(),
        "similarity": "" if similarity is None else number(similarity, 3),
    }


@allowed(Action.CONTENT)
@require_GET
def entry(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    found = _one(id)
    answer = text_of(orjson.loads(bytes(found.answer)))
    settings_row = row_of_settings()
    kind = policy.classify(found.prompt, rules_of({"rules": settings_row.rules}).own)
    context = {
        "here": "entries",
        "entry": found,
        "meta": found.meta,
        "saved": usd(found.saved_usd),
        "hits": count(found.hits),
        "head": answer[:HEAD],
        "rest": answer[HEAD:MOST_CHARACTERS],
        "length": count(len(answer)),
        "is_cut": len(answer) > MOST_CHARACTERS,
        "expired": not found.pinned and found.expires_at <= timezone.now(),
        "why_exact_only": kind.reason,
        "records": _records(found),
        "threshold": f"{cache_policy.standing(membership_of(request).tenant)['threshold']['now']:.2f}",
        "guards": len(GUARDS),
        "verdicts": list(
            Verdict.objects.filter(entry_id=found.pk).exclude(right=None).order_by("-judged_at")[:VERDICTS]
        ),
    }
    return render(request, "gateway/cache/entry.html", context)


def _one(id: uuid.UUID) -> CacheEntry:
    found = CacheEntry.objects.filter(pk=id).first()
    if found is None:
        raise Http404
    return found


def _records(entry: CacheEntry) -> list[dict[str, Any]]:
    """Requests that it answered, or would have; the newest first."""
    return [
        {
            "record": row,
            "kind": row.outcome.lower(),
            "similarity": "" if row.similarity is None else number(row.similarity, 3),
            "saved": usd(row.saved_usd if row.shadow_saved_usd is None else row.shadow_saved_usd, digits=6),
            "reason": cache_hits.reason(row.outcome, stale=row.stale, coalesced=row.coalesced),
        }
        for row in UsageRecord.objects.filter(entry_id=entry.pk).order_by("-at")[:HITS]
    ]


@allowed(Action.CACHE)
@require_POST
def pin(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    """And the other way round, with `pinned` empty."""
    tenant = membership_of(request).tenant
    wanted = bool(request.POST.get("pinned"))
    _one(id)
    try:
        (holding.pin if wanted else holding.unpin)(tenant, id.hex, by_of(request))
    except APIException as error:
        tell(request, error)
    else:
        said = (
            _("Pinned: it stays until somebody unpins or drops it.") if wanted else _("Unpinned: it has an end again.")
        )
        messages.success(request, said)
    return redirect("cache-entry", slug, id)


@allowed(Action.CACHE)
@require_http_methods(["GET", "POST"])
def drop(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    """Asks once."""
    found = _one(id)
    if request.method == "GET":
        return render(
            request, "gateway/cache/drop.html", {"here": "entries", "entry": found, "hits": count(found.hits)}
        )
    try:
        holding.drop(membership_of(request).tenant, id.hex, by_of(request))
    except APIException as error:
        tell(request, error)
        return redirect("cache-entry", slug, id)
    messages.success(request, _("Dropped. Who asks that again gets a new answer."))
    return redirect("cache-entries", slug)
