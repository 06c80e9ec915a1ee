"""The forms of the keys' pages. They offer only what the member's own role allows."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.db.models import TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants import roles
from tenants.forms import LimitsForm
from tenants.limits import BUDGET_FIELDS, COUNT_FIELDS
from tenants.models import ApiKey
from tenants.roles import ADMIN_SCOPE, WHAT, Action

MAX_MODELS, MAX_MODEL_LENGTH = 500, 120
DAY_S = 86_400
_LABELS = {
    "name": _("Name"),
    "priority": _("Priority"),
    "requests_per_minute": _("Requests a minute"),
    "requests_per_hour": _("Requests an hour"),
    "requests_per_day": _("Requests a day"),
    "tokens_per_minute": _("Tokens a minute"),
    "tokens_per_hour": _("Tokens an hour"),
    "tokens_per_day": _("Tokens a day"),
    "request_burst": _("Burst of requests"),
    "token_burst": _("Burst of tokens"),
    "concurrency": _("At once"),
    "monthly_requests": _("Requests a period"),
    "monthly_tokens": _("Tokens a period"),
    "daily_budget_usd": _("A day, USD"),
    "monthly_budget_usd": _("A period, USD"),
    "budget_mode": _("At the budget"),
}


class Ends(TextChoices):
    NEVER = "never", _("Never")
    WEEK = "7", _("In 7 days")
    MONTH = "30", _("In 30 days")
    QUARTER = "90", _("In 90 days")
    DAY = "on", _("On a day…")
    KEEP = "keep", _("As it is")


class KeyForm(LimitsForm):
    """Makes or changes a key. `held`: scopes that it has beyond what this role could give; they stay."""

    scopes = forms.MultipleChoiceField(
        label=_("May manage"), required=False, widget=forms.CheckboxSelectMultiple,
        help_text=_("Nothing chosen: a key for apps, which may call models and see their own use."),
    )  # fmt: skip
    models = forms.CharField(
        label=_("Models"), required=False, strip=True, max_length=MAX_MODELS * MAX_MODEL_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("What it may ask for, one a line; empty: all."),
    )  # fmt: skip
    ends = forms.ChoiceField(label=_("Ends"), choices=[])
    last_day = forms.DateField(
        label=_("Its last day"), required=False, widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("If it ends on a day: until midnight, UTC."),
    )  # fmt: skip

    class Meta:
        model = ApiKey
        fields = ("name", "priority", *COUNT_FIELDS, *BUDGET_FIELDS, "budget_mode")
        labels = _LABELS
        widgets = {"budget_mode": forms.RadioSelect}

    def __init__(self, data: Any = None, *, instance: ApiKey | None = None, role: str) -> None:
        super().__init__(data, instance=instance)
        given = roles.scopes_of(role)
        self.held = sorted(set(instance.scopes) - given) if instance else []
        self.fields["scopes"].choices = _scope_choices(given)  # type: ignore[attr-defined]
        self.fields["ends"].choices = Ends.choices if instance and instance.expires_at else Ends.choices[:-1]  # type: ignore[attr-defined]
        self.initial["ends"] = Ends.KEEP if instance and instance.expires_at else Ends.NEVER
        if instance:
            self.initial.update(scopes=instance.scopes, models="\n".join(instance.allowed_models))
        for name in (*COUNT_FIELDS, *BUDGET_FIELDS):
            self.fields[name].widget = forms.TextInput(
                attrs={"inputmode": "decimal" if name in BUDGET_FIELDS else "numeric", "placeholder": _("no limit")}
            )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError(_("Only printable characters."))
        return name

    def clean_models(self) -> list[str]:
        names = list(dict.fromkeys(line.strip() for line in self.cleaned_data["models"].splitlines() if line.strip()))
        if len(names) > MAX_MODELS:
            raise forms.ValidationError(_("At most %(count)d models."), params={"count": MAX_MODELS})
        for name in names:
            if len(name) > MAX_MODEL_LENGTH or not name.isprintable():
                raise forms.ValidationError(_("“%(name)s” is no model's name."), params={"name": name[:40]})
        return names

    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        if fields.get("ends") == Ends.DAY and "last_day" not in self.errors:
            day: dt.date | None = fields.get("last_day")
            if day is None:
                self.add_error("last_day", _("Say on which."))
            # The last day that can be followed by another, in any zone.
            elif not timezone.now().date() <= day < dt.date(9999, 1, 1):
                self.add_error("last_day", _("Choose today or a later day. To end a key at once, revoke it."))
        return fields

    @property
    def values(self) -> dict[str, Any]:
        """What a key is made with, or changed to. Once it is valid."""
        fields = self.cleaned_data
        values = {name: fields[name] for name in self._meta.fields or ()}
        if fields["ends"] != Ends.KEEP:
            values["expires_at"] = self._end()
        return values | {"scopes": sorted({*fields["scopes"], *self.held}), "allowed_models": fields["models"]}

    def _end(self) -> dt.datetime | None:
        ends = self.cleaned_data["ends"]
        if ends == Ends.NEVER:
            return None
        if ends == Ends.DAY:
            midnight = dt.datetime.combine(self.cleaned_data["last_day"], dt.time(), tzinfo=dt.UTC)
            return midnight + dt.timedelta(days=1)
        return timezone.now() + dt.timedelta(days=int(ends))

    @property
    def has_limits(self) -> bool:
        """Whether any is set, or wrong: then they are shown at once."""
        names = (*COUNT_FIELDS, *BUDGET_FIELDS)
        return any(self[name].value() not in (None, "") or self[name].errors for name in names)

    @property
    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in COUNT_FIELDS]

    @property
    def budgets(self) -> list[forms.BoundField]:
        return [self[name] for name in BUDGET_FIELDS]


def _scope_choices(given: frozenset[str]) -> list[tuple[str, Any]]:
    everything = [(ADMIN_SCOPE, _("Everything below"))] if ADMIN_SCOPE in given else []
    return everything + [(action.value, WHAT[action]) for action in Action if action.value in given]


class RotateForm(forms.Form):
    """How long the old key goes on beside the new one."""

    overlap_s = forms.TypedChoiceField(
        label=_("The old key goes on for"),
        coerce=int,
        choices=[
            (0, _("not a moment")),
            (3600, _("an hour")),
            (DAY_S, _("a day")),
            (7 * DAY_S, _("7 days")),
            (30 * DAY_S, _("30 days")),
        ],
        initial=DAY_S,
    )
