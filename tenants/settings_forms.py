"""The forms of the settings' pages. They offer only what the member's own role allows."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from tenants import registration, roles, support
from tenants.forms import check_printable
from tenants.models import Membership, Role, Tenant
from tenants.roles import Action

# No more than an index of Postgres or a line of a letter takes.
_EMAIL, _NAME = 254, 120
_CANNOT_BE = {"invalid_choice": _("Choose one of the list.")}


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form was sent, also when that is nothing; None: it is only shown."""
    return request.POST if request.method == "POST" else None


def _given_by(role: str) -> list[tuple[str, Any]]:
    """Roles that somebody of this one may give."""
    names_owners = roles.may(role, Action.OWNERSHIP)
    return [(value, label) for value, label in Role.choices if value != Role.OWNER or names_owners]


def _name_field(label: Any, **more: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off"})
    return forms.CharField(label=label, max_length=_NAME, validators=[check_printable], widget=widget, **more)


class InviteForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"), max_length=_EMAIL, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label=_("Role"), initial=Role.DEVELOPER, error_messages=_CANNOT_BE)

    def __init__(self, data: Any = None, *, by_role: str) -> None:
        super().__init__(data, auto_id="invite_%s")
        self.fields["role"].choices = _given_by(by_role)  # type: ignore[attr-defined]


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), widget=forms.RadioSelect, error_messages=_CANNOT_BE)

    def __init__(self, data: Any = None, *, by_role: str, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        self.fields["role"].choices = _given_by(by_role)  # type: ignore[attr-defined]


class WorkspaceForm(forms.Form):
    name = _name_field(_("Name"))
    email = forms.EmailField(
        label=_("Contact"),
        max_length=_EMAIL,
        help_text=_("Alerts and notices go there, and Stripe makes a new customer with it."),
    )


class RetentionForm(forms.Form):
    """`most`: as long as the plan keeps records."""

    days = forms.IntegerField(
        label=_("Days"), min_value=1, required=False, widget=forms.NumberInput(attrs={"inputmode": "numeric"})
    )

    def __init__(self, data: Any = None, *, most: int, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial, auto_id="retention_%s")
        self.most = most
        self.fields["days"].help_text = _("1 to %(most)s; empty: as long as the plan keeps them.") % {"most": most}
        self.fields["days"].widget.attrs |= {"max": most, "placeholder": most}

    def clean_days(self) -> int | None:
        days: int | None = self.cleaned_data["days"]
        if days is not None and days > self.most:
            raise ValidationError(_("The plan keeps records for %(most)s days at most.") % {"most": self.most})
        return days

    @property
    def shortens(self) -> bool:
        """Whether records go that would be kept otherwise. Once it is valid."""
        days, before = self.cleaned_data["days"], self.initial["days"]
        return min(days or self.most, self.most) < min(before or self.most, self.most)


class SupportForm(forms.Form):
    """0 days: not any more."""

    days = forms.TypedChoiceField(
        choices=[(str(days), str(days)) for days in (0, *support.DAYS)], coerce=int, error_messages=_CANNOT_BE
    )


class NamedForm(forms.Form):
    """What cannot be taken back asks for the workspace's name."""

    name = forms.CharField(
        label=_("The workspace's name"), max_length=_NAME, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, data: Any = None, *, tenant: Tenant, **more: Any) -> None:
        super().__init__(data, **more)
        self.tenant = tenant

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        # As browsers and fields trim it.
        if name != self.tenant.name.strip():
            raise ValidationError(_("This is not the workspace's name."))
        return name


class TransferForm(NamedForm):
    heir = forms.ModelChoiceField(
        Membership.objects.none(), label=_("New owner"), empty_label=_("Choose a member"), error_messages=_CANNOT_BE
    )
    field_order = ("heir", "name")

    def __init__(self, data: Any = None, *, tenant: Tenant, user_id: int) -> None:
        super().__init__(data, tenant=tenant)
        heirs = Membership.objects.filter(tenant=tenant, user__is_active=True).exclude(role=Role.OWNER)
        field: Any = self.fields["heir"]
        field.queryset = heirs.exclude(user_id=user_id).select_related("user").order_by("user__email")
        field.label_from_instance = lambda member: f"{member.user.email} · {member.get_role_display()}"


class NewWorkspaceForm(forms.Form):
    name = _name_field(_("Name"), help_text=_("Your company, team or project."))


class JoinForm(forms.Form):
    """The account of somebody who was invited; the address is that of the invitation."""

    name = _name_field(_("Your name"), required=False, help_text=_("You can leave it empty."))
    password = forms.CharField(
        label=_("Password"),
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 10 characters."),
    )

    def __init__(self, data: Any = None, *, email: str) -> None:
        super().__init__(data)
        self.email = email

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        registration.check_password(password, self.email)
        return password


def _date(label: Any) -> forms.DateField:
    return forms.DateField(label=label, required=False, widget=forms.DateInput(attrs={"type": "date"}))


class TrailForm(forms.Form):
    """Filters of the audit log. `what` is an area of it, or one action's name."""

    what = forms.CharField(label=_("What"), max_length=64, required=False, validators=[check_printable])
    who = forms.CharField(label=_("Who"), max_length=_EMAIL, required=False, validators=[check_printable])
    start = _date(_("From"))
    end = _date(_("To"))

    def clean(self) -> dict[str, Any]:
        fields = self.cleaned_data
        for name in ("start", "end"):
            day: dt.date | None = fields.get(name)
            # The last day that can be followed by another, in any zone.
            if day is not None and not 1 < day.year < 9999:
                self.add_error(name, _("There is no such day in the log."))
        return fields
