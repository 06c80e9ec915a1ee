"""An alert as a message to people: subject, plain text and simple HTML, from templates/alerts/."""

from __future__ import annotations

import smtplib
import time
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext_noop

from analytics.alerts.models import AlertEvent, Delivery
from analytics.alerts.posting import Answer
from analytics.alerts.telling import line_of, title_of
from tenants import kept
from tenants.models import Tenant
from tenants.writing import moment

SUBJECT_LENGTH = 150
NOT_TAKEN = gettext_noop("The mail server did not take it: {why}.")
kept.keep(NOT_TAKEN)


def send(tenant: Tenant, event: AlertEvent, delivery: Delivery) -> Answer:
    """Raises nothing that depends on the mail server."""
    started = time.monotonic()
    error = ""
    try:
        _message(tenant, event, delivery).send()
    except (smtplib.SMTPException, OSError, ValueError) as failure:
        error = NOT_TAKEN.format(why=type(failure).__name__)
    return Answer(None, error, "", 0.0, round((time.monotonic() - started) * 1000))


def _message(tenant: Tenant, event: AlertEvent, delivery: Delivery) -> EmailMultiAlternatives:
    title = title_of(event.kind, event.facts)
    context: dict[str, Any] = {
        "tenant": tenant,
        "event": event,
        "title": title,
        "line": line_of(event.kind, event.facts),
        "at": moment(event.at),
        "dashboard_url": f"{settings.PUBLIC_URL}{reverse('dashboard', args=[tenant.slug])}",
        "rule_url": f"{settings.PUBLIC_URL}{reverse('alert-rule', args=[tenant.slug, event.kind])}",
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
