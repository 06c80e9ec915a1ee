"""The savings as a file to print."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from analytics import forecasts, reports, savings, spans, statements
from analytics.pages.savings import Outlook, asked_span, outlook
from tenants.access import allowed, membership_of
from tenants.roles import Action


@allowed(Action.FIGURES)
@require_GET
def report(request: HttpRequest, slug: str) -> HttpResponseBase:
    span, wrong = asked_span(request)
    if wrong:
        raise Http404
    told, now = statements.statement(span), timezone.now()
    made = reports.Report(
        workspace=membership_of(request).tenant.name,
        told=told,
        models=statements.table(told, savings.MODEL, reports.MODELS),
        days=statements.table(told, savings.DAY),
        forecast=_forecast(outlook(forecasts.forecast(now))) if span.name == spans.MONTH else "",
        made_at=now,
    )
    name = f"savings-{slug}-{span.first_day}-{span.last_day}.pdf"
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return HttpResponse(reports.pdf(made), content_type="application/pdf", headers=headers)


def _forecast(found: Outlook | None) -> str:
    if found is None:
        return ""
    text = _("Forecast for the whole month: %(saved)s saved, likely between %(low)s and %(high)s.")
    return text % {"saved": found.saved, "low": found.low, "high": found.high}
