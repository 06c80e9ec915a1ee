from django.urls import include, path

from analytics import audit_files, onboarding, views
from analytics.api.costs import CostsView, StatsView
from analytics.api.exports import LedgerView, RecordsView
from analytics.api.metrics import MetricsView
from analytics.api.tenant_figures import TenantAnalyticsView, TenantUsageView
from analytics.api.tenants import TenantsView, TenantView
from analytics.pages import live, report, requests, savings, share

urlpatterns = [
    path("t/<slug:slug>/", live.dashboard, name="dashboard"),
    path("t/<slug:slug>/requests/", requests.requests, name="requests"),
    path("t/<slug:slug>/requests/<str:ref>/", requests.story, name="request"),
    path("t/<slug:slug>/savings/", savings.overview, name="savings"),
    path("t/<slug:slug>/savings/breakdown.csv", savings.breakdown_file, name="savings-csv"),
    path("t/<slug:slug>/savings/report.pdf", report.report, name="savings-report"),
    path("t/<slug:slug>/savings/dollar/", savings.dollar, name="savings-dollar"),
    path("t/<slug:slug>/savings/links/", share.links, name="savings-links"),
    path("t/<slug:slug>/savings/links/<int:share_id>/revoke/", share.unshare, name="savings-unshare"),
    path("share/savings/<str:token>/", share.shared, name="shared-savings"),
    path("t/<slug:slug>/start/", onboarding.start, name="start"),
    path("t/<slug:slug>/start/news", onboarding.start_news, name="start-news"),
    path("t/<slug:slug>/settings/audit.csv", audit_files.audit_file, {"format": "csv"}, name="audit-csv"),
    path("t/<slug:slug>/settings/audit.jsonl", audit_files.audit_file, {"format": "jsonl"}, name="audit-jsonl"),
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
