"""The operators' admin of what tenants may spend: plans, subscriptions, dated prices, and the ledger to look at."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from billing import subscriptions
from billing.models import LedgerEntry, Plan, PriceOverride, Subscription
from tenants.admin import ReadOnly
from tenants.operators import actor, record_edit


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
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
    list_display = ("tenant", "plan", "anchor_at", "overrides")
    list_filter = ("plan",)
    search_fields = ("tenant__slug", "tenant__name")
    readonly_fields = ("tenant", "anchor_at")
    list_select_related = ("tenant", "plan")

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Every tenant has one from the start.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: Subscription, form: forms.ModelForm[Subscription], change: bool
    ) -> None:
        subscriptions.change_plan(obj.tenant, obj.plan_id, overrides=obj.overrides, **actor(request))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """“Change plan to …”, one for each plan."""
        actions: dict[str, Any] = super().get_actions(request)
        if not self.has_change_permission(request):
            return actions
        for plan in Plan.objects.all():
            name = f"change_to_{plan.code}"
            actions[name] = (_change_to(plan), name, f"Change plan to {plan.name}")
        return actions


def _change_to(plan: Plan) -> Any:
    def change(modeladmin: SubscriptionAdmin, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        for subscription in chosen.select_related("tenant"):
            subscriptions.change_plan(subscription.tenant, plan.code, **actor(request))
        modeladmin.message_user(request, f"{chosen.count()} on {plan.name} now.")

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


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly, ModelAdmin):
    list_display = ("created_at", "tenant", "kind", "period_start", "requests", "tokens", "cost_usd", "saved_usd")
    list_filter = ("kind",)
    search_fields = ("tenant__slug",)
    date_hierarchy = "created_at"
    list_select_related = ("tenant",)
