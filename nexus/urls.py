"""Every path of the product: each app's own `urls`, the operators' admin, and the API's description."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from gateway.views import UnknownPathView

admin.autodiscover()

urlpatterns = [
    path("admin/", admin.site.urls),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("", include("tenants.urls")),
    path("", include("billing.urls")),
    path("", include("gateway.urls")),
    path("", include("analytics.urls")),
    # The API answers in JSON, whatever is asked.
    re_path(r"^(?:v1|api)/", UnknownPathView.as_view()),
]
