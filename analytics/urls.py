from django.urls import path

from analytics import views

urlpatterns = [path("t/<slug:slug>/", views.dashboard, name="dashboard")]
