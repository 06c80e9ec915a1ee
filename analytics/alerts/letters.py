"""An alert as a message to people: subject, plain text and simple HTML, from templates/alerts/."""

from __future__ import annotations

import smtplib
import time
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from analytics.alerts.kinds import line_of, title_of
from analytics.alerts.models import AlertEvent, Delivery
from analytics.alerts.posting import Answer
from tenants.models import Tenant

SUBJECT_LENGTH = 150


def send(tenant: Tenant, event: AlertEvent, delivery: Delivery) -> Answer:
    """Raises nothing that depends on the mail server."""
    started = time.monotonic()
    error = ""
    try:
        _message(tenant, event, delivery).send()
    except (smtplib.SMTPException, OSError, ValueError) as failure:
        error = f"The mail server did not take it: {type(failure).__name__}."
    return Answer(None, error, "", 0.0, round((time.monotonic() - started) * 1000))


def _message(tenant: Tenant, event: AlertEvent, delivery: Delivery) -> EmailMultiAlternatives:
    title = title_of(event.kind, event.facts)
    context: dict[str, Any] = {
        "tenant": tenant,
        "event": event,
        "title": title,
        "line": line_of(event.kind, event.facts),
        "dashboard_url": f"{settings.PUBLIC_URL}/t/{tenant.slug}/",
    }
    # A line break would begin a header of somebody's own.
    subject = " ".join(f"{tenant.name}: {title}".split())[:SUBJECT_LENGTH]
    message = EmailMultiAlternatives(
        subject,
        render_to_string("alerts/email.txt", context),
        to=[delivery.email],
        # The same when it has to be sent again, so that mailboxes can tell.
        headers={"Message-ID": f"<{delivery.pk.hex}@{_domain()}>"},
    )
    message.attach_alternative(render_to_string("alerts/email.html", context), "text/html")
    return message


def _domain() -> str:
    return settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(" >") or "localhost"
