"""The data plane's DRF views: async from end to end, without the per-request threads of Django's own handler."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.views import APIView

from gateway import admission, answers, embeddings, pipeline, routing, runtime
from gateway.dialects import (
    anthropic_messages,
    openai_chat,
    openai_embeddings,
    openai_responses,
    prompt_chat,
    simple_chat,
)
from gateway.errors import GatewayError, MethodNotAllowed, ModelNotFound, NotFound
from gateway.types import Call, Reply
from tenants import visits

_METHODS = ("GET", "POST")


class DataPlaneView(APIView):
    """Authenticates by API key in the pipeline, and answers errors in the dialect's envelope."""

    dialect: Any = openai_chat
    authentication_classes = ()
    permission_classes = ()

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """DRF's own would call sync code: negotiation, throttles and parsers, which the pipeline replaces."""
        headers = headers_of(request)
        visit = visits.of(request)
        request_id = visit.request_id if visit is not None else admission.request_id_of(headers)
        try:
            possible = {name: getattr(self, name.lower()) for name in _METHODS if hasattr(self, name.lower())}
            if request.method not in possible:
                raise MethodNotAllowed(request.method or "", possible)
            return response_of(await possible[request.method](request, headers, request_id))
        except GatewayError as error:
            if visit is not None:
                visit.error = error.code or error.type
            return response_of(answers.refusal(error, self.dialect, request_id))


class ChatCompletionsView(DataPlaneView):
    """OpenAI Chat Completions. The edge enters at `serve`; without it in front, `post` goes the whole way."""

    admit = staticmethod(pipeline.admit)

    async def post(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        gateway = await runtime.current()
        incoming = admission.Incoming(self.dialect, headers, request.body, request_id)
        return await pipeline.answer(gateway, incoming)

    async def serve(self, gateway: runtime.Gateway, call: Call) -> Reply:
        """Answers a call that has been admitted. Raises GatewayError."""
        return await pipeline.serve(gateway, call)


class ResponsesView(ChatCompletionsView):
    """OpenAI Responses."""

    dialect = openai_responses


class MessagesView(ChatCompletionsView):
    """Anthropic Messages."""

    dialect = anthropic_messages


class SimpleChatView(ChatCompletionsView):
    """`{"message": …}` → `{"response": …}`."""

    dialect = simple_chat


class PromptChatView(ChatCompletionsView):
    """`{"prompt": …}` → `{"output": …}`."""

    dialect = prompt_chat


class EmbeddingsView(DataPlaneView):
    """OpenAI Embeddings. The edge enters at `admit`, which goes the whole way."""

    dialect = openai_embeddings
    admit = staticmethod(embeddings.answer)

    async def post(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        gateway = await runtime.current()
        principal = await admission.authenticate(gateway, headers)
        incoming = admission.Incoming(self.dialect, headers, request.body, request_id)
        return await embeddings.answer(gateway, principal, incoming)


def headers_of(request: HttpRequest) -> dict[bytes, bytes]:
    """As the edge sees them: lower-case bytes."""
    return {name.lower().encode(): value.encode("latin-1", "replace") for name, value in request.headers.items()}


def response_of(reply: Reply) -> HttpResponseBase:
    response: HttpResponseBase
    if isinstance(reply.body, bytes):
        response = HttpResponse(reply.body, status=reply.status)
    else:
        response = StreamingHttpResponse(reply.body, status=reply.status)
    for name, value in reply.headers:
        response.headers[name.decode()] = value.decode()
    return response


class ModelsView(DataPlaneView):
    """The models that can be asked for, in OpenAI's shape."""

    async def get(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        gateway = await runtime.current()
        principal = await admission.authenticate(gateway, headers)
        names = routing.model_names(await gateway.setups.of(principal), principal)
        wanted = self.kwargs.get("model")
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": provider}
            for name, provider in names.items()
            if wanted in (None, name)
        ]
        if wanted is None:
            return json_reply({"object": "list", "data": models}, request_id)
        if not models:
            raise ModelNotFound(f"There is no model “{wanted}” here.", param="model")
        return json_reply(models[0], request_id)


def json_reply(value: object, request_id: str) -> Reply:
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
    return Reply(200, headers, orjson.dumps(value))


class UnknownPathView(DataPlaneView):
    """404 in the API's envelope, not as a page."""

    async def get(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        raise NotFound(f"There is nothing at {request.path}. /api/docs/ lists what there is.")

    post = get


class StoredResponseView(DataPlaneView):
    """What OpenAI keeps under a response's id."""

    async def get(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        raise NotFound(f"There is nothing at {request.path}: responses are not stored here.")

    post = get
