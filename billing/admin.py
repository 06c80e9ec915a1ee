"""The operators' admin of what tenants may spend: plans, subscriptions, dated prices, and the ledger to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from billing import subscriptions
from billing.models import LedgerEntry, Plan, PriceOverride, Subscription
from tenants import audit
from tenants.admin import ReadOnly, actor


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    list_display = (
        "name", "code", "price_usd", "requests_per_minute", "tokens_per_minute", "monthly_requests", "monthly_tokens",
        "retention_days",
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("code",) if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Plan, form: ModelForm[Plan], change: bool) -> None:
        with transaction.atomic():
            before = {name: str(form.initial.get(name)) for name in form.changed_data}
            super().save_model(request, obj, form, change)
            after = {name: str(getattr(obj, name)) for name in form.changed_data}
            audit.record("plan.edited", tenant=None, target=obj.code, before=before, after=after, **actor(request))

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        return obj is None or not obj.subscriptions.exists()


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):
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

    def save_model(self, request: HttpRequest, obj: Subscription, form: ModelForm[Subscription], change: bool) -> None:
        try:
            subscriptions.change_plan(obj.tenant, obj.plan_id, overrides=obj.overrides or {}, **actor(request))
        except ValueError as error:
            self.message_user(request, f"Not saved: {error}", messages.ERROR)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """“Change plan to …”, one for each plan."""
        actions: dict[str, Any] = super().get_actions(request)
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
        self, request: HttpRequest, obj: PriceOverride, form: ModelForm[PriceOverride], change: bool
    ) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            audit.record("price.added", tenant=None, target=str(obj), after=str(obj), **actor(request))


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly, ModelAdmin):
    list_display = ("created_at", "tenant", "kind", "period_start", "requests", "tokens", "cost_usd", "saved_usd")
    list_filter = ("kind",)
    search_fields = ("tenant__slug",)
    date_hierarchy = "created_at"
    list_select_related = ("tenant",)
