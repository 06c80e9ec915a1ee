from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants import api, views

urlpatterns = [
    path("", views.landing, name="landing"),
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("signup/", views.signup, name="signup"),
    path("workspaces/", views.workspaces, name="workspaces"),
    path("api/register", api.RegisterView.as_view()),
    path("v1/register", api.RegisterView.as_view()),
]
