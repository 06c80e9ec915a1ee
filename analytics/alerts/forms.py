"""The forms of the alert pages. What may be set is checked as for the API (analytics.alerts.bodies)."""

from __future__ import annotations

import contextlib
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import Serializer

from analytics.alerts import names
from analytics.alerts.bodies import AlertRuleBody, WebhookBody, check_thresholds
from analytics.alerts.kinds import KINDS, Kind, Threshold
from analytics.alerts.models import AlertEvent, Delivery, WebhookEndpoint
from analytics.alerts.rules import Rule
from tenants.models import Role

_PREFIX = "threshold_"


class RuleForm(forms.Form):
    enabled = forms.BooleanField(label=_("Tell when it happens"), required=False)
    channels = forms.MultipleChoiceField(
        label=_("By"), choices=list(names.CHANNELS.items()), required=False, widget=forms.CheckboxSelectMultiple
    )
    roles = forms.MultipleChoiceField(
        label=_("Who is written to"), choices=Role.choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, kind: Kind, rule: Rule, given: Any = None) -> None:
        begin = {"enabled": rule.enabled, "channels": list(rule.channels), "roles": list(rule.roles)}
        begin |= {f"{_PREFIX}{name}": _text(value) for name, value in rule.thresholds.items()}
        super().__init__(given, initial=begin)
        self.kind = kind
        for one in kind.thresholds:
            self.fields[f"{_PREFIX}{one.name}"] = forms.CharField(
                label=str(names.THRESHOLDS.get(one.name, one.name)),
                help_text=str(one.help),
                max_length=100,
                widget=forms.TextInput(attrs={"inputmode": "text" if one.many else "decimal", "autocomplete": "off"}),
            )

    @property
    def thresholds(self) -> list[forms.BoundField]:
        return [self[f"{_PREFIX}{one.name}"] for one in self.kind.thresholds]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        thresholds: dict[str, Any] = {}
        for one in self.kind.thresholds:
            if (text := given.get(f"{_PREFIX}{one.name}")) is None:
                continue
            try:
                thresholds |= check_thresholds(self.kind, {one.name: _number_or_text(one, text)})
            except ValidationError as error:
                detail: Any = error.detail
                self.add_error(f"{_PREFIX}{one.name}", str(detail["thresholds"][one.name]))
        values = {name: given.get(name) for name in ("enabled", "channels", "roles")}
        body = AlertRuleBody(data={**values, "thresholds": thresholds})
        if _carry(self, body):
            given["values"] = body.validated_data
        return given


class WebhookForm(forms.Form):
    url = forms.CharField(
        label=_("Address"),
        required=False,
        widget=forms.URLInput(attrs={"placeholder": "https://hooks.example.com/alerts", "autocomplete": "off"}),
        help_text=_("https, at a public address. Alerts are posted there, signed."),
    )
    description = forms.CharField(label=_("Description"), required=False, help_text=_("For your own people."))
    kinds = forms.MultipleChoiceField(
        label=_("Alerts"),
        choices=[(kind, names.KINDS[kind]) for kind in KINDS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: all."),
    )

    def __init__(self, given: Any = None, *, endpoint: WebhookEndpoint | None = None) -> None:
        begin = {} if endpoint is None else {name: getattr(endpoint, name) for name in ("url", "description", "kinds")}
        super().__init__(given, initial=begin)

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if self.errors:
            return given
        body = WebhookBody(data={name: given[name] for name in ("url", "description", "kinds")})
        if _carry(self, body):
            given["values"] = body.validated_data
        return given


class HistoryForm(forms.Form):
    kind = forms.ChoiceField(label=_("About"), required=False, choices=[("", _("Everything")), *names.KINDS.items()])
    unread = forms.BooleanField(label=_("Unread only"), required=False)

    def found(self) -> Any:
        """What does not make sense filters nothing."""
        rows = AlertEvent.objects.all()
        given = self.cleaned_data if self.is_valid() else {}
        if given.get("kind"):
            rows = rows.filter(kind=given["kind"])
        return rows.filter(read_at=None) if given.get("unread") else rows


class LogForm(forms.Form):
    endpoint = forms.ChoiceField(label=_("To"), required=False)
    status = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[
            ("", _("Any")),
            (Delivery.Status.WAITING, _("Waiting")),
            (Delivery.Status.DELIVERED, _("Delivered")),
            (Delivery.Status.FAILED, _("Failed")),
        ],
    )

    def __init__(self, given: Any, to: list[tuple[str, str]]) -> None:
        super().__init__(given)
        self.fields["endpoint"] = forms.ChoiceField(
            label=_("To"), required=False, choices=[("", _("Everybody")), ("email", _("People, by email")), *to]
        )

    def found(self) -> Any:
        rows = Delivery.objects.select_related("event", "endpoint")
        given = self.cleaned_data if self.is_valid() else {}
        if given.get("endpoint"):
            rows = rows.filter(endpoint=None if given["endpoint"] == "email" else given["endpoint"])
        return rows.filter(status=given["status"]) if given.get("status") else rows


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value:g}" if value < 1e6 else str(value)


def _number_or_text(threshold: Threshold, text: str) -> Any:
    """What is no number stays text, and is refused as that."""
    if threshold.many:
        return [_number(threshold, part) for part in text.replace(";", ",").split(",") if part.strip()]
    return _number(threshold, text)


def _number(threshold: Threshold, text: str) -> Any:
    with contextlib.suppress(ValueError):
        return int(text) if threshold.whole else float(text)
    return text


def _carry(form: forms.Form, body: Serializer[Any]) -> bool:
    """What the API would say stands beside the form's fields."""
    if body.is_valid():
        return not form.errors
    for name, reasons in body.errors.items():
        said = reasons.values() if isinstance(reasons, dict) else [reasons]
        for each in said:
            form.add_error(name if name in form.fields else None, [str(reason) for reason in each])
    return False
