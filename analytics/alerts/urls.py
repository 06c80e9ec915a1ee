from django.urls import include, path

from analytics.alerts.api.deliveries import AlertTestView, DeliveriesView, ReplayView
from analytics.alerts.api.history import AlertReadView, AlertsView
from analytics.alerts.api.rules import RulesView, RuleView
from analytics.alerts.api.webhooks import EndpointsView, EndpointView, RotateView
from analytics.pages import alerts, webhooks

_pages = [
    path("", alerts.history, name="alerts"),
    path("read/", alerts.read_all, name="alerts-read"),
    path("<uuid:id>/read/", alerts.read, name="alert-read"),
    path("rules/", alerts.rule_list, name="alert-rules"),
    path("rules/<slug:kind>/", alerts.rule, name="alert-rule"),
    path("webhooks/", webhooks.webhook_list, name="alert-webhooks"),
    path("webhooks/new/", webhooks.new, name="alert-webhook-new"),
    path("webhooks/<uuid:id>/", webhooks.webhook, name="alert-webhook"),
    path("webhooks/<uuid:id>/pause/", webhooks.pause, name="alert-webhook-pause"),
    path("webhooks/<uuid:id>/rotate/", webhooks.rotate, name="alert-webhook-rotate"),
    path("webhooks/<uuid:id>/test/", webhooks.test, name="alert-webhook-test"),
    path("webhooks/<uuid:id>/delete/", webhooks.delete, name="alert-webhook-delete"),
    path("deliveries/", webhooks.log, name="alert-deliveries"),
    path("deliveries/<uuid:id>/replay/", webhooks.replay, name="alert-replay"),
]

urlpatterns = [
    path("t/<slug:slug>/alerts/", include(_pages)),
    path("api/alerts", AlertsView.as_view()),
    path("api/alerts/<uuid:id>/read", AlertReadView.as_view()),
    path("api/alerts/rules", RulesView.as_view()),
    path("api/alerts/rules/<str:kind>", RuleView.as_view()),
    path("api/alerts/test", AlertTestView.as_view()),
    path("api/alerts/webhooks", EndpointsView.as_view()),
    path("api/alerts/webhooks/<uuid:id>", EndpointView.as_view()),
    path("api/alerts/webhooks/<uuid:id>/rotate", RotateView.as_view()),
    path("api/alerts/webhooks/<uuid:id>/deliveries", DeliveriesView.as_view()),
    path("api/alerts/deliveries/<uuid:id>/replay", ReplayView.as_view()),
]
