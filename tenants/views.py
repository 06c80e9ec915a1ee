"""Pages before a workspace: sign-up, login, the list of one's workspaces."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView as BaseLoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from tenants import addresses, registration
from tenants.forms import LoginForm, SignUpForm
from tenants.models import Membership, User


def landing(request: HttpRequest) -> HttpResponse:
    return render(request, "landing.html", {"base_url": f"{settings.PUBLIC_URL}/v1"})


class LoginView(BaseLoginView):
    template_name = "tenants/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True


@never_cache
@sensitive_post_parameters("password")
def signup(request: HttpRequest) -> HttpResponse:
    """Ends with the page that shows the first API key, once."""
    if request.user.is_authenticated and request.method == "GET":
        return redirect("workspaces")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = _register(request, form)
        if made is not None:
            login(request, made.user)
            context = {"tenant": made.tenant, "api_key": made.issued.text, "base_url": f"{settings.PUBLIC_URL}/v1"}
            return render(request, "tenants/welcome.html", context, status=201)
    return render(request, "tenants/signup.html", {"form": form}, status=400 if form.errors else 200)


def _register(request: HttpRequest, form: SignUpForm) -> registration.Registered | None:
    address = addresses.client_address(request)
    try:
        addresses.count_registration(address)
        return registration.register(**form.cleaned_data, ip=address)
    except registration.EmailTaken as error:
        form.add_error("email", str(error))
    except addresses.TooManyRegistrations as error:
        form.add_error(None, str(error))
    return None


@login_required
def workspaces(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    memberships: Any = Membership.objects.filter(user=user).select_related("tenant").order_by("tenant__name")
    if len(memberships) == 1:
        return redirect("dashboard", slug=memberships[0].tenant.slug)
    return render(request, "tenants/workspaces.html", {"memberships": memberships})
