"""One of the cache's settings, switched on or off by a button on the page that it is about."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from rest_framework.exceptions import APIException

from gateway.api import cache_settings
from gateway.pages.told import tell
from tenants.access import by_of, membership_of


def switch(request: HttpRequest, name: str, *, on: str, off: str) -> None:
    """As the form says, which has the setting's name with “on”, or anything else; `on` and `off` tell the person."""
    wanted = request.POST.get(name) == "on"
    try:
        cache_settings.change(membership_of(request).tenant, {name: wanted}, by_of(request))
    except APIException as error:
        tell(request, error)
    else:
        messages.success(request, on if wanted else off)
