"""The Content-Security-Policy header: the settings' policy, and a looser one where others' pages need it."""

from __future__ import annotations

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Unfold's pages are made with Alpine.js, which evaluates attributes; Swagger UI writes styles into its elements.
_INLINE_STYLES = {"style-src": [SELF, UNSAFE_INLINE]}
LOOSER = {
    "/admin/": {"script-src": [SELF, UNSAFE_INLINE, UNSAFE_EVAL], **_INLINE_STYLES},
    "/api/docs/": _INLINE_STYLES,
}


class PolicyMiddleware(CSPMiddleware):
    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        for prefix, directives in LOOSER.items():
            if request.path_info.startswith(prefix):
                parts.replace = {**(parts.replace or {}), **directives}
        return parts
