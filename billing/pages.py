"""A workspace's billing pages, for its members. Owners, admins and finance may change what the others may look at."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from django.conf import settings
from django.contrib import messages
from django.core.validators import slug_re
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from billing import agreement, budgets, figures, offers, pace, usage
from billing.access import for_payers, paced
from billing.forms import BudgetForm
from billing.models import FREE, Plan, Subscription
from billing.notices import notices
from billing.periods import period_at
from billing.shortage import shortages
from billing.stripe import changes, checkout, configuration, invoices, portal, state
from billing.stripe.errors import BillingError
from billing.stripe.reading import PAYING
from tenants import roles
from tenants.access import allowed, by_of, membership_of
from tenants.models import Tenant
from tenants.pace import TooOften
from tenants.roles import Action
from tenants.writing import day

INVOICES = 12
# What the API tells programs to do, people do on the page.
_ON_THE_PAGE: dict[str, Promise] = {
    "not_subscribed": gettext_lazy("This workspace has no subscription to change. Choose a plan below to begin one."),
    "already_subscribed": gettext_lazy(
        "This workspace pays already. Change its plan below; settle an open invoice in the portal."
    ),
    "payment_due": gettext_lazy("A payment is due. Settle it in the customer portal first, then change the plan."),
}


def _address(name: str, tenant: Tenant) -> str:
    return f"{settings.PUBLIC_URL}{reverse(name, args=[tenant.slug])}"


def _to_billing(tenant: Tenant) -> HttpResponse:
    return redirect("billing", tenant.slug)


def _refused(request: HttpRequest, tenant: Tenant, error: BillingError) -> HttpResponse:
    messages.error(request, str(_ON_THE_PAGE.get(error.code, error)))
    return _to_billing(tenant)


@allowed(Action.FIGURES)
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    return _overview(request)


def _overview(request: HttpRequest, form: BudgetForm | None = None, status: int = 200) -> HttpResponse:
    membership = membership_of(request)
    tenant = membership.tenant
    subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
    now = timezone.now()
    period = period_at(subscription.anchor_at, now)
    used = usage.of(tenant, period, now.date())
    limits_of = subscription.effective_plan(now)
    may_change = roles.may(membership.role, Action.BILLING)
    context = {
        "tenant": tenant,
        "membership": membership,
        "subscription": subscription,
        "price": figures.usd(subscription.monthly_usd),
        "metered": offers.metered(subscription.plan),
        "limits_of": limits_of,
        "may_change": may_change,
        "missing": configuration.missing(),
        "for_sale": configuration.configured(),
        "notices": notices(subscription, now),
        "period": period,
        "now": now,
        "used": used,
        "bars": figures.bars(limits_of, subscription, used),
        "shortages": list(shortages(limits_of, subscription, used, period, now)),
        "form": form or BudgetForm(initial=budgets.of(subscription)),
        "offers": offers.offers(subscription, for_sale=configuration.configured() and may_change),
        "days": figures.days(tenant, period),
        "periods": figures.periods(tenant),
        "agreement": agreement.of(tenant, period.start),
        "invoices": _invoices(request, subscription),
    }
    return render(request, "billing/overview.html", context, status=status)


class Invoices(NamedTuple):
    """`why` they are not shown, where they are not."""

    rows: list[invoices.Invoice]
    older: str = ""
    why: str = ""


def _invoices(request: HttpRequest, subscription: Subscription) -> Invoices:
    try:
        if subscription.stripe_customer_id:
            pace.count_list(subscription.tenant)
        after = request.GET.get("after") or None
        page = invoices.latest(subscription.tenant, limit=INVOICES, after=after, retry=False)
    except (BillingError, TooOften) as error:
        return Invoices([], why=str(error))
    return Invoices(page.invoices, page.invoices[-1].id if page.has_more else "")


@for_payers
@require_POST
@paced
def buy(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Leads to Stripe's payment page."""
    try:
        session = checkout.start(
            tenant, _plan_code(request.POST), cancel_url=_address("billing", tenant), **by_of(request)
        )
    except BillingError as error:
        return _refused(request, tenant, error)
    return redirect(session.url)


