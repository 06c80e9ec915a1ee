from django.urls import include, path

from tenants import api, views
from tenants.management_keys import KeysView, KeyView, RotateKeyView
from tenants.management_tokens import RefreshView, RevokeView, TokenView
from tenants.management_users import UsersView, UserView
from tenants.pages import impersonation, keys

urlpatterns = [
    path("", include("tenants.account_urls")),
    path("impersonation/end/", impersonation.end, name="impersonation-end"),
    path("workspaces/", views.workspaces, name="workspaces"),
    path("", include("tenants.settings_urls")),
    path("t/<slug:slug>/keys/", keys.keys, name="keys"),
    path("t/<slug:slug>/keys/new", keys.new, name="key-new"),
    path("t/<slug:slug>/keys/<str:public_id>/", keys.key, name="key"),
    path("t/<slug:slug>/keys/<str:public_id>/change", keys.change, name="key-change"),
    path("t/<slug:slug>/keys/<str:public_id>/rotate", keys.rotate, name="key-rotate"),
    path("t/<slug:slug>/keys/<str:public_id>/revoke", keys.revoke, name="key-revoke"),
    path("api/register", api.RegisterView.as_view()),
    path("v1/register", api.RegisterView.as_view()),
    path("auth/token", TokenView.as_view()),
    path("auth/refresh", RefreshView.as_view()),
    path("auth/revoke", RevokeView.as_view()),
    path("v1/admin/api-keys", KeysView.as_view()),
    path("v1/admin/api-keys/<str:id>", KeyView.as_view()),
    path("v1/admin/api-keys/<str:id>/rotate", RotateKeyView.as_view()),
    path("v1/admin/users", UsersView.as_view()),
    path("v1/admin/users/<int:id>", UserView.as_view()),
]
