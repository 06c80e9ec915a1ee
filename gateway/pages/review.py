"""The review queue: samples of what the cache found, one at a time, judged by people with one key press.

A verdict counts for the threshold as the judge's does (gateway.cache.tuning). It takes no answer away.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from rest_framework.exceptions import ValidationError

from analytics.figures import count
from gateway.api import cache_settings
from gateway.cache import verdict_counts, verify
from gateway.models import CacheEntry, Verdict
from gateway.pages import difference, switches
from tenants import audit
from tenants.access import allowed, by_of, membership_of
from tenants.models import Tenant, User
from tenants.paging import Order
from tenants.roles import Action
from tenants.writing import number

WAITING, JUDGED = "waiting", "judged"
LATEST = 12
_ORDERS = {
    # The oldest would be the first to be let go unseen.
    WAITING: Order("cache-review", ["at", "id"]),
    JUDGED: Order("cache-review-judged", ["judged_at", "id"], descending=True),
}
_SAYS = {"right": True, "wrong": False}


def waiting() -> QuerySet[Verdict]:
    return Verdict.objects.filter(right=None, judged_at=None)


def judged_by_model() -> QuerySet[Verdict]:
    """What nobody has looked over yet."""
    judged = Verdict.objects.filter(source=Verdict.Source.MODEL, right__isnull=False, reviewer_id=None)
    # Those whose texts were taken away say nothing any more.
    return judged.exclude(question="", prompt="")


_QUEUES = {WAITING: waiting, JUDGED: judged_by_model}


@allowed(Action.CONTENT)
@require_GET
def review(request: HttpRequest, slug: str) -> HttpResponseBase:
    tenant, user = membership_of(request).tenant, _user(request)
    queue = _queue_of(request.GET.get("of"))
    after = request.GET.get("after") or None
    try:
        page = _ORDERS[queue].page(_QUEUES[queue](), 1, after)
    except ValidationError:
        return redirect("cache-review", slug)
    settings_row = cache_settings.row_of_settings()
    context = {
        "here": "review",
        "queue": queue,
        "after": after or "",
        "sample": _shown(page.rows[0]) if page.rows else None,
        "next": _place(queue, page.rows[0]) if page.rows else "",
        "waits": {name: _QUEUES[name]().count() for name in _QUEUES},
        "mine": count(_today(user)),
        "last": _last(request, tenant),
        "latest": _latest(),
        "collects": settings_row.review or settings_row.shadow or bool(settings_row.judge_model),
        "judge": settings_row.judge_model,
    }
    return render(request, "gateway/cache/review.html", context)


@allowed(Action.CACHE)
@require_POST
def judge(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    """Right or wrong. Whoever comes second is told so, and changes nothing."""
    tenant, user = membership_of(request).tenant, _user(request)
    queue = _queue_of(request.POST.get("of"))
    right = _SAYS.get(request.POST.get("verdict", ""))
    if right is None:
        messages.error(request, _("Say right or wrong."))
        return _back(slug, queue, request.POST.get("after", ""))
    with transaction.atomic():
        # One that the judge has in hand is locked, and passed over.
        sample = _QUEUES[queue]().select_for_update(skip_locked=True).filter(pk=id).first()
        if sample is None:
            messages.error(request, _("Somebody else has judged this one, or is about to. Here is the next."))
            return _back(slug, queue, request.POST.get("after", ""))
        before: dict[str, Any] = {"right": sample.right, "judged_at": sample.judged_at and sample.judged_at.isoformat()}
        sample.right, sample.judged_at, sample.reviewer_id = right, timezone.now(), user.pk
        sample.source = sample.source or Verdict.Source.PERSON
        sample.save(update_fields=["right", "judged_at", "reviewer_id", "source"])
        verdict_counts.note(sample.kind, right=right, source="person")
        _record(request, "cache.judged", sample.pk, before["right"], right)
    request.session[_memory(tenant)] = {"id": sample.pk.hex, "right": right, "of": queue, "before": before}
    return _back(slug, queue, request.POST.get("after", ""))


@allowed(Action.CACHE)
@require_POST
def undo(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The last one of this session, as it was before."""
    tenant, user = membership_of(request).tenant, _user(request)
    last = request.session.pop(_memory(tenant), None)
    if last is None:
        messages.error(request, _("There is nothing to undo."))
        return redirect("cache-review", slug)
    values: dict[str, Any] = {"reviewer_id": None, **last["before"]}
    if last["of"] == WAITING:
        values["source"] = Verdict.Source.NOBODY
    elif values["judged_at"]:
        values["judged_at"] = dt.datetime.fromisoformat(values["judged_at"])
    with transaction.atomic():
        if Verdict.objects.filter(pk=last["id"], reviewer_id=user.pk).update(**values):
            _record(request, "cache.judgement_undone", uuid.UUID(last["id"]), last["right"], values["right"])
    return _back(slug, last["of"], "")


