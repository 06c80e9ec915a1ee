"""Webhook endpoints and the log of what was sent. A secret is in the answer that makes it, and nowhere else; addresses
and answers, which may hold secrets of the receiver's, are for who may change alerts.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import ValidationError

from analytics.alerts import changes, names
from analytics.alerts.forms import LogForm, WebhookForm
from analytics.alerts.models import Delivery, WebhookEndpoint
from analytics.alerts.standing import origin
from analytics.alerts.telling import title_of
from analytics.pages.alerts import told
from tenants import kept, once, roles
from tenants.access import allowed, by_of, membership_of
from tenants.paging import Order
from tenants.roles import Action

PAGE = 50
_ORDER = Order("alert-log-page", ("created_at", "id"), descending=True)
# A row that is due so soon is looked at again by the page itself.
SOON = dt.timedelta(seconds=30)


class Hook(NamedTuple):
    endpoint: WebhookEndpoint
    name: str
    address: str
    kinds: list[str]


def _hook(request: HttpRequest, endpoint: WebhookEndpoint) -> Hook:
    may = roles.may(membership_of(request).role, Action.ALERTS)
    address = endpoint.url if may else origin(endpoint.url)
    kinds = [names.name_of(kind) for kind in endpoint.kinds]
    return Hook(endpoint, endpoint.description or origin(endpoint.url), address, kinds)


def _find(id: uuid.UUID) -> WebhookEndpoint:
    found = WebhookEndpoint.objects.filter(pk=id).first()
    if found is None:
        raise Http404
    return found


@allowed(Action.FIGURES)
@require_GET
def webhook_list(request: HttpRequest, slug: str) -> HttpResponseBase:
    hooks = [_hook(request, endpoint) for endpoint in WebhookEndpoint.objects.all()]
    context = {"hooks": hooks, "most": changes.MAX_ENDPOINTS, "has_room": len(hooks) < changes.MAX_ENDPOINTS}
    return render(request, "analytics/alerts/webhooks.html", context)


@allowed(Action.ALERTS)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Ends with the page that shows the secret, once."""
    form = WebhookForm(request.POST if request.method == "POST" else None)
    tenant, by = membership_of(request).tenant, by_of(request)
    if form.is_valid():
        if once.is_again(request):
            return redirect("alert-webhooks", slug)
        values = form.cleaned_data["values"]
        made = told(request, lambda: changes.make_endpoint(tenant, values, by))
        return redirect("alert-webhooks", slug) if made is None else _secret(request, *made)
    return render(request, "analytics/alerts/webhook_new.html", {"form": form}, status=400 if form.errors else 200)


@sensitive_variables("secret")
def _secret(request: HttpRequest, endpoint: WebhookEndpoint, secret: str) -> HttpResponseBase:
    context = {"hook": _hook(request, endpoint), "secret": secret, "until": endpoint.previous_until}
    return render(request, "analytics/alerts/secret.html", context, status=201)


@allowed(Action.ALERTS)
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    """With its address, which is why only who may change it opens it."""
    endpoint = _find(id)
    tenant, by = membership_of(request).tenant, by_of(request)
    form = WebhookForm(request.POST if request.method == "POST" else None, endpoint=endpoint)
    if form.is_valid():
        values = form.cleaned_data["values"]
        if told(request, lambda: changes.change_endpoint(tenant, id, values, by)) is not None:
            messages.success(request, _("Saved."))
        return redirect("alert-webhook", slug, id)
    context = {"hook": _hook(request, endpoint), "form": form, "now": timezone.now()}
    return render(request, "analytics/alerts/webhook.html", context, status=400 if form.errors else 200)


@allowed(Action.ALERTS)
@require_POST
def pause(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    """Off, or with `on` on again."""
    tenant, by, on = membership_of(request).tenant, by_of(request), "on" in request.POST
    if told(request, lambda: changes.change_endpoint(tenant, id, {"enabled": on}, by)) is not None:
        messages.success(request, _("It is on.") if on else _("It is paused: what waited for it is given up."))
    return redirect("alert-webhook", slug, id)


@allowed(Action.ALERTS)
@require_POST
def rotate(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    if once.is_again(request):
        return redirect("alert-webhook", slug, id)
    tenant, by = membership_of(request).tenant, by_of(request)
    made = told(request, lambda: changes.rotate_secret(tenant, id, by))
    return redirect("alert-webhook", slug, id) if made is None else _secret(request, *made)


@allowed(Action.ALERTS)
@require_POST
def test(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    tenant, by = membership_of(request).tenant, by_of(request)
    if told(request, lambda: changes.send_test(tenant, id, by)) is None:
        return redirect("alert-webhook", slug, id)
    messages.success(request, _("A test is on its way: here is how it goes."))
    return redirect(f"{reverse('alert-deliveries', args=[slug])}?endpoint={id}")


@allowed(Action.ALERTS)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    """Asks once."""
    if request.method == "GET":
        hook = _hook(request, _find(id))
        return render(request, "analytics/alerts/webhook_delete.html", {"hook": hook})
    tenant, by = membership_of(request).tenant, by_of(request)
    told(request, lambda: changes.delete_endpoint(tenant, id, by))
    messages.success(request, _("The endpoint is gone, and with it the log of what was sent there."))
    return redirect("alert-webhooks", slug)


class Attempt(NamedTuple):
    at: dt.datetime
    status: int | None
    error: str
    took_ms: int


class Sent(NamedTuple):
    delivery: Delivery
    to: str
    title: str
    attempts: list[Attempt]
    can_replay: bool


@allowed(Action.FIGURES)
@require_GET
def log(request: HttpRequest, slug: str) -> HttpResponseBase:
    """What was sent, the newest first."""
    to = [(str(each.pk), each.description or origin(each.url)) for each in WebhookEndpoint.objects.all()]
    form = LogForm(request.GET, to)
    try:
        page = _ORDER.page(form.found(), PAGE, request.GET.get("after"))
    except ValidationError:
        return redirect("alert-deliveries", slug)
    asked = request.GET.copy()
    asked.pop("after", None)
    soon = timezone.now() + SOON
    context = {
        "form": form,
        "rows": [_sent(delivery) for delivery in page.rows],
        "after": page.next,
        "asked": asked.urlencode(),
        "is_filtered": form.is_valid() and any(form.cleaned_data.values()),
        "is_moving": any(each.next_at is not None and each.next_at < soon for each in page.rows),
    }
    return render(request, "analytics/alerts/deliveries.html", context)


def _sent(delivery: Delivery) -> Sent:
    endpoint = delivery.endpoint
    to = delivery.email if endpoint is None else endpoint.description or origin(endpoint.url)
    attempts = [_attempt(one) for one in reversed(delivery.attempts)]
    can_replay = endpoint is not None and endpoint.enabled and delivery.status != Delivery.Status.WAITING
    return Sent(delivery, to, title_of(delivery.event.kind, delivery.event.facts), attempts, can_replay)


def _attempt(one: dict[str, Any]) -> Attempt:
    return Attempt(dt.datetime.fromisoformat(one["at"]), one["status"], kept.read(one["error"]), round(one["took_ms"]))


@allowed(Action.ALERTS)
@require_POST
def replay(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    tenant, by = membership_of(request).tenant, by_of(request)
    if (sent := told(request, lambda: changes.replay(tenant, id, by))) is None:
        return redirect("alert-deliveries", slug)
    messages.success(request, _("It is on its way once more, with its own id."))
    return redirect(f"{reverse('alert-deliveries', args=[slug])}?endpoint={sent.endpoint_id}")
