"""A workspace's API keys, managed by its own programs. The text of a key is in the answer that makes it, and nowhere
else. Refuses to give a scope that the asking key has not. A key's models, limits and end bind that key alone: whoever
may manage keys may issue one without any.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import apikeys, roles
from tenants.authentication import OPERATOR
from tenants.bodies import Body
from tenants.limits import BUDGET_FIELDS, COUNT_FIELDS, LARGEST, LARGEST_USD, BudgetMode
from tenants.management_views import Conflict, ManagementView, missing, printable, read
from tenants.models import ApiKey, AuditEvent, Tenant
from tenants.paging import Order, PageQuery
from tenants.roles import ADMIN_SCOPE, SCOPES, Action

MAX_MODELS = 500
MAX_OVERLAP_S = 30 * 86400
# What a key may be given here; “operator” is given in the operators' admin only.
GRANTED = SCOPES | {ADMIN_SCOPE}
# Columns of four bytes end sooner.
_LARGEST = {"PositiveIntegerField": 2**31 - 1, "PositiveBigIntegerField": LARGEST}
_ORDER = Order("api-keys", ["id"], descending=True)


def _count(name: str) -> serializers.IntegerField:
    largest = _LARGEST[ApiKey._meta.get_field(name).get_internal_type()]
    least = 1 if name.endswith("_burst") else 0
    return serializers.IntegerField(min_value=least, max_value=largest, allow_null=True, required=False)


def _budget() -> serializers.DecimalField:
    return serializers.DecimalField(12, 2, min_value=Decimal(0), max_value=LARGEST_USD, allow_null=True, required=False)


class KeyBody(Body):
    """Empty limits are those of the plan alone; a key's own never lift the plan's."""

    name = serializers.CharField(max_length=80, required=False, validators=[printable])
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=32),
        max_length=8,
        required=False,
        help_text="Empty: for apps. “admin”: may manage the workspace; others (docs/roles.md): a part of that.",
    )
    allowed_models = serializers.ListField(
        child=serializers.CharField(max_length=120, validators=[printable]),
        max_length=MAX_MODELS,
        required=False,
        help_text="What it may ask for; empty: all.",
    )
    priority = serializers.ChoiceField(ApiKey.Priority.values, required=False)
    expires_at = serializers.DateTimeField(allow_null=True, required=False)
    budget_mode = serializers.ChoiceField(BudgetMode.choices, required=False)

    def get_fields(self) -> dict[str, Any]:
        counts = {name: _count(name) for name in COUNT_FIELDS}
        return {**super().get_fields(), **counts, **{name: _budget() for name in BUDGET_FIELDS}}

    def validate_expires_at(self, at: dt.datetime | None) -> dt.datetime | None:
        if at is not None and at <= timezone.now():
            raise serializers.ValidationError("This is past. To end a key at once, DELETE it.")
        return at


class KeySerializer(KeyBody):
    object = serializers.CharField()
    id = serializers.CharField(help_text="The part of the key after “nk-”; as in exports and costs.")
    status = serializers.CharField(help_text="active, expired or revoked.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True, help_text="The person's address, where one is known.")
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    revoked_at = serializers.DateTimeField(allow_null=True)


class IssuedKeySerializer(KeySerializer):
    api_key = serializers.CharField(help_text="Shown once: keep it.")


class KeysSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = KeySerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


class KeysQuery(PageQuery):
    status = serializers.ChoiceField(["active", "all"], default="active")


class RotateBody(Body):
    overlap_s = serializers.IntegerField(
        min_value=0, max_value=MAX_OVERLAP_S, default=apikeys.OVERLAP_S, help_text="How long the old one goes on."
    )


class ForceQuery(Body):
    force = serializers.BooleanField(default=False, help_text="Also where the asking key would lock itself out.")


def shown(key: ApiKey) -> dict[str, Any]:
    """Without its secret, which nobody has."""
    expired = key.expires_at is not None and key.expires_at <= timezone.now()
    facts = {
        "object": "api_key",
        "id": key.public_id,
        "status": "revoked" if key.revoked_at else "expired" if expired else "active",
        "created_by": key.created_by.email if key.created_by else None,
    }
    plain = ("name", *apikeys.RIGHTS, "created_at", "last_used_at", "revoked_at")
    return dict(KeySerializer({**facts, **{name: getattr(key, name) for name in plain}}).data)


class KeysView(ManagementView):
    """The workspace's API keys."""

    action = Action.KEYS

    @extend_schema(operation_id="list_api_keys", parameters=[KeysQuery], responses=KeysSerializer)
    def get(self, request: Request) -> Response:
        query = read(KeysQuery(data=request.query_params.dict()))
        found = _living(self.key.tenant) if query["status"] == "active" else _all(self.key.tenant)
        rows, after = _ORDER.page(found, query["limit"], query.get("cursor"))
        return Response({"object": "list", "data": [shown(key) for key in rows], "next": after})

    @extend_schema(operation_id="issue_api_key", request=KeyBody, responses={201: IssuedKeySerializer})
    def post(self, request: Request) -> Response:
        values = read(KeyBody(data=request.data))
        _check_scopes(self.key, values.get("scopes", []))
        with self.changing(affects_calls=False):
            _check_room(self.key.tenant)
            issued = apikeys.issue(self.key.tenant, **values, **self.by())
        return Response({**shown(issued.key), "api_key": issued.text}, status=201)


