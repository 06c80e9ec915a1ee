"""Headers that every answer of Django's has, beside those of its own middleware (nosniff, Referrer-Policy, HSTS, COOP)
and of nexus.csp. The edge's answers have theirs from gateway.answers.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# These answer programs, each its own: neither a browser nor a proxy is to keep what they say.
PROGRAMS = ("/api/", "/v1/", "/auth/", "/stats")
# What no page of ours asks a browser for.
NO_DEVICES = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class HeadersMiddleware:
    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", NO_DEVICES)
        if request.path_info.startswith(PROGRAMS):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
