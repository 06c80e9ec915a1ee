"""Forms of sign-up and login, and what the admin's forms of limits have in common."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from tenants import limits, registration


class SignUpForm(forms.Form):
    email = forms.EmailField(
        max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})
    )
    name = forms.CharField(
        max_length=120, label="Workspace", required=False, help_text="Your company or project. You can leave it empty."
    )
    password = forms.CharField(
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters.",
    )

    def clean(self) -> dict[str, Any]:
        fields = self.cleaned_data
        if "password" in fields:
            try:
                registration.check_password(fields["password"], fields.get("email", ""))
            except forms.ValidationError as error:
                self.add_error("password", error)
        return fields


class LoginForm(AuthenticationForm):
    username = forms.EmailField(
        label="Email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})
    )


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
