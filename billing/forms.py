"""The form of a workspace's own budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from billing.models import Subscription
from tenants.limits import LARGEST_USD, BudgetMode
from tenants.writing import lazy_number

_TOO_MUCH = format_lazy(_("A budget is at most ${usd}."), usd=lazy_number(LARGEST_USD))
_WRONG: dict[str, Any] = {
    "invalid": _("Write an amount in US dollars, such as 25 or 12.50; leave it empty for no budget."),
    "min_value": _("A budget is 0 or more."),
    "max_value": _TOO_MUCH,
    "max_decimal_places": _("A budget has whole cents: two digits after the point at most."),
    "max_digits": _TOO_MUCH,
    "max_whole_digits": _TOO_MUCH,
}


def _usd(label: Any, help_text: Any) -> forms.DecimalField:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": _("no budget")})
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
    daily_budget_usd = _usd(_("A day, USD"), _("From midnight to midnight UTC."))
    monthly_budget_usd = _usd(_("A period, USD"), _("From one billing period to the next."))
    budget_mode = forms.ChoiceField(
        label=_("At the budget"),
        choices=BudgetMode.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose one.")},
    )
    unpriced = forms.ChoiceField(
        label=_("Models without a known price"),
        choices=Subscription.Unpriced.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose one.")},
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial=dict(initial or {}), auto_id="budget_%s")
