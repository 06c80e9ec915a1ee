"""Routes of the workspace, with their targets: always sent and replaced as a whole."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.api.cache_settings import MIN_THRESHOLD
from gateway.cache.rules import LONGEST_S
from gateway.models import Provider, Route, Target
from tenants import audit
from tenants.audit import By
from tenants.bodies import Body, Number
from tenants.management_views import Conflict, ManagementView, changing, listed, missing, printable, read
from tenants.models import Tenant
from tenants.roles import Action

MAX_ROUTES, MAX_TARGETS = 500, 20


class TargetBody(Body):
    provider = serializers.CharField(
        max_length=64, required=False, allow_null=True, default=None, help_text="Its name; null: whoever has the model."
    )
    model = serializers.CharField(
        max_length=120, source="upstream_model", validators=[printable], help_text="As the provider is asked for it."
    )
    weight = serializers.IntegerField(
        min_value=0, max_value=1_000_000, default=1, help_text="Share of the traffic; 0: only when others fail."
    )
    tier = serializers.ChoiceField(Target.Tier.choices, default="", allow_blank=True)


class RouteCacheBody(Body):
    """What is left out, or null, is as in the workspace's cache settings."""

    exact = serializers.BooleanField(required=False, allow_null=True)
    semantic = serializers.BooleanField(required=False, allow_null=True)
    shadow = serializers.BooleanField(required=False, allow_null=True)
    threshold = Number(min_value=MIN_THRESHOLD, max_value=1, required=False, allow_null=True)
    ttl_s = serializers.IntegerField(min_value=0, max_value=LONGEST_S, required=False, allow_null=True)


