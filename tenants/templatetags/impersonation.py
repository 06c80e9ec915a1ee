"""What the banner of an operator who looks at a workspace says."""

from __future__ import annotations

from typing import Any

from django import template

from tenants import impersonation
from tenants.impersonation import Looking

register = template.Library()


@register.simple_tag(takes_context=True)
def looking(context: dict[str, Any]) -> Looking | None:
    request = context.get("request")
    return None if request is None or not hasattr(request, "session") else impersonation.current(request)
