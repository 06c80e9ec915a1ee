"""The management API of this app: registration. Errors come in OpenAI's envelope, as on the data plane."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import OperationalError
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound
from rest_framework.exceptions import PermissionDenied as Forbidden
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from tenants import addresses, registration
from tenants.management_views import printable

logger = logging.getLogger(__name__)


class RegisterSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(
        max_length=120, required=False, validators=[printable], help_text="The workspace's name."
    )
    password = serializers.CharField(
        max_length=128, required=False, trim_whitespace=False, help_text="For logging in on the dashboard."
    )
    admin = serializers.BooleanField(
        required=False, help_text="Whether the key may manage providers and routes, too: such a key is not for apps."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "password" in attrs:
            try:
                registration.check_password(attrs["password"], attrs["email"])
            except ValidationError as error:
                raise serializers.ValidationError({"password": error.messages}) from error
        return attrs


class RegisteredSerializer(serializers.Serializer[Any]):
    api_key = serializers.CharField(help_text="Shown once: keep it.")
    tenant = serializers.CharField()
    plan = serializers.CharField()
    base_url = serializers.URLField()
    dashboard_url = serializers.URLField()


class RegisterView(APIView):
    """Makes a workspace with its first API key."""

    @extend_schema(request=RegisterSerializer, responses={201: RegisteredSerializer})
    def post(self, request: Request) -> Response:
        serializer = RegisterSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        address = addresses.client_address(request)
        try:
            addresses.count_registration(address)
            made = registration.register(**serializer.validated_data, ip=address)
        except addresses.TooManyRegistrations as error:
            return _error(429, str(error), "rate_limit_error", "rate_limit_exceeded", retry_after_s=error.retry_after_s)
        except registration.EmailTaken as error:
            return _error(409, str(error), "invalid_request_error", "email_taken", param="email")
        return Response(
            {
                "api_key": made.issued.text,
                "tenant": made.tenant.slug,
                "plan": made.tenant.subscription.plan_id,
                "base_url": f"{settings.PUBLIC_URL}/v1",
                "dashboard_url": f"{settings.PUBLIC_URL}/t/{made.tenant.slug}/",
            },
            status=201,
        )


def _error(
    status: int, message: str, type: str, code: str, *, param: str | None = None, retry_after_s: int | None = None
) -> Response:
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else None
    body = {"error": {"message": message, "type": type, "param": param, "code": code}}
    return Response(body, status=status, headers=headers)


def on_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every exception in the envelope that clients of the data plane know."""
    set_rollback()
    if isinstance(error, Http404):
        error = NotFound()
    elif isinstance(error, PermissionDenied):
        error = Forbidden()
    if isinstance(error, OperationalError):
        logger.error("the database is away: %s", error)
        return _error(503, "The gateway cannot do this now. Try again.", "server_error", "service_unavailable")
    if not isinstance(error, APIException):
        logger.exception("%s failed", context["request"].path, exc_info=error)
        return _error(500, "Something went wrong here, not with the request.", "server_error", "internal_error")
    path, message = first_error(error.detail)
    param = path.removeprefix(".") or None
    code = error.get_codes() if isinstance(error.detail, str) else "invalid_request"
    kind = _TYPES.get(error.status_code, "invalid_request_error" if error.status_code < 500 else "server_error")
    said = f"`{param}`: {message}" if param else message
    retry_after_s = getattr(error, "retry_after_s", None)
    return _error(error.status_code, said, kind, str(code), param=param, retry_after_s=retry_after_s)


_TYPES = {403: "permission_error", 429: "rate_limit_error"}


def first_error(detail: Any) -> tuple[str, str]:
    """The first field that is wrong, such as `.targets[1].weight`, and why."""
    if isinstance(detail, dict):
        name, inner = next(item for item in detail.items() if item[1])
        path, message = first_error(inner)
        if name == "non_field_errors":
            return path, message
        return (f"[{name}]" if isinstance(name, int) else f".{name}") + path, message
    if isinstance(detail, list):
        at, inner = next((at, inner) for at, inner in enumerate(detail) if inner)
        path, message = first_error(inner)
        # A list of texts says what is wrong with one field, a list of objects which of its items it is.
        return (path if isinstance(inner, str) else f"[{at}]{path}"), message
    return "", str(detail)
