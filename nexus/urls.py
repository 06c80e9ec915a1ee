"""Every path of the product: each app's own `urls`, the operators' admin, and the API's description."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from gateway.views import UnknownPathView
from nexus import admin_pages

admin.autodiscover()

handler400 = "nexus.unreadable.page"
_operators = admin.site.admin_view
urlpatterns = [
    path("admin/system/", _operators(admin_pages.system_page), name="admin-system"),
    path("admin/failures/", _operators(admin_pages.failures), name="admin-failures"),
    path(
        "admin/failures/messages/<int:tenant_id>/<uuid:id>/",
        _operators(admin_pages.retry_message),
        name="admin-retry-message",
    ),
    path("admin/failures/events/<int:id>/", _operators(admin_pages.retry_event), name="admin-retry-event"),
    path("admin/failures/tasks/<str:id>/", _operators(admin_pages.retry_task), name="admin-retry-task"),
    # In place of the admin's own, which know neither second factors nor sessions.
    path("admin/login/", admin_pages.log_in),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("", include("tenants.urls")),
    path("", include("billing.urls")),
    path("", include("gateway.urls")),
    path("", include("analytics.urls")),
    # The API answers in JSON, whatever is asked.
    re_path(r"^(?:v1|api|auth)/", UnknownPathView.as_view()),
]
