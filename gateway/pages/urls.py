"""Paths of the pages that this app has below /t/<slug>/."""

from __future__ import annotations

from django.urls import path

from gateway.pages import (
    cache,
    entries,
    explain,
    invalidate,
    playground,
    policy,
    providers,
    review,
    routes,
    routing,
    shadow,
    threshold,
)

CACHE = [
    path("t/<slug:slug>/cache/", cache.overview, name="cache"),
    path("t/<slug:slug>/cache/guards", cache.guards, name="cache-guards"),
    path("t/<slug:slug>/cache/entries/", entries.entries, name="cache-entries"),
    path("t/<slug:slug>/cache/entries/<uuid:id>/", entries.entry, name="cache-entry"),
    path("t/<slug:slug>/cache/entries/<uuid:id>/pin", entries.pin, name="cache-pin"),
    path("t/<slug:slug>/cache/entries/<uuid:id>/drop", entries.drop, name="cache-drop"),
    path("t/<slug:slug>/cache/review/", review.review, name="cache-review"),
    path("t/<slug:slug>/cache/review/undo", review.undo, name="cache-undo"),
    path("t/<slug:slug>/cache/review/collect", review.collect, name="cache-collect"),
    path("t/<slug:slug>/cache/review/<uuid:id>", review.judge, name="cache-judge"),
    path("t/<slug:slug>/cache/threshold/", threshold.explore, name="cache-threshold"),
    path("t/<slug:slug>/cache/threshold/apply", threshold.apply, name="cache-threshold-apply"),
    path("t/<slug:slug>/cache/shadow/", shadow.report, name="cache-shadow"),
    path("t/<slug:slug>/cache/shadow/switch", shadow.switch, name="cache-shadow-switch"),
    path("t/<slug:slug>/cache/policy/", policy.policy, name="cache-policy"),
    path("t/<slug:slug>/cache/policy/change", policy.change, name="cache-policy-change"),
    path("t/<slug:slug>/cache/policy/reset", policy.reset, name="cache-policy-reset"),
    path("t/<slug:slug>/cache/invalidate/", invalidate.take_away, name="cache-invalidate"),
    path("t/<slug:slug>/cache/explain/", explain.ask, name="cache-explain"),
]

ROUTING = [
    path("t/<slug:slug>/routing/", routing.overview, name="routing"),
    path("t/<slug:slug>/routing/routes/new", routes.new, name="route-new"),
    path("t/<slug:slug>/routing/routes/<int:id>/", routes.route, name="route"),
    path("t/<slug:slug>/routing/routes/<int:id>/change", routes.change, name="route-change"),
    path("t/<slug:slug>/routing/routes/<int:id>/delete", routes.delete, name="route-delete"),
    path("t/<slug:slug>/routing/providers/", providers.providers, name="routing-providers"),
    path("t/<slug:slug>/routing/health", providers.health, name="routing-health"),
    path("t/<slug:slug>/routing/new-provider", providers.new, name="provider-new"),
    path("t/<slug:slug>/routing/providers/<slug:name>/", providers.provider, name="provider"),
    path("t/<slug:slug>/routing/providers/<slug:name>/change", providers.change, name="provider-change"),
    path("t/<slug:slug>/routing/providers/<slug:name>/delete", providers.delete, name="provider-delete"),
    path("t/<slug:slug>/routing/providers/<slug:name>/test", providers.test, name="provider-test"),
    path("t/<slug:slug>/routing/results/", routing.results, name="routing-results"),
    path("t/<slug:slug>/routing/results/figures", routing.figures, name="routing-figures"),
    path("t/<slug:slug>/routing/explain/", routing.ask, name="routing-explain"),
    path("t/<slug:slug>/routing/calls/", routing.leaving, name="routing-calls"),
    path("t/<slug:slug>/routing/calls/change", routing.change_leaving, name="routing-calls-change"),
]

PLAYGROUND = [
    path("t/<slug:slug>/playground/", playground.page, name="playground"),
    path("t/<slug:slug>/playground/ask", playground.ask, name="playground-ask"),
    path("t/<slug:slug>/playground/snippet", playground.snippet, name="playground-snippet"),
]

urlpatterns = [*CACHE, *ROUTING, *PLAYGROUND]
