"""Paths of the billing API, of a workspace's billing pages, and the page that buyers come back to."""

from __future__ import annotations

from django.urls import path

from billing import api, pages, views

urlpatterns = [
    path("billing/return", views.back_from_checkout, name="billing-return"),
    path("t/<slug:slug>/billing/", pages.overview, name="billing"),
    path("t/<slug:slug>/billing/buy", pages.buy, name="billing-buy"),
    path("t/<slug:slug>/billing/bought", pages.bought, name="billing-bought"),
    path("t/<slug:slug>/billing/change", pages.change, name="billing-change"),
    path("t/<slug:slug>/billing/cancel", pages.cancel, name="billing-cancel"),
    path("t/<slug:slug>/billing/resume", pages.resume, name="billing-resume"),
    path("t/<slug:slug>/billing/portal", pages.manage, name="billing-portal"),
    path("t/<slug:slug>/billing/look", pages.look, name="billing-look"),
    path("t/<slug:slug>/billing/budget", pages.budget, name="billing-budget"),
    path("api/checkout", api.CheckoutView.as_view()),
    path("api/billing/subscription", api.SubscriptionView.as_view()),
    path("api/billing/plans", api.PlansView.as_view()),
    path("api/billing/preview", api.PreviewView.as_view()),
    path("api/billing/change", api.ChangeView.as_view()),
    path("api/billing/cancel", api.CancelView.as_view()),
    path("api/billing/resume", api.ResumeView.as_view()),
    path("api/billing/portal", api.PortalView.as_view()),
    path("api/billing/invoices", api.InvoicesView.as_view()),
    path("api/billing/budget", api.BudgetView.as_view()),
]
