"""Links that show the savings to others: who pays makes and revokes them, and whoever has one opens it."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from rest_framework.exceptions import ValidationError

from analytics import reports, savings, shares, spans, statements
from analytics.models import SavingsShare
from analytics.pages.savings import RANGES
from analytics.spans import Span
from tenants import addresses, keyspace, once, pace
from tenants.access import allowed, by_of, membership_of
from tenants.api import first_error
from tenants.db import schema_of
from tenants.members import Refused
from tenants.roles import Action
from tenants.writing import day

# For an address: people who look do it some times, who tries out links is to be slow.
OPENED_PER_MINUTE = 60
LIVES: dict[int, Promise] = {7: _("7 days"), 30: _("30 days"), 90: _("90 days")}


class ShareForm(forms.Form):
    range = forms.ChoiceField(label=_("Time"), choices=[*RANGES.items(), (spans.CUSTOM, _("These days:"))])
    first = forms.DateField(label=_("First day"), required=False)
    last = forms.DateField(label=_("Last day"), required=False)
    lives_days = forms.TypedChoiceField(label=_("Works for"), coerce=int, choices=list(LIVES.items()))
    label = forms.CharField(label=_("For whom"), max_length=80, required=False)
    shows_keys = forms.BooleanField(label=_("Show the names of keys"), required=False)
    span: Span

    def clean(self) -> dict[str, Any]:
        given, now = cast(dict[str, Any], super().clean()), timezone.now()
        if given.get("range") != spans.CUSTOM:
            self.span = spans.span_of(given.get("range", spans.MONTH), now)
            return given
        first, last = given.get("first"), given.get("last")
        if first is None or last is None:
            raise forms.ValidationError(gettext("Say the first and the last day."))
        try:
            self.span = spans.custom(first, min(last, now.date()), now)
        except ValidationError as error:
            raise forms.ValidationError(first_error(error.detail)[1]) from None
        return given


@allowed(Action.SHARE)
@require_http_methods(["GET", "POST"])
def links(request: HttpRequest, slug: str) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    if request.method == "GET":
        named = request.GET.get("range", "")
        begin = {"range": named if named in RANGES else spans.MONTH, "lives_days": 30}
        if request.GET.get("from") and request.GET.get("to"):
            begin |= {"range": spans.CUSTOM, "first": request.GET["from"][:10], "last": request.GET["to"][:10]}
        return _listed(request, ShareForm(initial=begin))
    form = ShareForm(request.POST)
    if not form.is_valid():
        return _listed(request, form, status=400)
    if once.is_again(request):
        return redirect("savings-links", slug)
    given = form.cleaned_data
    wish = shares.Wish(form.span, given["label"], given["shows_keys"], given["lives_days"])
    try:
        share, token = shares.make(tenant, wish, by_of(request))
    except Refused as refused:
        form.add_error(None, str(refused))
        return _listed(request, form, status=400)
    address = f"{settings.PUBLIC_URL}{reverse('shared-savings', args=[token])}"
    context = {"tenant": tenant, "share": share, "shown": _time(share), "address": address}
    return render(request, "analytics/savings/shared_now.html", context)


def _listed(request: HttpRequest, form: ShareForm, status: int = 200) -> HttpResponseBase:
    now = timezone.now()
    rows = [(share, _time(share), _state(share, now)) for share in SavingsShare.objects.all()[: shares.LISTED]]
    context = {"tenant": membership_of(request).tenant, "form": form, "rows": rows}
    return render(request, "analytics/savings/shares.html", context, status=status)


def _time(share: SavingsShare) -> str:
    if share.first_day is None or share.last_day is None:
        return str(RANGES[share.range])
    return f"{day(share.first_day)} – {day(share.last_day)}"


def _state(share: SavingsShare, now: dt.datetime) -> str:
    if shares.is_alive(share, now):
        return "works"
    return "revoked" if share.revoked_at else "expired"


@allowed(Action.SHARE)
@require_http_methods(["GET", "POST"])
def unshare(request: HttpRequest, slug: str, share_id: int) -> HttpResponseBase:
    """Asks once."""
    tenant = membership_of(request).tenant
    share = SavingsShare.objects.filter(pk=share_id).first()
    if share is None:
        raise Http404
    if request.method == "GET":
        context = {"tenant": tenant, "share": share, "shown": _time(share)}
        return render(request, "analytics/savings/unshare.html", context)
    shares.revoke(tenant, share_id, by_of(request))
    messages.success(request, gettext("The link is revoked, and shows nothing any more."))
    return redirect("savings-links", slug)


@never_cache
@require_GET
def shared(request: HttpRequest, token: str) -> HttpResponseBase:
    """For everybody who has the link. One that is over, was revoked or never was, is told apart by nobody."""
    address = addresses.client_address(request)
    key = keyspace.shares_opened(addresses.neighbourhood(address) if address else "")
    if pace.wait_s(key, OPENED_PER_MINUTE) is not None:
        return _private(render(request, "429.html", status=429))
    opened = shares.find(token)
    if opened is None:
        return _private(render(request, "analytics/savings/share_over.html", status=404))
    tenant, share = opened
    now = timezone.now()
    with schema_of(tenant):
        told = statements.statement(shares.span_of(share, now))
        by = [savings.MODEL, savings.TIER, *([savings.KEY] if share.shows_keys else [])]
        tables = [statements.table(told, one) for one in by]
        shares.note_opened(share)
        context = {"name": tenant.name, "share": share, "told": told, "tables": tables, "now": now}
        context["how"] = reports.how()
        return _private(render(request, "analytics/savings/shared.html", context))


def _private(response: HttpResponseBase) -> HttpResponseBase:
    """The address is the secret: it is kept from search engines, and from where the page leads."""
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Referrer-Policy"] = "no-referrer"
    return response
