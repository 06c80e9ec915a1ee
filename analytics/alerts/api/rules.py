"""The workspace's alert rules: one for each kind, with defaults where nothing was set."""

from __future__ import annotations

import math
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.alerts import rules
from analytics.alerts.kinds import CHANNELS, KINDS, Kind, Threshold
from analytics.alerts.models import AlertRule
from analytics.alerts.rules import Rule
from tenants.bodies import Body
from tenants.management_views import ManagementView, listed, missing, read
from tenants.models import Role
from tenants.roles import Action

MAX_PERCENTS = 10


@extend_schema_field({"type": "object", "additionalProperties": True})
class ThresholdsField(serializers.DictField):
    """By name; which there are, and their bounds, is the kind's own (`watches`)."""


def _unique(values: list[Any]) -> None:
    if len(set(values)) < len(values):
        raise serializers.ValidationError("Each once.")


class AlertRuleBody(Body):
    enabled = serializers.BooleanField(default=True)
    thresholds = ThresholdsField(required=False, help_text="Those that are left out have their defaults.")
    channels = serializers.ListField(
        child=serializers.ChoiceField(CHANNELS), required=False, validators=[_unique], help_text="Default: both."
    )
    roles = serializers.ListField(
        child=serializers.ChoiceField(Role.values),
        required=False,
        validators=[_unique],
        help_text="Members with these are written to, beside the workspace's own address.",
    )


class AlertRuleSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    watches = serializers.CharField()
    enabled = serializers.BooleanField()
    thresholds = ThresholdsField()
    channels = serializers.ListField(child=serializers.ChoiceField(CHANNELS))
    roles = serializers.ListField(child=serializers.ChoiceField(Role.values))


class AlertRuleListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = AlertRuleSerializer(many=True)


def shown(rule: Rule) -> dict[str, Any]:
    return {
        "kind": rule.kind,
        "watches": KINDS[rule.kind].watches,
        "enabled": rule.enabled,
        "thresholds": rule.thresholds,
        "channels": list(rule.channels),
        "roles": list(rule.roles),
    }


class RulesView(ManagementView):
    """Every kind of alert, with the rule that holds."""

    action = Action.ALERTS

    @extend_schema(operation_id="list_alert_rules", responses=AlertRuleListSerializer)
    def get(self, request: Request) -> Response:
        with self.reading():
            return Response(listed([shown(rule) for rule in rules.read_all().values()]))


class RuleView(ManagementView):
    """The rule of one kind."""

    action = Action.ALERTS

    @extend_schema(operation_id="read_alert_rule", responses=AlertRuleSerializer)
    def get(self, request: Request, kind: str) -> Response:
        known = _find(kind)
        with self.reading():
            return Response(shown(rules.read(known.name)))

    @extend_schema(operation_id="set_alert_rule", request=AlertRuleBody, responses=AlertRuleSerializer)
    def put(self, request: Request, kind: str) -> Response:
        """What is left out goes back to its default; `{}` undoes all."""
        known = _find(kind)
        values = read(AlertRuleBody(data=request.data))
        set_to = {
            "enabled": values["enabled"],
            "thresholds": known.defaults() | _thresholds(known, values.get("thresholds", {})),
            "channels": values.get("channels", list(known.channels)),
            "roles": values.get("roles", list(known.roles)),
        }
        with self.changing():
            before = shown(rules.read(known.name))
            AlertRule.objects.update_or_create(kind=known.name, defaults=set_to)
            after = shown(rules.read(known.name))
            self.record("alert_rule.changed", known.name, before=before, after=after)
        return Response(after)


def _find(kind: str) -> Kind:
    if kind not in KINDS:
        raise missing("kind of alert", kind)
    return KINDS[kind]


def _thresholds(kind: Kind, sent: dict[str, Any]) -> dict[str, Any]:
    """Raises ValidationError for the first that the kind does not have, or that is out of its bounds."""
    known = {one.name: one for one in kind.thresholds}
    for name, value in sent.items():
        if name not in known:
            there = f"There are: {', '.join(known)}." if known else "This kind has none."
            raise serializers.ValidationError({"thresholds": {name: f"There is no such threshold. {there}"}})
        if reason := _wrong(known[name], value):
            raise serializers.ValidationError({"thresholds": {name: reason}})
    return {name: sorted(value) if known[name].many else value for name, value in sent.items()}


def _wrong(threshold: Threshold, value: Any) -> str:
    if not threshold.many:
        return _wrong_number(threshold, value)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PERCENTS:
        return f"A list of 1 to {MAX_PERCENTS} numbers."
    if reason := next(filter(None, (_wrong_number(threshold, one) for one in value)), ""):
        return reason
    return "Each once." if len(set(value)) < len(value) else ""


def _wrong_number(threshold: Threshold, value: Any) -> str:
    kinds = int if threshold.whole else int | float
    right = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if right and threshold.minimum <= value <= threshold.maximum:
        return ""
    what = "A whole number" if threshold.whole else "A number"
    return f"{what} from {threshold.minimum:g} to {threshold.maximum:,g}."
