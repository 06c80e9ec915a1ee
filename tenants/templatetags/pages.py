"""What all pages write alike: moments, which the browser shows in the viewer's zone."""

from __future__ import annotations

import datetime as dt

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

# Without JavaScript, times are UTC and say so. `static/nexus/base.js` rewrites what carries `data-when`.
_FORMS = {"moment": "%-d %b %Y, %H:%M UTC", "time": "%H:%M:%S UTC", "day": "%-d %b %Y"}


@register.simple_tag
def when(at: dt.datetime | None, form: str = "moment", missing: str = "–") -> str | SafeString:
    """`form`: moment, time or day. The exact UTC time is the tooltip."""
    if at is None:
        return missing
    at = at.astimezone(dt.UTC)
    return format_html(
        '<time datetime="{}" data-when="{}" title="{}">{}</time>',
        at.isoformat(timespec="milliseconds"),
        form,
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        at.strftime(_FORMS[form]),
    )
