"""The operators' page of a person: with what the account is protected, and the way back in for who has lost it.

django-allauth's own pages of its tables are not kept: their rows are seen here, and an edit there would be in no log.
"""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_lazy
from unfold.admin import TabularInline
from unfold.enums import ActionVariant

from tenants import audit
from tenants.admin import ReadOnly, UserAdmin
from tenants.models import Tenant, User
from tenants.operators import actor, ask, button

# What the person is told by mail, as when they had done it themselves.
LETTERS = {
    Authenticator.Type.TOTP: "mfa/email/totp_deactivated",
    Authenticator.Type.WEBAUTHN: "mfa/email/webauthn_removed",
}


class Rows(ReadOnly, TabularInline):  # type: ignore[misc]
    hide_title = True
    extra = 0


class AddressRows(Rows):
    model = EmailAddress
    verbose_name_plural = gettext_lazy("addresses")
    fields = readonly_fields = ("email", "verified", "primary")


class FactorRows(Rows):
    model = Authenticator
    verbose_name_plural = gettext_lazy("second factors and passkeys")
    fields = readonly_fields = ("type", "created_at", "last_used_at")


class ProviderRows(Rows):
    model = SocialAccount
    verbose_name_plural = gettext_lazy("accounts elsewhere")
    fields = readonly_fields = ("provider", "date_joined", "last_login")


class AccountAdmin(UserAdmin):
    inlines = (AddressRows, FactorRows, ProviderRows)
    actions = ("take_factors",)
    actions_detail = ("take_factors_button",)

    @admin.action(description=gettext_lazy("Take away second factors"), permissions=["change"])
    def take_factors(self, request: HttpRequest, people: QuerySet[User]) -> HttpResponse | None:
        question = gettext(
            "Take away all second factors and passkeys? The password alone logs in then. They are told by mail."
        )
        if (page := ask(self, request, "take_factors", people, question=question)) is not None:
            return page
        taken = [take_factors(request, person) for person in people]
        self.message_user(request, gettext("Taken away: %(number)s.") % {"number": sum(taken)})
        return None

    take_factors_button = button("take_factors", gettext_lazy("Take away second factors"), variant=ActionVariant.DANGER)


def take_factors(request: HttpRequest, person: User) -> int:
    """How many there were; recovery codes are one. Nothing is told of nothing."""
    with transaction.atomic():
        factors = Authenticator.objects.select_for_update().filter(user=person)
        kinds = sorted(factors.values_list("type", flat=True))
        if not kinds:
            return 0
        factors.delete()
        # In the operators' log, and in those of the workspaces that the password alone opens now.
        logs = [None, *Tenant.objects.filter(memberships__user=person).order_by("pk")]
        audit.record_everywhere(
            "user.factors_removed", logs, target=person.email, before={"types": kinds}, **actor(request)
        )
    for kind, letter in LETTERS.items():
        if kind in kinds:
            get_adapter().send_notification_mail(letter, person)
    return len(kinds)


for table in (EmailAddress, Authenticator, UserSession, SocialApp, SocialToken, SocialAccount):
    admin.site.unregister(table)
admin.site.unregister(User)
admin.site.register(User, AccountAdmin)
