"""What the views of this API that run on the data plane share; `tenants.management_views` has the others'."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from gateway.errors import InvalidRequest
from tenants.api import first_error


def checked(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """What was sent, checked. Raises InvalidRequest."""
    if not serializer.is_valid():
        path, message = first_error(serializer.errors)
        param = path.removeprefix(".") or None
        raise InvalidRequest(f"`{param}`: {message}" if param else message, param=param)
    values: dict[str, Any] = serializer.validated_data
    return values
