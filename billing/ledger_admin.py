"""The operators' admin of the ledger: rows to look at, closed periods, comparisons; and adjustments, the only rows that
people write.
"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import bookkeeping
from billing.bookkeeping import Correction
from billing.models import ClosedPeriod, LedgerEntry, Reconciliation
from tenants.admin import ROWS, ReadOnly
from tenants.models import ApiKey
from tenants.operators import actor


class AdjustmentForm(forms.ModelForm):
    key = forms.CharField(
        label=gettext_lazy("API key"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Its public id, where the adjustment is to count against the key's own limits, too."),
    )
    # What is sent twice is booked once.
    batch = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    class Meta:
        model = LedgerEntry
        fields = ("tenant", "requests", "tokens", "cost_usd", "note")
        labels = {"cost_usd": gettext_lazy("USD"), "note": gettext_lazy("Reason")}
        help_texts = {
            "tokens": gettext_lazy("Less than zero gives back."),
            "note": gettext_lazy("Kept in the ledger and in the audit log."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("requests", "tokens", "cost_usd"):
            self.fields[name].initial = 0
        self.fields["note"].required = True

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.errors:
            return given
        try:
            bookkeeping.check(correction_of(given), given["note"])
            bookkeeping.open_period(given["tenant"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        if text := given["key"].strip():
            given["key"] = ApiKey.objects.filter(tenant=given["tenant"], public_id=text.removeprefix("nk-")).first()
            if given["key"] is None:
                self.add_error("key", gettext_lazy("The workspace has no such key."))
        return given


def correction_of(given: dict[str, Any]) -> Correction:
    return Correction(given["requests"], given["tokens"], given["cost_usd"])


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly, ModelAdmin):
    list_per_page = ROWS
    list_display = ("created_at", "tenant", "kind", "period_start", "requests", "tokens", "cost_usd", "saved_usd")
    list_filter = ("kind",)
    search_fields = ("tenant__slug",)
    date_hierarchy = "created_at"
    list_select_related = ("tenant",)
    autocomplete_fields = ("tenant",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("billing.add_ledgerentry")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        return super().add_view(
            request, form_url, {**(extra_context or {}), "title": gettext_lazy("Book an adjustment")}
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = AdjustmentForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("tenant", "key", "requests", "tokens", "cost_usd", "note", "batch")
        return [field.name for field in LedgerEntry._meta.fields]

    def save_model(self, request: HttpRequest, obj: LedgerEntry, form: Any, change: bool) -> None:
        given = form.cleaned_data
        entry = bookkeeping.adjust(
            given["tenant"],
            correction_of(given),
            batch=given["batch"],
            reason=given["note"],
            key=given["key"] or None,
            **actor(request),
        )
        obj.pk = entry.pk
        obj.period_start = entry.period_start


@admin.register(ClosedPeriod)
class ClosedPeriodAdmin(ReadOnly, ModelAdmin):
    list_display = ("tenant", "period_start", "period_end", "plan_code", "requests", "tokens", "cost_usd", "closed_at")
    search_fields = ("tenant__slug",)
    date_hierarchy = "period_start"
    list_select_related = ("tenant",)


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnly, ModelAdmin):
    list_display = (
        "tenant", "period_start", "compared_at", "drift_requests", "drift_tokens", "drift_usd", "drifting_since",
    )  # fmt: skip
    list_filter = (("drifting_since", admin.EmptyFieldListFilter),)
    search_fields = ("tenant__slug",)
    ordering = ("-compared_at",)
    list_select_related = ("tenant",)
