"""What django-allauth asks us: addresses, links in mails, secrets at rest; and a workspace for who logs in elsewhere.

Sign-up with a password is tenants.views; the words and the limits are in the settings.
"""

from __future__ import annotations

import logging
import smtplib
from typing import Any, ClassVar
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants import addresses, registration, secretbox
from tenants.models import User

logger = logging.getLogger(__name__)

# For who comes from nowhere, as test clients do: limits and sessions need an address.
NOWHERE = "0.0.0.0"


def mail_is_logged() -> bool:
    """No mail server is set up: messages are printed to the log."""
    return settings.EMAIL_BACKEND.startswith("django.core.mail.backends.console.")


class AccountAdapter(DefaultAccountAdapter):
    error_messages: ClassVar[dict[str, str | Promise]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("Please enter a correct email address and password."),
    }

    def get_client_ip(self, request: HttpRequest) -> str:
        return addresses.client_address(request) or NOWHERE

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        """At our own address, whatever a Host header says."""
        return settings.PUBLIC_URL + reverse("account_confirm_email", args=[emailconfirmation.key])

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL + path.replace("UID-KEY", quote(key))

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        """Only what was to come in place of the present one."""
        return bool(email_address.email != email_address.user.email and super().can_delete_email(email_address))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that is away keeps nobody from signing up; who is logged in is told."""
        try:
            super().send_mail(template_prefix, email, {**context, "public_url": settings.PUBLIC_URL})
        except (OSError, smtplib.SMTPException) as error:
            logger.error("a mail (%s) could not be sent: %s", template_prefix, error)
            if self.request is not None and self.request.user.is_authenticated:
                messages.error(self.request, gettext("A mail to you could not be sent. Try again later."))


class SecretsAdapter(DefaultMFAAdapter):
    """The secrets of authenticator apps and recovery codes are encrypted as providers' credentials are."""

    def encrypt(self, text: str) -> str:
        return secretbox.seal(text).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return secretbox.open_sealed(encrypted_text.encode())


class ProviderAdapter(DefaultSocialAccountAdapter):
    """Of people who come by Google or GitHub."""

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        user.name = (data.get("name") or "")[: User._meta.get_field("name").max_length]
        return user

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """A user with a workspace, all of it or nothing."""
        address = addresses.client_address(request)
        try:
            addresses.count_registration(address)
        except addresses.TooManyRegistrations as error:
            messages.error(request, str(error))
            raise ImmediateHttpResponse(redirect("login")) from None
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            registration.open_workspace(user, ip=address)
        return user
