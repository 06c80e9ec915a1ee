from django.urls import path

from analytics.alerts.api.deliveries import AlertTestView, DeliveriesView, ReplayView
from analytics.alerts.api.history import AlertReadView, AlertsView
from analytics.alerts.api.rules import RulesView, RuleView
from analytics.alerts.api.webhooks import EndpointsView, EndpointView, RotateView

urlpatterns = [
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
