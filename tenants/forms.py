"""The forms of sign-up and of a new address, and what the admin's forms of limits have in common."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import AddEmailForm
from allauth.account.forms import ResetPasswordForm as BaseResetPasswordForm
from allauth.account.models import EmailAddress
from django import forms
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tenants import limits, registration
from tenants.models import User


def check_printable(value: str) -> None:
    """Breaks of lines, and signs that turn the text around, would make one name look like another. Raises."""
    if not value.isprintable():
        raise forms.ValidationError(_("Only printable characters."))


class SignUpForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})
    )
    name = forms.CharField(
        max_length=120,
        label=_("Workspace"),
        required=False,
        validators=[check_printable],
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
        help_text=_("Your company or project. You can leave it empty."),
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 10 characters."),
    )

    def clean(self) -> dict[str, Any]:
        fields = self.cleaned_data
        if "password" in fields:
            try:
                registration.check_password(fields["password"], fields.get("email", ""))
            except forms.ValidationError as error:
                self.add_error("password", error)
        return fields


class ChangeEmailForm(AddEmailForm):
    """allauth's own takes away an address that is not confirmed before the new one is: nobody could log in then."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError(_("There is an account with this address already."))
        return email

    def save(self, request: HttpRequest) -> EmailAddress:
        with transaction.atomic():
            EmailAddress.objects.filter(user=self.user, verified=False).exclude(email=self.user.email).delete()
            address: EmailAddress = EmailAddress.objects.create(user=self.user, email=self.cleaned_data["email"])
        address.send_confirmation(request)
        return address


class ResetPasswordForm(BaseResetPasswordForm):
    """Whether an address has an account does not show by the time that this takes."""

    users: Any

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        # Who only wishes for an address does not have it: the link is for the account that it is of.
        own = [user for user in self.users if user.email.lower() == self.cleaned_data["email"].lower()]
        # A letter to nobody is written, too, and thrown away where it would be sent.
        self.users = own or [User(pk=0)]
        email: str = super().save(request, **kwargs)
        return email


class LimitsForm(forms.ModelForm):
    """Of a model that is `limits.Limited`."""

    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        given = {name: fields.get(name) for name in limits.LIMIT_FIELDS}
        for name, value in given.items():
            try:
                limits.check({name: value})
            except ValueError as error:
                self.add_error(name, str(error))
        return fields
