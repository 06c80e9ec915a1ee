"""Who calls the management API: an API key, checked against the database, and the scope that it needs.

The same answers as on the data plane: 401 for a key that is no good, 403 for a suspended workspace or a missing scope.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from tenants import freezing, keys, refreshing, roles, tokens, visits, wrong_keys
from tenants.models import ApiKey, Tenant
from tenants.roles import ADMIN_SCOPE, Action

INVALID_TOKEN = (
    "This access token is not valid: it has expired, or its key or its family of tokens was revoked. POST /auth/refresh"
    " gives the next one."
)
# Given in the operators' admin only.
OPERATOR = "operator"


class KeyAuthentication(BaseAuthentication):
    """`request.auth` is the ApiKey, with its tenant, also where a token stands for it. No person is logged in:
    `request.user` is None.
    """

    def authenticate(self, request: Request) -> tuple[None, ApiKey]:
        text = self.text_of(request)
        key = self.find(text)
        if key is None:
            wrong_keys.note(wrong_keys.place_of(request.META.get("REMOTE_ADDR"), _forwarded(request)))
            raise _invalid_token() if tokens.looks_like_one(text) else _invalid()
        if (visit := visits.of(request)) is not None:
            visit.tenant_id, visit.key = key.tenant_id, key.public_id
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= timezone.now()):
            raise _invalid()
        if key.tenant.moving_since is not None:
            raise Moving
        if key.tenant.status != Tenant.Status.ACTIVE:
            raise PermissionDenied("This workspace is suspended. Its owner can contact support.", "tenant_suspended")
        return None, key

    def text_of(self, request: Request) -> str:
        return _text_of(request)

    def find(self, text: str) -> ApiKey | None:
        return _of_token(text) if tokens.looks_like_one(text) else _of_text(text)

    def authenticate_header(self, request: Request) -> str:
        """Without one, DRF makes a 403 of each 401."""
        return "Bearer"


class KeyAlone(KeyAuthentication):
    """No token: else what lasts a quarter of an hour could be renewed for ever. The key may be in the body, too."""

    def text_of(self, request: Request) -> str:
        if request.META.get("HTTP_AUTHORIZATION") or request.META.get("HTTP_X_API_KEY"):
            return _text_of(request)
        body = request.data
        text = body.get("api_key") if isinstance(body, Mapping) else None
        return text.strip() if isinstance(text, str) else _text_of(request)

    def find(self, text: str) -> ApiKey | None:
        return _of_text(text)


def _of_text(text: str) -> ApiKey | None:
    parts = keys.parse(text)
    key = parts and _with_tenant(parts.public_id)
    return key if parts and key and hmac.compare_digest(bytes(key.secret_sha256), parts.secret_sha256) else None


def _of_token(text: str) -> ApiKey | None:
    claims = tokens.signer().read(text)
    key = claims and _with_tenant(claims.public_id)
    if not claims or not key or key.tenant_id != claims.tenant_id or not refreshing.is_alive(claims.family, key):
        return None
    return key


def _with_tenant(public_id: str) -> ApiKey | None:
    return ApiKey.objects.select_related("tenant").filter(public_id=public_id).first()


def _forwarded(request: Request) -> str | None:
    forwarded: str | None = request.META.get("HTTP_X_FORWARDED_FOR")
    return forwarded


class Moving(APIException):
    """The workspace is on its way to another database: what changed now would be lost."""

    status_code = 503
    default_detail, default_code = freezing.WORDS, freezing.CODE
    # Of this the header is made (tenants.api).
    retry_after_s = freezing.RETRY_AFTER_S


def _text_of(request: Request) -> str:
    authorization: str = request.META.get("HTTP_AUTHORIZATION", "")
    if authorization[:7].lower() == "bearer ":
        return authorization[7:].strip()
    if key := request.META.get("HTTP_X_API_KEY"):
        return str(key).strip()
    raise NotAuthenticated("No API key. Send it as “Authorization: Bearer nk-…”.", "missing_api_key")


def _invalid() -> AuthenticationFailed:
    return AuthenticationFailed("This API key is not valid: it is unknown, expired or revoked.", "invalid_api_key")


def _invalid_token() -> AuthenticationFailed:
    return AuthenticationFailed(INVALID_TOKEN, "invalid_token")


def lacks(action: Action) -> str:
    """What to tell a key without the scope."""
    return (
        f"This API key may not do this: it lacks the scope “{action.value}”. Send one that has it, or “{ADMIN_SCOPE}”,"
        " which is all of them. Members make such keys on the workspace's page “Keys”."
    )


class MayManage(BasePermission):
    """The view's `action`; to read, its `to_read`, where it has one."""

    code = "forbidden"

    def has_permission(self, request: Request, view: APIView) -> bool:
        action: Action = view.to_read if request.method in SAFE_METHODS and view.to_read else view.action
        self.message = lacks(action)
        return roles.does(request.auth.scopes, action)


class MayOperate(BasePermission):
    """The platform, all workspaces of it."""

    message = "This API key may not operate the platform: it lacks the scope “operator”."
    code = "forbidden"

    def has_permission(self, request: Request, view: APIView) -> bool:
        return OPERATOR in request.auth.scopes


class KeyScheme(OpenApiAuthenticationExtension):
    """What /api/docs/ says of it."""

    target_class = "tenants.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key, nk-…, or an access token."}


# The same for views that authenticate in the pipeline.
KEY: list[Any] = [{KeyScheme.name: []}]
