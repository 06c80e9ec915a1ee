"""The data plane's paths. The edge serves those of `EDGE_PATHS` itself; Django has them too, for `runserver`."""

from __future__ import annotations

from django.urls import path

from gateway import views

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
EDGE_PATHS: dict[str, type[views.DataPlaneView]] = {**CHAT_PATHS, "/v1/embeddings": views.EmbeddingsView}

urlpatterns = [
    *(path(at.removeprefix("/"), view.as_view()) for at, view in EDGE_PATHS.items()),
    path("v1/responses/<path:rest>", views.StoredResponseView.as_view()),
    path("v1/models", views.ModelsView.as_view()),
    path("v1/models/<path:model>", views.ModelsView.as_view()),
    path("v1/usage", views.UsageView.as_view()),
]
