"""The data plane's paths, its management API's, and its pages' (gateway.pages.urls). The edge serves `EDGE_PATHS`
itself; Django has them too, for `runserver`."""

from __future__ import annotations

from django.urls import include, path

from gateway import explain, landing, views
from gateway.api.cache_entries import EntriesView, EntryView, PinView, UnpinView
from gateway.api.cache_feedback import CacheFeedbackView
from gateway.api.cache_hits import CacheHitView
from gateway.api.cache_invalidation import InvalidationView
from gateway.api.cache_policy import PolicyResetView, PolicyView
from gateway.api.cache_settings import CacheSettingsView
from gateway.api.cache_stats import AdminCacheStatsView, CacheStatsView
from gateway.api.cache_transfer import CacheExportView, CacheImportView
from gateway.api.calls import CallSettingsView
from gateway.api.erase import ErasureView
from gateway.api.providers import ProvidersView, ProviderView
from gateway.api.results import ResultsView
from gateway.api.routes import RoutesView, RouteView
from gateway.api.trial import TrialView
from gateway.api.usage import UsageView

CHAT_PATHS: dict[str, type[views.DataPlaneView]] = {
    "/v1/chat/completions": views.ChatCompletionsView,
    "/api/v1/chat/completions": views.ChatCompletionsView,
    "/v1/responses": views.ResponsesView,
    "/v1/messages": views.MessagesView,
    "/v1/chat": views.PromptChatView,
    "/api/chat": views.SimpleChatView,
    "/chat": views.SimpleChatView,
}

# Beside chat, what the edge serves without Django's own handler.
EDGE_PATHS: dict[str, type[views.DataPlaneView]] = {
    **CHAT_PATHS,
    "/v1/embeddings": views.EmbeddingsView,
    "/api/routing/explain": explain.ExplainView,
}

urlpatterns = [
    path("", landing.landing, name="landing"),
    path("try", landing.run, name="showcase"),
    *(path(at.removeprefix("/"), view.as_view()) for at, view in EDGE_PATHS.items()),
    path("v1/responses/<path:rest>", views.StoredResponseView.as_view()),
    path("v1/models", views.ModelsView.as_view()),
    path("v1/models/<path:model>", views.ModelsView.as_view()),
    path("v1/usage", UsageView.as_view()),
    path("v1/cache/<str:id>", CacheHitView.as_view()),
    path("v1/cache/<str:id>/feedback", CacheFeedbackView.as_view()),
    path("api/cache/settings", CacheSettingsView.as_view()),
    path("api/cache/entries", EntriesView.as_view()),
    path("api/cache/entries/<str:id>", EntryView.as_view()),
    path("api/cache/entries/<str:id>/pin", PinView.as_view()),
    path("api/cache/entries/<str:id>/unpin", UnpinView.as_view()),
    path("api/cache/invalidate", InvalidationView.as_view()),
    path("api/cache/import", CacheImportView.as_view()),
    path("api/cache/export", CacheExportView.as_view()),
    path("api/cache/policy", PolicyView.as_view()),
    path("api/cache/policy/reset", PolicyResetView.as_view()),
    path("api/cache/stats", CacheStatsView.as_view()),
    path("api/admin/cache/stats", AdminCacheStatsView.as_view()),
    path("api/providers", ProvidersView.as_view()),
    path("api/providers/<slug:name>", ProviderView.as_view()),
    path("api/providers/<slug:name>/test", TrialView.as_view()),
    path("api/routes", RoutesView.as_view()),
    path("api/routes/<path:model>", RouteView.as_view()),
    path("api/erase", ErasureView.as_view()),
    path("api/call-settings", CallSettingsView.as_view()),
    path("api/routing/results", ResultsView.as_view()),
    path("", include("gateway.pages.urls")),
]
