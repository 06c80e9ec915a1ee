"""Pages before a workspace: sign-up, the list of one's workspaces, one's account."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from allauth.account.models import EmailAddress
from allauth.account.utils import complete_signup, get_next_redirect_url, setup_user_email
from allauth.account.views import ConfirmEmailView as BaseConfirmEmailView
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from tenants import addresses, claims, onboarding, registration
from tenants.forms import SignUpForm
from tenants.models import Membership, Tenant, User


class Made(NamedTuple):
    user: User
    tenant: Tenant
    # Shown once, if at all.
    api_key: str


@never_cache
@sensitive_post_parameters("password")
def signup(request: HttpRequest) -> HttpResponse:
    """Ends with the page that shows the first API key, once; or where `next` says; or with the mail to confirm."""
    if request.user.is_authenticated:
        return redirect("workspaces")
    onward = get_next_redirect_url(request)
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = _register(request, form, shows_key=not onward and settings.EMAIL_VERIFICATION == "optional")
        if made is not None:
            setup_user_email(request, made.user, [])
            led_on: HttpResponse = complete_signup(
                request, made.user, settings.EMAIL_VERIFICATION, onward or onboarding.address(made.tenant)
            )
            return onboarding.welcome(request, made.tenant, made.api_key) if made.api_key else led_on
    context = {"form": form, "next": onward}
    return render(request, "tenants/signup.html", context, status=400 if form.errors else 200)


def _register(request: HttpRequest, form: SignUpForm, *, shows_key: bool) -> Made | None:
    """A key that nobody would see is not made."""
    address = addresses.client_address(request)
    try:
        addresses.count_registration(address)
        if shows_key:
            user, tenant, issued = registration.register(**form.cleaned_data, ip=address)
            return Made(user, tenant, issued.text)
        return Made(*registration.join(**form.cleaned_data, ip=address), "")
    except registration.EmailTaken as error:
        form.add_error("email", str(error))
    except addresses.TooManyRegistrations as error:
        form.add_error(None, str(error))
    return None


class ConfirmEmailView(BaseConfirmEmailView):
    """All of it or nothing: somebody else may have signed up with the address meanwhile."""

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                confirmed: HttpResponse = super().post(*args, **kwargs)
                return confirmed
        except IntegrityError:
            messages.error(self.request, _("There is an account with this address by now."))
            return redirect("account")


@login_required
def workspaces(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    if user.claimed_at is not None:
        return redirect("claimed")
    memberships: Any = Membership.objects.filter(user=user).select_related("tenant").order_by("tenant__name")
    if len(memberships) == 1:
        return redirect("dashboard", slug=memberships[0].tenant.slug)
    return render(request, "tenants/workspaces.html", {"memberships": memberships})


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def claimed(request: HttpRequest) -> HttpResponse:
    """What was in the account before it was theirs alone: which keys may go on."""
    user = cast(User, request.user)
    if request.method == "POST":
        revoked = claims.answer(user, request.POST.getlist("keep"), ip=addresses.client_address(request))
        told = ngettext("%(number)d key was revoked.", "%(number)d keys were revoked.", revoked) % {"number": revoked}
        messages.success(request, told)
        return redirect("workspaces")
    if user.claimed_at is None:
        return redirect("workspaces")
    return render(request, "tenants/claimed.html", {"left": claims.left(user)})


@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """What protects the account, and where each part of it is changed."""
    user = cast(User, request.user)
    kinds = list(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    context = {
        "has_password": user.has_usable_password(),
        "unverified": not EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists(),
        "has_app": Authenticator.Type.TOTP in kinds,
        "passkeys": kinds.count(Authenticator.Type.WEBAUTHN),
        "sessions": UserSession.objects.filter(user=user).count(),
        "providers": list(SocialAccount.objects.filter(user=user).values_list("provider", flat=True)),
        "providers_offered": bool(settings.LOGIN_PROVIDERS),
    }
    return render(request, "account/overview.html", context)
