"""The operators' admin of what tenants may spend: plans, subscriptions, dated prices, and the ledger to look at."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from billing import budgets, ledger_admin, subscriptions, summary  # noqa: F401  the ledger's pages
from billing.models import MeterReport, Plan, PlatformLimits, PriceOverride, Subscription
from billing.stripe import state
from billing.stripe.errors import BillingError
from tenants.admin import ROWS, ReadOnly
from tenants.forms import LimitsForm
from tenants.operators import actor, button, record_edit

AT_STRIPE = (
    "status", "stripe_customer_id", "stripe_subscription_id", "stripe_read_at", "period_start", "period_end",
    "trial_end", "trial_used_at", "grace_until", "cancel_at", "pending_plan", "pending_at", "card_brand", "card_last4",
    "price_usd", "metered_since",
)  # fmt: skip


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    form = LimitsForm
    list_display = (
        "name", "code", "price_usd", "requests_per_minute", "tokens_per_minute", "monthly_requests", "monthly_tokens",
        "retention_days",
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("code",) if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Plan, form: forms.ModelForm[Plan], change: bool) -> None:
        super().save_model(request, obj, form, change)
        record_edit(request, "plan.edited", form, target=obj.code)

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        # Nor in bulk: what is gone from the list is not in the audit log.
        return False


class SubscriptionForm(forms.ModelForm):
    def clean_overrides(self) -> dict[str, int | None]:
        overrides: dict[str, int | None] = self.cleaned_data["overrides"] or {}
        try:
            subscriptions.check_overrides(overrides)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return overrides


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):
    form = SubscriptionForm
    list_per_page = ROWS
    list_display = ("tenant", "plan", "status", "period_end", "grace_until", "anchor_at", "overrides")
    list_filter = ("plan", "status")
    search_fields = ("tenant__slug", "tenant__name", "stripe_customer_id")
    list_select_related = ("tenant", "plan")
    fieldsets = (
        (None, {"fields": ("tenant", "plan", "anchor_at", "overrides")}),
        (_("The tenant's own budget"), {"fields": summary.BUDGET}),
        (
            _("At Stripe"),
            {"fields": AT_STRIPE, "description": _("As Stripe said when it was last asked. It has the last word.")},
        ),
    )
    actions = ("look_at_stripe", "forget_customer")
    actions_detail = ("look_at_stripe_button",)
    look_at_stripe_button = button("look_at_stripe", _("Ask Stripe now"))

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> tuple[str, ...]:
        decided = ("plan",) if obj is not None and obj.is_stripes else ()
        return ("tenant", "anchor_at", *AT_STRIPE, *decided)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Every tenant has one from the start.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: Subscription, form: forms.ModelForm[Subscription], change: bool
    ) -> None:
        budgets.change(obj.tenant, budgets.of(obj), **actor(request))
        subscriptions.change_plan(obj.tenant, obj.plan_id, overrides=obj.overrides, **actor(request))

    @admin.action(description=_("Ask Stripe now"), permissions=["change"])
    def look_at_stripe(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        asked = 0
        for subscription in chosen.exclude(stripe_customer_id=None).select_related("tenant"):
            try:
                state.refresh(subscription.tenant)
                asked += 1
            except BillingError as error:
                self.message_user(request, f"{subscription.tenant}: {error}", messages.ERROR)
        self.message_user(
            request,
            gettext("%(number)s of %(all)s are what Stripe says now.") % {"number": asked, "all": chosen.count()},
        )

    @admin.action(description=_("Let go of customers that Stripe does not know"), permissions=["change"])
    def forget_customer(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        for subscription in chosen.select_related("tenant"):
            try:
                state.forget(subscription.tenant, **actor(request))
                self.message_user(
                    request,
                    gettext("%(workspace)s is on Free, and may buy again.") % {"workspace": subscription.tenant},
                )
            except BillingError as error:
                self.message_user(request, f"{subscription.tenant}: {error}", messages.ERROR)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """“Change plan to …”, one for each plan."""
        actions: dict[str, Any] = super().get_actions(request)
        if not self.has_change_permission(request):
            return actions
        for plan in Plan.objects.all():
            name = f"change_to_{plan.code}"
            actions[name] = (_change_to(plan), name, gettext("Change plan to %(plan)s") % {"plan": plan.name})
        return actions


def _change_to(plan: Plan) -> Any:
    def change(modeladmin: SubscriptionAdmin, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        changed = 0
        for subscription in chosen.select_related("tenant"):
            try:
                subscriptions.change_plan(subscription.tenant, plan.code, **actor(request))
                changed += 1
            except subscriptions.StripeDecides as refusal:
                modeladmin.message_user(request, str(refusal), messages.ERROR)
        modeladmin.message_user(
            request, gettext("%(number)s on %(plan)s now.") % {"number": changed, "plan": plan.name}
        )

    return change


@admin.register(PriceOverride)
class PriceOverrideAdmin(ModelAdmin):
    """Rows are added with their date, never changed: what was charged must stay explainable."""

    list_display = ("catalog", "model", "effective_from", "input_usd_per_mtok", "output_usd_per_mtok")
    search_fields = ("catalog", "model")

    def has_change_permission(self, request: HttpRequest, obj: PriceOverride | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PriceOverride | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: PriceOverride, form: forms.ModelForm[PriceOverride], change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        record_edit(request, "price.added", form, target=str(obj))


@admin.register(MeterReport)
class MeterReportAdmin(ReadOnly, ModelAdmin):
    list_display = ("created_at", "tenant", "meter", "period_start", "value", "billable", "at", "sent_at", "error")
    list_filter = ("meter", "billable", ("sent_at", admin.EmptyFieldListFilter))
    search_fields = ("tenant__slug", "identifier")
    date_hierarchy = "created_at"
    list_select_related = ("tenant",)


@admin.register(PlatformLimits)
class PlatformLimitsAdmin(ModelAdmin):
    """One row, in effect within a second."""

    list_display = ("__str__", "requests_per_minute", "tokens_per_minute")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not PlatformLimits.objects.exists()

    def save_model(
        self, request: HttpRequest, obj: PlatformLimits, form: forms.ModelForm[PlatformLimits], change: bool
    ) -> None:
        obj.pk = 1
        super().save_model(request, obj, form, change)
        record_edit(request, "platform_limits.edited", form, target="platform")

    def has_delete_permission(self, request: HttpRequest, obj: PlatformLimits | None = None) -> bool:
        return False
