"""drf-spectacular's two hooks: the data plane's views are kept from it, and described from tables instead."""

from __future__ import annotations

from typing import Any

from gateway.openapi import answer_bodies, paths, request_bodies
from gateway.views import StoredResponseView, UnknownPathView

_NOWHERE = (StoredResponseView, UnknownPathView)


def leave_out(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Its guesses at views that have no serializers, or that only answer 404."""
    return [
        endpoint
        for endpoint in endpoints
        if endpoint[0] not in paths.PATHS and not issubclass(endpoint[3].cls, _NOWHERE)
    ]


def describe(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    result["paths"] = dict(sorted({**result["paths"], **paths.PATHS}.items()))
    components = result["components"]
    components["schemas"] = dict(
        sorted({**components.get("schemas", {}), **request_bodies.BODIES, **answer_bodies.BODIES}.items())
    )
    components.setdefault("securitySchemes", {})[paths.API_KEY_HEADER] = {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same key where Anthropic's SDKs put it.",
    }
    result["tags"] = [*result.get("tags", []), *paths.TAGS]
    return result
