"""The form of a workspace's own budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from billing.models import Subscription
from tenants.limits import LARGEST_USD, BudgetMode

_WRONG = {
    "invalid": "Write an amount in US dollars, such as 25 or 12.50; leave it empty for no budget.",
    "min_value": "A budget is 0 or more.",
    "max_value": f"A budget is at most ${LARGEST_USD:,}.",
    "max_decimal_places": "A budget has whole cents: two digits after the point at most.",
    "max_digits": f"A budget is at most ${LARGEST_USD:,}.",
    "max_whole_digits": f"A budget is at most ${LARGEST_USD:,}.",
}


def _usd(label: str, help_text: str) -> forms.DecimalField:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "no budget"})
    return forms.DecimalField(
        label=label,
        help_text=help_text,
        min_value=0,
        max_value=LARGEST_USD,
        max_digits=12,
        decimal_places=2,
        required=False,
        widget=widget,
        error_messages=_WRONG,
    )


class BudgetForm(forms.Form):
    daily_budget_usd = _usd("A day, USD", "From midnight to midnight UTC.")
    monthly_budget_usd = _usd("A period, USD", "From one billing period to the next.")
    budget_mode = forms.ChoiceField(
        label="At the budget",
        choices=BudgetMode.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one."},
    )
    unpriced = forms.ChoiceField(
        label="Models without a known price",
        choices=Subscription.Unpriced.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one."},
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial=dict(initial or {}), auto_id="budget_%s")
