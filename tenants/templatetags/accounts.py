"""What pages say of mail and of an address that is not confirmed."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django import template
from django.template.context import Context

from tenants import accounts

register = template.Library()


@register.inclusion_tag("account/_mail_is_logged.html")
def mail_is_logged() -> dict[str, Any]:
    """Where no mail server is set up, that it is so."""
    return {"mail_is_logged": accounts.mail_is_logged()}


@register.inclusion_tag("account/_unconfirmed.html", takes_context=True)
def unconfirmed_address(context: Context) -> dict[str, Any]:
    """A quiet line until the address is confirmed, with a button that sends the mail again."""
    request = context["request"]
    user = request.user
    known = EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists()
    return {
        "email": "" if known else user.email,
        "mail_is_logged": accounts.mail_is_logged(),
        "csrf_token": context.get("csrf_token"),
    }
