"""Of one's account: login and sign-up where they have always been, and django-allauth's pages below /account/."""

from __future__ import annotations

from allauth.account import urls as account_urls
from allauth.account import views as account_views
from allauth.urls import build_provider_urlpatterns
from django.urls import include, path, re_path

from tenants import views
from tenants.linked import secretly

# These are served at the top, under both names: allauth's own code asks for its own.
AT_THE_TOP = {
    "login": ("login/", account_views.login),
    "logout": ("logout/", account_views.logout),
    "signup": ("signup/", views.signup),
}
OURS = {"account_confirm_email", *(f"account_{name}" for name in AT_THE_TOP)}
_ALLAUTH = [route for route in account_urls.urlpatterns if route.name not in OURS]

urlpatterns = [
    *(path(at, view, name=name) for name, (at, view) in AT_THE_TOP.items()),
    *(path(at, view, name=f"account_{name}") for name, (at, view) in AT_THE_TOP.items()),
    path("account/", views.account, name="account"),
    path("account/claimed/", views.claimed, name="claimed"),
    re_path(
        r"^account/confirm-email/(?P<key>[-:\w]+)/$",
        secretly(views.ConfirmEmailView.as_view()),
        name="account_confirm_email",
    ),
    path("account/", include(_ALLAUTH)),
    path("account/2fa/", include("allauth.mfa.urls")),
    path("account/sessions/", include("allauth.usersessions.urls")),
    path("account/providers/", include("allauth.socialaccount.urls")),
    # /account/google/login/ and the like: only of providers that are set up.
    path("account/", include(build_provider_urlpatterns())),
]
