"""Forms of sign-up and login."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from tenants import registration


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
