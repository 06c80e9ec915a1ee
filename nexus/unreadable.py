"""Requests that no page can read: forms in odd encodings or of too many fields, and texts that Postgres refuses.

They are answered with 400 before anything stumbles over them: Django's own pages for errors read the form once more.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from nexus.headers import PROGRAMS

logger = logging.getLogger(__name__)

ADMIN = "/admin/"
_PARTS_OF_DATES = ("__year", "__month", "__day")
_PART = re.compile("[0-9]{1,4}")
# The one after it ends the year that is looked for.
_LAST_YEAR = 9999


def page(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400. Made without the request, which cannot be read."""
    return HttpResponse(render_to_string("400.html"), status=400)


class UnreadableMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(ADMIN) and not _can_be_looked_for(request):
            return page(request)
        if request.method == "POST" and not request.path_info.startswith(PROGRAMS) and not _is_a_form(request):
            return page(request)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The admin builds queries from what is in its addresses."""
        if not request.path_info.startswith(ADMIN) or not isinstance(error, DataError | OverflowError):
            return None
        logger.warning("%s cannot be looked for: %s", request.path_info, error)
        return page(request)


def _is_a_form(request: HttpRequest) -> bool:
    """Or nothing that Django would read as one."""
    try:
        request.POST  # noqa: B018  reads it
    except (BadRequest, SuspiciousOperation, MultiPartParserError, LookupError) as error:
        logger.warning("a form to %s cannot be read: %s", request.path_info, error)
        return False
    return True


def _can_be_looked_for(request: HttpRequest) -> bool:
    asked = [(name, value) for name, values in request.GET.lists() for value in values]
    if "\0" in request.path_info or any("\0" in name + value for name, value in asked):
        return False
    parts = [value for name, value in asked if name.endswith(_PARTS_OF_DATES)]
    return all(_PART.fullmatch(value) and 0 < int(value) < _LAST_YEAR for value in parts)
