"""`/auth/…`: an API key for short-lived tokens, a refresh token for the next ones, and their end."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants import addresses, keyspace, pace, refreshing, wrong_keys
from tenants.authentication import KEY, KeyAlone
from tenants.bodies import Body, JsonParser
from tenants.management_views import read
from tenants.refreshing import Issued

PER_MINUTE = 60
OFTEN = _("Tokens are made of one key %(times)s times a minute at most. Try again in %(seconds)s s.")
# Beyond any that we make.
MAX_LENGTH = 1024
# Whoever has the token.
NOBODY: list[Any] = [{}]
_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenBody(Body):
    api_key = serializers.CharField(
        max_length=MAX_LENGTH, required=False, help_text="In place of the header “Authorization”."
    )


class RefreshBody(Body):
    refresh_token = serializers.CharField(max_length=MAX_LENGTH, help_text="Good once.")


class RevokeBody(Body):
    token = serializers.CharField(max_length=MAX_LENGTH, help_text="A refresh token, or an access token.")


class TokenPairSerializer(serializers.Serializer[Any]):
    access_token = serializers.CharField(help_text="For “Authorization: Bearer …”, wherever an API key is taken.")
    token_type = serializers.CharField(help_text="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    refresh_token = serializers.CharField(help_text="For the next ones. Good once.")
    refresh_expires_in = serializers.IntegerField(help_text="Seconds; those of the first one are never prolonged.")


class RevokedSerializer(serializers.Serializer[Any]):
    revoked = serializers.BooleanField(help_text="False: it was no living token.")


class _TokensView(APIView):
    parser_classes = (JsonParser,)
    permission_classes = ()

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in _NOT_KEPT.items():
            response.headers[name] = value
        return response


class TokenView(_TokensView):
    """An access token for 15 minutes and a refresh token, for an API key. They may what the key may, as long as it
    may.
    """

    authentication_classes = (KeyAlone,)

    @extend_schema(operation_id="make_tokens", auth=KEY, request=TokenBody, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        read(TokenBody(data=request.data))
        key = request.auth
        pace.count(keyspace.tokens_issued(key.pk), PER_MINUTE, OFTEN)
        return Response(_shown(refreshing.issue(key)))


class RefreshView(_TokensView):
    """The next two tokens. The one that was sent is used up: sent again, it ends the whole family."""

    authentication_classes = ()

    @extend_schema(operation_id="refresh_tokens", auth=NOBODY, request=RefreshBody, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        text = read(RefreshBody(data=request.data))["refresh_token"]
        try:
            return Response(_shown(refreshing.refresh(text, ip=addresses.client_address(request))))
        except refreshing.Reused:
            raise AuthenticationFailed(_REUSED, "refresh_token_reused") from None
        except refreshing.Refused:
            wrong_keys.note(_place(request))
            raise AuthenticationFailed(_REFUSED, "invalid_refresh_token") from None

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"


class RevokeView(_TokensView):
    """Ends a family of tokens, in every process within a second. Whoever has one of them may."""

    authentication_classes = ()

    @extend_schema(operation_id="revoke_tokens", auth=NOBODY, request=RevokeBody, responses=RevokedSerializer)
    def post(self, request: Request) -> Response:
        text = read(RevokeBody(data=request.data))["token"]
        revoked = refreshing.revoke(text, ip=addresses.client_address(request))
        if not revoked:
            wrong_keys.note(_place(request))
        return Response({"revoked": revoked})


_REFUSED = "This refresh token is not valid: it is unknown or expired, or it or its key was revoked."
_REUSED = (
    "This refresh token was used before, so all tokens of its family have ended: two have it, and one of them may be a"
    " thief. POST /auth/token with the API key begins a new family."
)


def _place(request: Request) -> str | None:
    return wrong_keys.place_of(request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_FORWARDED_FOR"))


def _shown(issued: Issued) -> dict[str, Any]:
    return {
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": issued.access_s,
        "refresh_token": issued.refresh,
        "refresh_expires_in": issued.refresh_s,
    }
