from django.urls import include, path

from analytics import views
from analytics.api.costs import CostsView, StatsView
from analytics.api.exports import LedgerView, RecordsView
from analytics.api.metrics import MetricsView
from analytics.api.tenant_figures import TenantAnalyticsView, TenantUsageView
from analytics.api.tenants import TenantsView, TenantView

urlpatterns = [
    path("t/<slug:slug>/", views.dashboard, name="dashboard"),
    path("t/<slug:slug>/billing/ledger.csv", views.ledger_csv, name="billing-ledger"),
    path("stats", StatsView.as_view()),
    path("v1/usage/costs", CostsView.as_view()),
    path("v1/admin/metrics", MetricsView.as_view()),
    path("api/usage/records", RecordsView.as_view()),
    path("api/billing/ledger", LedgerView.as_view()),
    path("api/admin/tenants", TenantsView.as_view()),
    path("api/admin/tenants/<int:id>", TenantView.as_view()),
    path("api/admin/tenants/<int:id>/analytics", TenantAnalyticsView.as_view()),
    path("api/admin/tenants/<int:id>/usage", TenantUsageView.as_view()),
    path("", include("analytics.alerts.urls")),
]
