"""Pages of the operators' admin beside its models: how the system does, and what failed, to be tried again."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST
from djstripe.models import WebhookEventTrigger
from redis.exceptions import RedisError
from rest_framework.exceptions import APIException

from analytics.alerts import changes, names
from billing.models import Subscription
from billing.stripe import events, state
from billing.stripe.errors import BillingError
from nexus import operations, system, task_log
from nexus.celery import app
from tenants import audit
from tenants.db import schema_of
from tenants.models import Tenant
from tenants.operators import actor

STRIPE_EVENTS = 50
# Those that beat sends, too: without arguments, and as often as one likes.
SAFE = frozenset(entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values())


def _context(request: HttpRequest, title: str, **rest: Any) -> dict[str, Any]:
    return {**admin.site.each_context(request), "title": title, **rest}


def _check(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


@require_GET
def log_in(request: HttpRequest) -> HttpResponse:
    """Where all people log in: Django's own form would let in without the second factor."""
    to = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(to, {request.get_host()}, require_https=request.is_secure()):
        to = reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect_to_login(to)
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect(to)


@require_GET
def system_page(request: HttpRequest) -> HttpResponse:
    _check(request, "tenants.view_tenant")
    return TemplateResponse(request, "admin/system.html", _context(request, gettext("System"), parts=system.parts()))


@require_GET
def failures(request: HttpRequest) -> HttpResponse:
    _check(request, "tenants.view_tenant")
    try:
        tasks = [(failure, failure.task in SAFE) for failure in task_log.failures()]
    except RedisError as error:
        tasks = []
        messages.error(request, gettext("Failed tasks are not known while Redis is away: %(why)s") % {"why": error})
    found = operations.failed_messages(operations.newest_workspaces())
    context = _context(
        request,
        gettext("Failures"),
        sent=[(message, names.name_of(message.kind)) for message in found],
        workspaces=operations.WORKSPACES,
        told=[(trigger, _type(trigger)) for trigger in _unprocessed().order_by("-pk")[:STRIPE_EVENTS]],
        tasks=tasks,
        may_change=request.user.has_perm("tenants.change_tenant"),
    )
    return TemplateResponse(request, "admin/failures.html", context)


def _unprocessed() -> Any:
    return WebhookEventTrigger.objects.filter(processed=False, valid=True).exclude(exception="")


def _type(trigger: WebhookEventTrigger) -> str:
    return str(cast(dict[str, Any], trigger.json_body).get("type", "–"))


@require_POST
def retry_message(request: HttpRequest, tenant_id: int, id: uuid.UUID) -> HttpResponse:
    """As its people's own “Replay”; in their audit log with the operator's address."""
    _check(request, "tenants.change_tenant")
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        raise Http404
    try:
        with schema_of(tenant):
            changes.replay(tenant, id, actor(request))
    except APIException as refusal:
        messages.error(request, str(refusal.detail))
    else:
        messages.success(request, gettext("It is sent again within seconds."))
    return redirect("admin-failures")


@require_POST
def retry_event(request: HttpRequest, id: int) -> HttpResponse:
    """What every event of Stripe's leads to: Stripe is asked what is so now. As often as one likes."""
    _check(request, "billing.change_subscription")
    trigger = _unprocessed().filter(pk=id).first()
    if trigger is None:
        raise Http404
    body = cast(dict[str, Any], trigger.json_body)
    customer = events.customer_of(body.get("data") or {})
    known = Subscription.objects.filter(stripe_customer_id=customer).select_related("tenant").first()
    if not customer or known is None:
        messages.error(request, gettext("It is about nobody here."))
        return redirect("admin-failures")
    try:
        state.refresh(known.tenant)
    except BillingError as error:
        messages.error(request, f"{known.tenant}: {error}")
        return redirect("admin-failures")
    WebhookEventTrigger.objects.filter(pk=id).update(processed=True)
    audit.record("stripe.event_retried", tenant=known.tenant, target=str(body.get("id", id)), **actor(request))
    messages.success(request, gettext("%(workspace)s is what Stripe says now.") % {"workspace": known.tenant})
    return redirect("admin-failures")


@require_POST
def retry_task(request: HttpRequest, id: str) -> HttpResponse:
    _check(request, "tenants.change_tenant")
    try:
        failure = next((each for each in task_log.failures() if each.id == id), None)
        if failure is None or failure.task not in SAFE:
            raise Http404
        app.send_task(failure.task)
        task_log.forget(failure)
    except (RedisError, OSError) as error:
        messages.error(request, gettext("Redis is away: %(why)s") % {"why": error})
        return redirect("admin-failures")
    audit.record("task.retried", tenant=None, target=failure.task, **actor(request))
    messages.success(request, gettext("%(task)s is sent to the workers.") % {"task": failure.task})
    return redirect("admin-failures")
