"""What django-allauth asks us: addresses, links in mails, secrets at rest; and a workspace for who logs in elsewhere.

Sign-up with a password is tenants.views; the words and the limits are in the settings.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.sites.shortcuts import get_current_site
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants import account_trail, addresses, keyspace, pace, post, registration, secretbox
from tenants.handover import Away, hand_over
from tenants.models import User

logger = logging.getLogger(__name__)

# For who comes from nowhere, as test clients do: limits and sessions need an address.
NOWHERE = "0.0.0.0"
NOTE_WRONG_PASSWORDS = "tenants.tasks.note_wrong_passwords"


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

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Many wrong passwords are told to the workspaces of who has the address."""
        address = str(credentials.get("email", ""))
        key = keyspace.wrong_passwords(hashlib.sha256(address.lower().encode()).hexdigest())
        limit = account_trail.WRONG_PASSWORDS - 1
        if pace.wait_s(key, limit, window_s=account_trail.WITHIN_S) is not None:
            try:
                hand_over(NOTE_WRONG_PASSWORDS, address, addresses.client_address(request))
            except Away as error:
                logger.error("that logins of an account fail is told to nobody: %s", error)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        """At our own address, whatever a Host header says."""
        return settings.PUBLIC_URL + reverse("account_confirm_email", args=[emailconfirmation.key])

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL + path.replace("UID-KEY", quote(key))

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        """Only what was to come in place of the present one."""
        return bool(email_address.email != email_address.user.email and super().can_delete_email(email_address))

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """To nobody where there is no account (tenants.forms): it takes the same time."""
        super().send_password_reset_mail(user, email if user.pk else "", context)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Written here, sent by a worker once what it tells of is committed."""
        known = {"request": self.request, "email": email, "current_site": get_current_site(self.request)}
        letter = self.render_mail(template_prefix, email, {**known, "public_url": settings.PUBLIC_URL, **context})
        transaction.on_commit(functools.partial(self._post, template_prefix, letter))

    def _post(self, template_prefix: str, letter: EmailMultiAlternatives) -> None:
        """With neither queue nor mail server nobody is kept from signing up; who is logged in is told."""
        try:
            post.post(letter)
        except post.NOT_SENT as error:
            logger.error("a mail (%s) could not be sent: %s", template_prefix, error)
            if self.request is not None and self.request.user.is_authenticated:
                messages.error(self.request, gettext("A mail to you could not be sent. Try again later."))


class SessionsAdapter(DefaultUserSessionsAdapter):
    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        super().end_sessions(sessions)
        if sessions:
            account_trail.record(
                "account.sessions_ended", sessions[0].user, self.request, after={"sessions": len(sessions)}
            )


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
        # As our own forms have names: in one line, and nothing in it turns the text around.
        printable = "".join(each for each in str(data.get("name") or "") if each.isprintable()).strip()
        user.name = printable[: User._meta.get_field("name").max_length]
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
