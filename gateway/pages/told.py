"""What the pages say of an error that the API would have answered with."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from rest_framework.exceptions import APIException, ValidationError

from tenants.api import first_error


def wrong(error: APIException) -> str:
    """The first thing that is wrong, without the field's name where the page shows it beside the field."""
    return first_error(error.detail)[1] if isinstance(error, ValidationError) else str(error.detail)


def tell(request: HttpRequest, error: APIException) -> None:
    messages.error(request, wrong(error))
