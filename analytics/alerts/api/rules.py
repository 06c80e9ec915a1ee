"""The workspace's alert rules: one for each kind, with defaults where nothing was set."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.alerts import changes, rules
from analytics.alerts.bodies import AlertRuleBody, ThresholdsField
from analytics.alerts.kinds import CHANNELS, KINDS, Kind
from analytics.alerts.rules import shown
from tenants.management_views import ManagementView, listed, missing, read
from tenants.models import Role
from tenants.roles import Action


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
        return Response(shown(changes.set_rule(self.key.tenant, known, values, self.by())))


def _find(kind: str) -> Kind:
    if kind not in KINDS:
        raise missing("kind of alert", kind)
    return KINDS[kind]
