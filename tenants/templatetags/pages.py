"""What all pages write alike: moments, which the browser shows in the viewer's zone, and sentences that were kept."""

from __future__ import annotations

import datetime as dt

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tenants import kept, writing
from tenants import once as forms_once

register = template.Library()

# Without JavaScript, times are UTC and say so. `static/nexus/base.js` rewrites what carries `data-when`.
_FORMS = {"moment": writing.moment, "time": writing.time_of_day, "day": writing.day}


@register.filter
def said(sentence: str) -> str:
    """One that is kept in English, in the language of the page."""
    return kept.read(sentence)


@register.simple_tag
def once() -> SafeString:
    """In a form that makes a secret: it is taken once."""
    return format_html('<input type="hidden" name="{}" value="{}">', forms_once.FIELD, forms_once.mark())


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
        _FORMS[form](at),
    )