class RouteBody(Body):
    model = serializers.CharField(max_length=120, validators=[printable], help_text="The name that apps ask for.")
    strategy = serializers.ChoiceField(Route.Strategy.choices, default=Route.Strategy.FALLBACK)
    hedge_after_ms = serializers.IntegerField(
        allow_null=True,
        default=None,
        min_value=1,
        max_value=600_000,
        help_text="Ask the next target, too, when the first has not begun to answer by then; null: never.",
    )
    targets = TargetBody(many=True, allow_empty=False, max_length=MAX_TARGETS)
    cache = RouteCacheBody(required=False, default=dict, help_text="Cache settings that are others for this route.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        targets = attrs["targets"]
        ways = [(target["provider"], target["upstream_model"]) for target in targets]
        for at, way in enumerate(ways):
            if way in ways[:at]:
                raise ValidationError({"targets": {at: [gettext("This target is there twice.")]}})
        if attrs["strategy"] == Route.Strategy.WEIGHTED and not any(target["weight"] for target in targets):
            raise ValidationError({"targets": gettext("A weighted route needs a target whose weight is above 0.")})
        if attrs["strategy"] == Route.Strategy.COMPLEXITY:
            tiers = {target["tier"] for target in targets}
            if not {"simple", "complex"} <= tiers:
                raise ValidationError(
                    {
                        "targets": gettext(
                            "A route by complexity needs a target of tier “simple” and one of tier “complex”."
                        )
                    }
                )
        return attrs


class RouteListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = RouteBody(many=True)


def shown(route: Route) -> dict[str, Any]:
    """`route` with its targets and their providers."""
    return {
        "model": route.model,
        "strategy": route.strategy,
        "hedge_after_ms": route.hedge_after_ms,
        "targets": [
            {
                "provider": target.provider.name if target.provider else None,
                "model": target.upstream_model,
                "weight": target.weight,
                "tier": target.tier,
            }
            for target in route.targets.all()
        ],
        "cache": route.cache,
    }


class RoutesView(ManagementView):
    """The workspace's routes, by name."""

    action = Action.ROUTES

    @extend_schema(operation_id="list_routes", responses=RouteListSerializer)
    def get(self, request: Request) -> Response:
        with self.reading():
            return Response(listed([shown(route) for route in routes()]))

    @extend_schema(operation_id="make_route", request=RouteBody, responses={201: RouteBody})
    def post(self, request: Request) -> Response:
        values = read(RouteBody(data=request.data))
        return Response(create(self.key.tenant, values, self.by()), status=201)


class RouteView(ManagementView):
    """One route, by the name that apps ask for."""

    action = Action.ROUTES

    @extend_schema(operation_id="read_route", responses=RouteBody)
    def get(self, request: Request, model: str) -> Response:
        with self.reading():
            return Response(shown(_find(model)))

    @extend_schema(operation_id="replace_route", request=RouteBody, responses=RouteBody)
    def put(self, request: Request, model: str) -> Response:
        """Strategy, hedge, targets and cache, all of them. `model` may be left out; it cannot be changed."""
        body = request.data
        values = read(RouteBody(data={"model": model, **body} if isinstance(body, dict) else body))
        if values["model"] != model:
            raise ValidationError({"model": gettext("A route keeps its name. Make another one, and delete this.")})
        return Response(replace(self.key.tenant, values, self.by()))

    @extend_schema(operation_id="delete_route", request=None, responses={204: None})
    def delete(self, request: Request, model: str) -> Response:
        delete(self.key.tenant, model, self.by())
        return Response(status=204)


def create(tenant: Tenant, values: dict[str, Any], by: By) -> dict[str, Any]:
    """The route as it is then; `values` as RouteBody has checked them. Raises ValidationError, Conflict."""
    with changing(tenant):
        model = values["model"]
        if Route.objects.filter(model=model).exists():
            raise Conflict(
                gettext("There is a route “%(model)s” already; PUT replaces it.") % {"model": model}, "name_taken"
            )
        if Route.objects.count() >= MAX_ROUTES:
            raise Conflict(gettext("A workspace has %(most)s routes at most.") % {"most": MAX_ROUTES}, "limit_reached")
        after = _save(Route(model=model), values)
        audit.record("route.created", tenant=tenant, target=model, after=after, **by)
    return after


def replace(tenant: Tenant, values: dict[str, Any], by: By) -> dict[str, Any]:
    """The route of the name in `values`, which RouteBody has checked. Raises ValidationError, Conflict, NotFound."""
    with changing(tenant):
        route = _find(values["model"])
        before = shown(route)
        after = _save(route, values)
        audit.record_change("route.replaced", tenant=tenant, target=route.model, before=before, after=after, **by)
    return after


def delete(tenant: Tenant, model: str, by: By) -> None:
    """Raises NotFound, Conflict."""
    with changing(tenant):
        route = _find(model)
        audit.record("route.deleted", tenant=tenant, target=model, before=shown(route), **by)
        route.delete()


def routes() -> QuerySet[Route]:
    """With their targets, and those with their providers."""
    return Route.objects.prefetch_related("targets__provider")


def _find(model: str) -> Route:
    # Postgres refuses some of what a path may hold: a zero byte, half a character.
    route = routes().filter(model=model).first() if model.isprintable() else None
    if route is None:
        raise missing("route", model)
    return route


def _save(route: Route, values: dict[str, Any]) -> dict[str, Any]:
    """The route as it is then. Raises ValidationError for a provider that does not exist."""
    providers = {provider.name: provider for provider in Provider.objects.all()}
    for at, target in enumerate(values["targets"]):
        if target["provider"] is not None and target["provider"] not in providers:
            why = gettext("There is no provider “%(provider)s” here.") % {"provider": target["provider"]}
            raise ValidationError({"targets": {at: {"provider": [why]}}})
    route.strategy, route.hedge_after_ms = values["strategy"], values["hedge_after_ms"]
    route.cache = {name: value for name, value in values["cache"].items() if value is not None}
    route.save()
    route.targets.all().delete()
    Target.objects.bulk_create(
        Target(route=route, position=position, **{**target, "provider": providers.get(target["provider"])})
        for position, target in enumerate(values["targets"])
    )
    return shown(_find(route.model))
