"""The operators' list and page of workspaces, with what they use, spend and suffer; and acts on plan and quota."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from analytics.alerts import names
from analytics.figures import count
from billing import resets, subscriptions
from billing.figures import usd
from billing.models import Plan
from nexus import admin_accounts, admin_names, admin_stripe, operations  # noqa: F401  people, and Stripe's mirror
from nexus.operations import Standing
from tenants.admin import TenantAdmin
from tenants.models import Tenant
from tenants.operators import actor, ask_with


class PlanForm(forms.Form):
    plan = forms.ModelChoiceField(Plan.objects.all(), label=_("Plan"), empty_label=None, widget=UnfoldAdminSelectWidget)


class ResetForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept in the ledger and in the audit log."),
    )
    # What is sent twice is booked once.
    batch = forms.UUIDField(widget=forms.HiddenInput)


class Standings(ChangeList):
    """Puts each row's standing on it, as `standing`."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        found = operations.standings(rows)
        for tenant in rows:
            tenant.standing = found[tenant.pk]


@admin.display(description=_("Health"))
def health(tenant: Any) -> str:
    standing: Standing = tenant.standing
    if not standing.faults:
        return format_html('<span class="text-green-700 dark:text-green-400">{}</span>', gettext("well"))
    parts = format_html_join(", ", "{}", ((fault,) for fault in standing.faults))
    return format_html('<span class="text-red-700 dark:text-red-400">{}</span>', parts)


@admin.display(description=_("Requests"))
def requests(tenant: Any) -> str:
    return count(tenant.standing.requests)


@admin.display(description=_("Tokens"))
def tokens(tenant: Any) -> str:
    return count(tenant.standing.tokens)


@admin.display(description=_("Spend"))
def spend(tenant: Any) -> str:
    return usd(tenant.standing.cost_usd, 2)


class OperatedTenantAdmin(TenantAdmin):
    list_display = ("name", "plan", health, requests, tokens, spend, "created_at", "slug")  # type: ignore[assignment]
    list_per_page = 50
    # All seven beside each other would leave no room for the name.
    actions_detail = (  # type: ignore[assignment]
        "look_in",
        "change_plan",
        "reset_quota",
        {"title": _("Keys"), "items": ["issue_key_button", "rotate_keys_button"]},
        {"title": _("Service"), "items": ["suspend_button", "reactivate_button"]},
    )
    change_form_outer_before_template = "admin/tenant_standing.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Standings

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        tenant = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if tenant is not None and self.has_view_permission(request, tenant):
            context["standing"] = operations.standings([tenant])[tenant.pk]
            failed = operations.failed_messages([tenant])
            context["sent"] = [(message, names.name_of(message.kind)) for message in failed]
            context["may_change"] = self.has_change_permission(request, tenant)
        answer: HttpResponse = super().change_view(request, object_id, form_url, context)
        return answer

    @action(description=_("Change the plan"), url_path="change-plan", permissions=["change"])  # type: ignore[untyped-decorator]
    def change_plan(self, request: HttpRequest, object_id: str) -> HttpResponse:
        tenant = self._find(request, object_id)
        given = request.POST if request.method == "POST" else None
        form = PlanForm(given, initial={"plan": tenant.subscription.plan_id})
        if form.is_valid():
            plan = form.cleaned_data["plan"]
            try:
                subscriptions.change_plan(tenant, plan.code, **actor(request))
            except ValueError as refusal:
                form.add_error("plan", str(refusal))
            else:
                self.message_user(
                    request,
                    gettext("%(name)s is on %(plan)s, within a second.") % {"name": tenant.name, "plan": plan.name},
                )
                return redirect("admin:tenants_tenant_change", tenant.pk)
        explains = gettext(
            "Limits are those of the new plan within a second. Use of the period counts on, and nothing is charged."
        )
        return ask_with(
            self,
            request,
            tenant,
            form,
            question=gettext("Which plan for %(name)s?") % {"name": tenant.name},
            explains=explains,
        )

    @action(description=_("Reset the quota"), url_path="reset-quota", permissions=["change"])  # type: ignore[untyped-decorator]
    def reset_quota(self, request: HttpRequest, object_id: str) -> HttpResponse:
        tenant = self._find(request, object_id)
        form = ResetForm(request.POST if request.method == "POST" else None, initial={"batch": uuid.uuid4()})
        if form.is_valid():
            given = form.cleaned_data
            try:
                back = resets.reset_quota(tenant, batch=given["batch"], reason=given["reason"], **actor(request))
            except ValueError as refusal:
                form.add_error("reason", str(refusal))
            else:
                told = gettext("%(requests)s requests and %(tokens)s tokens were given back.") % {
                    "requests": count(-back.requests),
                    "tokens": count(-back.tokens),
                }
                self.message_user(request, told)
                return redirect("admin:tenants_tenant_change", tenant.pk)
        return ask_with(
            self,
            request,
            tenant,
            form,
            question=gettext("Reset the quota of %(name)s?") % {"name": tenant.name},
            explains=str(RESETTING),
        )

    def _find(self, request: HttpRequest, object_id: str) -> Tenant:
        tenant: Tenant | None = self.get_object(request, object_id)
        if tenant is None:
            raise Http404
        return tenant


RESETTING = _(
    "What is booked of this period is given back: requests and tokens, of the workspace and of each of its keys, as"
    " adjustments in the ledger. Nothing is deleted; what was spent in dollars stays. A metered plan charges fewer"
    " requests then."
)

admin.site.unregister(Tenant)
admin.site.register(Tenant, OperatedTenantAdmin)
admin.site.index_title = _("Operators")
admin_names.name_columns("tenants", "billing", "djstripe")
