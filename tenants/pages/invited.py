"""What the link in an invitation leads to: accept it, with the account that has its address or with a new one."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from tenants import addresses, invitations
from tenants.linked import secretly
from tenants.members import Refused
from tenants.models import Invitation, Membership, User
from tenants.settings_forms import JoinForm


@secretly
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invited(request: HttpRequest, token: str) -> HttpResponseBase:
    invitation = invitations.find(token)
    if invitation is None:
        return render(request, "tenants/settings/invitation_over.html", status=404)
    if request.method == "GET":
        return _page(request, invitation)
    if "decline" in request.POST:
        return _decline(request, invitation)
    if request.user.is_authenticated:
        return _accept(request, invitation, request.user)
    return _join(request, invitation)


def _page(
    request: HttpRequest, invitation: Invitation, form: JoinForm | None = None, status: int = 200
) -> HttpResponseBase:
    holder = User.objects.filter(email=invitation.email).first()
    context: dict[str, Any] = {
        "invitation": invitation,
        "holder": holder,
        "is_theirs": request.user.is_authenticated and request.user == holder,
        "form": form or JoinForm(email=invitation.email),
    }
    return render(request, "tenants/settings/invitation.html", context, status=status)


def _accept(request: HttpRequest, invitation: Invitation, user: User) -> HttpResponseBase:
    try:
        member = invitations.accept(user, invitation, ip=addresses.client_address(request))
    except Refused as error:
        messages.error(request, str(error))
        return _page(request, invitation, status=403)
    return _welcome(request, member)


def _join(request: HttpRequest, invitation: Invitation) -> HttpResponseBase:
    """An account without a workspace of its own. The link has come to the address, so that is confirmed."""
    form = JoinForm(request.POST, email=invitation.email)
    if form.is_valid():
        address = addresses.client_address(request)
        try:
            addresses.count_registration(address)
            with transaction.atomic():
                user = User.objects.create_user(
                    invitation.email, form.cleaned_data["password"], name=form.cleaned_data["name"]
                )
                EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
                member = invitations.accept(user, invitation, ip=address)
        except IntegrityError:
            form.add_error(None, _("There is an account with this address now. Log in to accept."))
        except (addresses.TooManyRegistrations, Refused) as error:
            form.add_error(None, str(error))
        else:
            login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
            return _welcome(request, member)
    return _page(request, invitation, form, status=400)


def _welcome(request: HttpRequest, member: Membership) -> HttpResponseBase:
    told = {"workspace": member.tenant.name, "role": member.get_role_display()}
    messages.success(request, _("Welcome to %(workspace)s. Your role here: %(role)s.") % told)
    return redirect("dashboard", slug=member.tenant.slug)


def _decline(request: HttpRequest, invitation: Invitation) -> HttpResponseBase:
    user = request.user if request.user.is_authenticated else None
    try:
        invitations.decline(user, invitation, ip=addresses.client_address(request))
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Declined. The link is of no use any more."))
    return redirect("landing")