@for_payers
@require_POST
@paced
def manage(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Leads to Stripe's customer portal, and back by way of `look`."""
    try:
        return redirect(portal.open_portal(tenant, return_url=_address("billing-look", tenant)))
    except BillingError as error:
        return _refused(request, tenant, error)


@allowed(Action.FIGURES)
@require_GET
def look(request: HttpRequest, slug: str) -> HttpResponse:
    """Who comes back from Stripe finds what they did there, however late its event comes."""
    tenant = membership_of(request).tenant
    if why := _look(tenant):
        messages.error(request, why)
    return _to_billing(tenant)


def _look(tenant: Tenant) -> str:
    """Why Stripe was not asked, where it was not."""
    try:
        pace.count_act(tenant)
        state.refresh(tenant)
    except (BillingError, TooOften) as error:
        return str(error)
    return ""


@allowed(Action.FIGURES)
@require_GET
def bought(request: HttpRequest, slug: str) -> HttpResponse:
    """What a payment has unlocked, after a look at Stripe where we have not heard of it."""
    tenant = membership_of(request).tenant
    subscriptions = Subscription.objects.select_related("plan").filter(tenant=tenant)
    why = "" if subscriptions.filter(status__in=PAYING).exists() else _look(tenant)
    subscription = subscriptions.get()
    plan = subscription.plan
    context = {
        "tenant": tenant,
        "subscription": subscription,
        "is_paid": subscription.status in PAYING,
        "why": why,
        "price": figures.usd(subscription.monthly_usd),
        "gives": offers.gives(plan),
        "metered": offers.metered(plan),
        "base_url": f"{settings.PUBLIC_URL}/v1",
    }
    return render(request, "billing/bought.html", context)


@for_payers
@require_http_methods(["GET", "POST"])
@paced
def change(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Another plan: first what it costs, as Stripe reckons."""
    code = _plan_code(request.POST if request.method == "POST" else request.GET)
    if code == FREE:
        return redirect("billing-cancel", tenant.slug)
    try:
        if request.method == "GET":
            return render(request, "billing/change.html", _preview(tenant, code))
        when: Any = _when(request, "now")
        subscription = changes.change(tenant, code, when, **by_of(request))
    except BillingError as error:
        return _refused(request, tenant, error)
    if subscription.pending_plan:
        on = day(subscription.pending_at or timezone.now())
        messages.success(request, _("The plan changes on %(day)s.") % {"day": on})
    else:
        messages.success(request, _("This workspace is on %(plan)s now.") % {"plan": subscription.plan.name})
    return _to_billing(tenant)


def _plan_code(given: QueryDict) -> str:
    """What can be no code is looked up nowhere."""
    code = given.get("plan", "")
    return code if slug_re.fullmatch(code) else ""


def _when(request: HttpRequest, otherwise: str) -> str:
    when = request.POST.get("when", "")
    return when if when in changes.WHEN else otherwise


def _preview(tenant: Tenant, code: str) -> dict[str, Any]:
    """Raises BillingError."""
    preview = changes.preview(tenant, code)
    subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
    plan = Plan.objects.get(code=code)
    return {
        "tenant": tenant,
        "subscription": subscription,
        "plan": plan,
        "is_dearer": plan.price_usd >= subscription.monthly_usd,
        "due": figures.usd(abs(preview.due_now_usd)),
        "is_credit": preview.due_now_usd < 0,
        "ends_trial": preview.ends_trial,
        "lines": [(line.description, figures.usd(line.amount_usd)) for line in preview.lines],
        "monthly": figures.usd(preview.monthly_usd),
        "gives": offers.gives(plan),
        "metered": offers.metered(plan),
    }


@for_payers
@require_http_methods(["GET", "POST"])
@paced
def cancel(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Asks once, and says what is lost."""
    if request.method == "GET":
        subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
        if not subscription.is_stripes:
            return _to_billing(tenant)
        context = {"tenant": tenant, "subscription": subscription, "gives": offers.gives(Plan.objects.get(code=FREE))}
        return render(request, "billing/cancel.html", context)
    try:
        when: Any = _when(request, "period_end")
        subscription = changes.cancel(tenant, when, **by_of(request))
    except BillingError as error:
        return _refused(request, tenant, error)
    if subscription.cancel_at:
        facts = {"plan": subscription.plan.name, "day": day(subscription.cancel_at)}
        messages.success(request, _("Canceled. %(plan)s ends on %(day)s.") % facts)
    else:
        messages.success(request, _("Canceled. This workspace is on Free now."))
    return _to_billing(tenant)


@for_payers
@require_POST
@paced
def resume(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    try:
        subscription = changes.resume(tenant, **by_of(request))
    except BillingError as error:
        return _refused(request, tenant, error)
    messages.success(request, _("This workspace stays on %(plan)s.") % {"plan": subscription.plan.name})
    return _to_billing(tenant)


@for_payers
@require_POST
def budget(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    form = BudgetForm(request.POST)
    if not form.is_valid():
        return _overview(request, form, status=400)
    budgets.change(tenant, cast(Any, form.cleaned_data), **by_of(request))
    messages.success(request, _("The budget is saved, and in effect within a second."))
    return _to_billing(tenant)