def _record(request: HttpRequest, action: str, sample_id: uuid.UUID, before: bool | None, after: bool | None) -> None:
    """Who judged, without the texts: they may be taken away, the audit log may not."""
    audit.record(
        action,
        tenant=membership_of(request).tenant,
        target=sample_id.hex,
        before={"right": before},
        after={"right": after},
        **by_of(request),
    )


@allowed(Action.CACHE)
@require_POST
def collect(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Has samples put aside for people, or no more."""
    on = _("From now on samples of hits and near misses come here.")
    switches.switch(request, "review", on=on, off=_("No more samples are put aside."))
    return redirect("cache-review", slug)


def _user(request: HttpRequest) -> User:
    return membership_of(request).user


def _queue_of(name: str | None) -> str:
    return name if name in _QUEUES else WAITING


def _place(queue: str, sample: Verdict) -> str:
    """Behind this one."""
    return _ORDERS[queue].write(_ORDERS[queue].place_of(sample))


def _back(slug: str, queue: str, after: str) -> HttpResponseBase:
    query = {"of": queue} if queue != WAITING else {}
    query |= {"after": after} if after else {}
    return redirect(reverse("cache-review", args=[slug]) + (f"?{urlencode(query)}" if query else ""))


def _memory(tenant: Tenant) -> str:
    return f"cache-review-{tenant.pk}"


def _last(request: HttpRequest, tenant: Tenant) -> dict[str, Any] | None:
    last: dict[str, Any] | None = request.session.get(_memory(tenant))
    return last


def _today(user: User) -> int:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return Verdict.objects.filter(reviewer_id=user.pk, judged_at__gte=midnight).count()


def _shown(sample: Verdict) -> dict[str, Any]:
    asked, known = difference.compare(sample.question, sample.prompt)
    similarity = 1.0 if sample.similarity is None else sample.similarity
    return {
        "verdict": sample,
        "asked": asked,
        "known": known,
        "similarity": number(similarity, 3),
        "refusal": verify.check(sample.question, sample.prompt, similarity),
        "guards": len(verify.GUARDS),
        "has_entry": CacheEntry.objects.filter(pk=sample.entry_id).exists(),
    }


def _latest() -> list[dict[str, Any]]:
    """The newest verdicts, and who gave them."""
    rows = list(Verdict.objects.filter(~Q(right=None), judged_at__isnull=False).order_by("-judged_at")[:LATEST])
    people = User.objects.in_bulk({row.reviewer_id for row in rows if row.reviewer_id is not None})
    return [{"verdict": row, "who": _who(row, people), "question": row.question or row.prompt} for row in rows]


def _who(row: Verdict, people: dict[int, User]) -> str:
    if row.reviewer_id is not None:
        return people[row.reviewer_id].email if row.reviewer_id in people else _("a former member")
    return _("the judging model") if row.source == Verdict.Source.MODEL else _("reported by an app")
