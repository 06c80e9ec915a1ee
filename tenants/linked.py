"""Pages that are reached by a link which is a secret."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache

View = Callable[..., HttpResponseBase]


def secretly(view: View) -> View:
    """Keeps the address from search engines, from caches, and from where the page leads."""

    @functools.wraps(view)
    def hidden(request: HttpRequest, *arguments: object, **named: object) -> HttpResponseBase:
        response = view(request, *arguments, **named)
        response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        # Not “no-referrer”: with that, browsers hide where a form comes from, and it is refused.
        response["Referrer-Policy"] = "strict-origin"
        return response

    return never_cache(hidden)
