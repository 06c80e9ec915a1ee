from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants import api, views
from tenants.management_keys import KeysView, KeyView, RotateKeyView
from tenants.management_users import UsersView, UserView

urlpatterns = [
    path("", views.landing, name="landing"),
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("signup/", views.signup, name="signup"),
    path("workspaces/", views.workspaces, name="workspaces"),
    path("api/register", api.RegisterView.as_view()),
    path("v1/register", api.RegisterView.as_view()),
    path("v1/admin/api-keys", KeysView.as_view()),
    path("v1/admin/api-keys/<str:id>", KeyView.as_view()),
    path("v1/admin/api-keys/<str:id>/rotate", RotateKeyView.as_view()),
    path("v1/admin/users", UsersView.as_view()),
    path("v1/admin/users/<int:id>", UserView.as_view()),
]
