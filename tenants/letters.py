"""The letter that invites somebody, as plain text and simple HTML from templates/tenants/settings/."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from tenants.invitations import Letter

SUBJECT_LENGTH = 150


def invitation(letter: Letter) -> EmailMultiAlternatives:
    about = letter.invitation
    context = {
        "invitation": about,
        "tenant": about.tenant,
        "inviter": about.invited_by,
        "url": f"{settings.PUBLIC_URL}{reverse('invitation', args=[letter.token])}",
    }
    subject = _("You are invited to %(workspace)s on NexusGateway") % {"workspace": about.tenant.name}
    message = EmailMultiAlternatives(
        # A line break would begin a header of somebody's own.
        " ".join(subject.split())[:SUBJECT_LENGTH],
        render_to_string("tenants/settings/letter.txt", context),
        to=[about.email],
    )
    message.attach_alternative(render_to_string("tenants/settings/letter.html", context), "text/html")
    return message