class KeyView(ManagementView):
    """One key, by its id."""

    action = Action.KEYS

    @extend_schema(operation_id="read_api_key", responses=KeySerializer)
    def get(self, request: Request, id: str) -> Response:
        return Response(shown(_find(self.key, id)))

    @extend_schema(operation_id="change_api_key", parameters=[ForceQuery], request=KeyBody, responses=KeySerializer)
    def patch(self, request: Request, id: str) -> Response:
        """What is left out stays as it is; null lifts a limit."""
        force = read(ForceQuery(data=request.query_params.dict()))["force"]
        values = read(KeyBody(data=request.data))
        with self.changing(affects_calls=False):
            key = _find(self.key, id, lock=True)
            _check_power(self.key, key)
            _check_alive(key)
            if "scopes" in values:
                _check_scopes(self.key, values["scopes"])
            if not force and _ends_later(key, values) and _was_rotated(key):
                raise Conflict(f"This key was rotated, and ends when its successor has taken over. {_FORCE}")
            if key.pk == self.key.pk and not force and _locks_out(values):
                raise Conflict(f"This key is the one that asks, and could not manage any more. {_FORCE}")
            before = shown(key)
            for name, value in values.items():
                setattr(key, name, value)
            key.save(update_fields=list(values))
            after = shown(key)
            self.record("key.changed", str(key), **_differing(before, after))
        return Response(after)

    @extend_schema(operation_id="revoke_api_key", parameters=[ForceQuery], request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        """It is refused everywhere within a second. A second time changes nothing."""
        force = read(ForceQuery(data=request.query_params.dict()))["force"]
        with self.changing(affects_calls=False):
            key = _find(self.key, id, lock=True)
            _check_power(self.key, key)
            if key.pk == self.key.pk and not force:
                raise Conflict(f"This key is the one that asks. {_FORCE}")
            apikeys.revoke(key, **self.by())
        return Response(status=204)


class RotateKeyView(ManagementView):
    """A new key with the same rights; the old one goes on for a while."""

    action = Action.KEYS

    @extend_schema(operation_id="rotate_api_key", request=RotateBody, responses={201: IssuedKeySerializer})
    def post(self, request: Request, id: str) -> Response:
        body = read(RotateBody(data=request.data))
        with self.changing(affects_calls=False):
            key = _find(self.key, id, lock=True)
            _check_power(self.key, key)
            _check_room(self.key.tenant)
            try:
                issued = apikeys.rotate(key, overlap_s=body["overlap_s"], **self.by())
            except apikeys.KeyIsDead as error:
                raise Conflict(str(error)) from error
        return Response({**shown(issued.key), "api_key": issued.text}, status=201)


_FORCE = "If that is meant, say so with ?force=true."


def _all(tenant: Tenant) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(tenant=tenant).select_related("tenant", "created_by")


def _living(tenant: Tenant) -> QuerySet[ApiKey]:
    return apikeys.living(tenant).select_related("tenant", "created_by")


def _check_room(tenant: Tenant) -> None:
    """Raises Conflict."""
    try:
        apikeys.check_room(tenant)
    except apikeys.TooManyKeys as error:
        raise Conflict(str(error), "limit_reached") from error


def _check_alive(key: ApiKey) -> None:
    """What is over stays over: the place it had may be another's by now. Raises Conflict."""
    if key.revoked_at is not None:
        raise Conflict("This key is revoked. Issue another one.")
    if key.expires_at is not None and key.expires_at <= timezone.now():
        raise Conflict("This key has expired. Issue another one.")


def _ends_later(key: ApiKey, values: dict[str, Any]) -> bool:
    if key.expires_at is None or "expires_at" not in values:
        return False
    until: dt.datetime | None = values["expires_at"]
    return until is None or until > key.expires_at


def _was_rotated(key: ApiKey) -> bool:
    return AuditEvent.objects.filter(
        tenant=key.tenant, action="key.rotated", target__startswith=f"nk-{key.public_id}-"
    ).exists()


def _find(asking: ApiKey, public_id: str, *, lock: bool = False) -> ApiKey:
    """Of the asking key's workspace. Raises NotFound."""
    found = _all(asking.tenant)
    found = found.select_for_update(of=("self",)) if lock else found
    # Postgres refuses some of what a path may hold: a zero byte, half a character.
    key = found.filter(public_id=public_id).first() if public_id.isprintable() else None
    if key is None:
        raise missing("API key", public_id)
    return key


def _check_scopes(asking: ApiKey, scopes: list[str]) -> None:
    """Raises ValidationError, PermissionDenied."""
    if OPERATOR in scopes:
        raise PermissionDenied("The scope “operator” is given in the operators' admin only.", "forbidden")
    for at, scope in enumerate(scopes):
        if scope not in GRANTED:
            known = ", ".join(sorted(GRANTED))
            raise ValidationError({"scopes": {at: [f"There is no scope “{scope}”. There are: {known}."]}})
        if not _holds(asking, scope):
            raise PermissionDenied(f"This API key cannot give the scope “{scope}”, which it has not.", "forbidden")


def _check_power(asking: ApiKey, key: ApiKey) -> None:
    """Whoever rotates a key has its scopes. Raises PermissionDenied."""
    if not all(_holds(asking, scope) for scope in key.scopes):
        raise PermissionDenied("That key has a scope that this one has not.", "forbidden")


def _holds(asking: ApiKey, scope: str) -> bool:
    return scope in asking.scopes or (ADMIN_SCOPE in asking.scopes and scope in GRANTED)


def _locks_out(values: dict[str, Any]) -> bool:
    gives_up = "scopes" in values and not roles.does(values["scopes"], Action.KEYS)
    return values.get("expires_at") is not None or gives_up


def _differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in after if before[name] != after[name]]
    return {"before": {name: before[name] for name in names}, "after": {name: after[name] for name in names}}
