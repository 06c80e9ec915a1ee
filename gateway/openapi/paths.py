"""The operations of the data plane: what each reads and answers, with which headers and errors."""

from __future__ import annotations

from typing import Any, NamedTuple

from analytics.events import OUTCOMES
from gateway import passthrough, tags
from gateway.cache.rules import MAX_TAGS, MODES
from gateway.openapi.shapes import Schema, fields, named, number, ref, text, whole
from tenants.authentication import KEY

API_KEY_HEADER = "xApiKey"
_SECURITY = [*KEY, {API_KEY_HEADER: []}]

# --- headers ---------------------------------------------------------------------------------------------------------

_PRINTABLE = r"^[\x21-\x7e]+$"
_REQUEST_ID = text("1 to 128 printable characters; else one is made.")
_CACHING: dict[str, Schema] = {
    "Cache-Control": text(
        "`no-store`: leave the cache alone. `no-cache`: do not look, but keep the answer. `max-age=N`: nothing older"
        " than N seconds. `only-if-cached`: 504 rather than a provider. `stale-if-error=N`: when the provider fails, an"
        " answer up to N seconds past its time.",
        example="max-age=3600",
    ),
    "X-Nexus-Cache": named(
        *MODES, description="Which tiers may answer; `shadow`: the semantic one only looks and reports."
    ),
    "X-Nexus-Cache-TTL": text("Seconds that this answer is kept, if the workspace allows it.", pattern="^[0-9]+$"),
    "X-Nexus-Cache-Tags": text(f"Up to {MAX_TAGS} tags with commas between them, to take answers away by."),
    "X-Nexus-Cache-Namespace": text(
        "A cache of its own within the workspace.", minLength=1, maxLength=64, pattern=_PRINTABLE
    ),
    "X-Nexus-Cache-Threshold": number(0, 1, "Can only raise the workspace's own."),
}
_TAGGING: dict[str, Schema] = {
    "X-Nexus-Tags": text(
        f"Up to {tags.MAX_TAGS} tags with commas between them, to add costs up by; `metadata.tags` in the body does the"
        " same.",
        example="team-a,batch",
    ),
}
_IDEMPOTENCY: dict[str, Schema] = {
    "Idempotency-Key": text(
        "Remembered for a day for this API key: the same body gets the first answer again and is charged once.",
        minLength=1,
        maxLength=255,
        pattern=_PRINTABLE,
    )
}
_ANSWERED: dict[str, Schema] = {
    "X-Cache": named(*OUTCOMES),
    "Age": whole(0, description="Seconds since a cached answer was made."),
    "X-Nexus-Cache-Id": text("The entry that answered, or that this answer became."),
    "X-Nexus-Similarity": number(0, 1),
    "X-Nexus-Stale": named("1", description="Past its time, in place of a provider that failed."),
    "X-Nexus-Cache-Reason": text("Why the semantic tier found nothing."),
    "X-Nexus-Coalesced": named("1", description="Shared the answer of an identical call under way."),
    "X-Nexus-Provider": text(),
    "X-Nexus-Model": text(),
    "X-Nexus-Simulated": named("1", description="No provider is set up: a simulated one answered."),
    "X-Nexus-Cost-USD": text("`unknown` without a known price; not on streams that have just begun."),
    "X-Nexus-Saved-USD": text("As the cost."),
    "Idempotent-Replayed": named("true"),
}
_LIMITS: dict[str, Schema] = {
    f"x-ratelimit-{what}-{of}": text("As OpenAI has it.", example=example)
    for of in ("requests", "tokens")
    for what, example in (("limit", "600"), ("remaining", "599"), ("reset", "59.8s"))
}


def _headers(*groups: dict[str, Schema], sure: tuple[str, ...] = ("X-Request-Id",)) -> dict[str, Any]:
    shapes = {"X-Request-Id": text("In the log, too.")} | {
        name: each for group in groups for name, each in group.items()
    }
    return {name: {"schema": shape, **({"required": True} if name in sure else {})} for name, shape in shapes.items()}


def _parameters(*groups: dict[str, Schema]) -> list[dict[str, Any]]:
    shapes = {"X-Request-Id": _REQUEST_ID} | {name: each for group in groups for name, each in group.items()}
    return [{"in": "header", "name": name, "schema": shape} for name, shape in shapes.items()]


# --- errors ----------------------------------------------------------------------------------------------------------

_RETRY_AFTER: dict[str, Schema] = {"Retry-After": whole(1, description="Seconds.")}
_ANYWHERE = {
    401: "No API key, or one that is not valid.",
    403: "The workspace is suspended, or the key may not ask for this.",
    405: "Another method is wanted.",
    500: "The gateway failed; its log has the request id.",
    503: "The gateway cannot serve now, or all providers that could answer failed too often of late.",
}
_OF_CALLS = {
    400: "A field is wrong, the body is no JSON, or no provider that could answer has anything like it.",
    402: "The month's quota is spent.",
    404: "There is no such model.",
    408: "The body did not arrive in time.",
    409: "The Idempotency-Key was used for another body, or its first request is still under way.",
    413: "The body is too large.",
    415: "The body is not sent as `application/json`.",
    429: "A rate limit is reached, or calls in flight hold the rest of the quota.",
    502: "No provider answered, after retries and fallbacks.",
    504: "The provider took too long, or `only-if-cached` and it is not.",
}
_WAITING = frozenset({409, 429, 502, 503})


def _errors(envelope: str, statuses: dict[int, str]) -> dict[str, Any]:
    return {
        str(status): {
            "description": statuses[status],
            "headers": _headers(_RETRY_AFTER if status in _WAITING else {}),
            "content": {"application/json": {"schema": ref(envelope)}},
        }
        for status in sorted(statuses)
    }


# --- operations ------------------------------------------------------------------------------------------------------


class Chat(NamedTuple):
    """An endpoint that takes a body. Names are of schemas; `events` is what its streams consist of."""

    id: str
    summary: str
    request: str
    answer: str
    error: str
    example: dict[str, Any]
    events: str = ""
    description: str = ""
    tag: str = "chat"
    request_headers: dict[str, Schema] = _CACHING | _TAGGING | _IDEMPOTENCY
    answer_headers: dict[str, Schema] = _ANSWERED | _LIMITS

    def operation(self) -> dict[str, Any]:
        content: dict[str, Any] = {"application/json": {"schema": ref(self.answer)}}
        if self.events:
            content["text/event-stream"] = {"schema": fields({"data": text(f"With `stream: true`. {self.events}")})}
        answered = _headers(self.answer_headers, sure=("X-Request-Id", "X-Cache"))
        body = {"application/json": {"schema": ref(self.request), "example": self.example}}
        return {
            "operationId": self.id,
            "summary": self.summary,
            "description": self.description,
            "tags": [self.tag],
            "security": _SECURITY,
            "parameters": _parameters(self.request_headers),
            "requestBody": {"required": True, "content": body},
            "responses": {
                "200": {"description": "The answer.", "headers": answered, "content": content},
                **_errors(self.error, _ANYWHERE | _OF_CALLS),
            },
        }


_QUESTION = "Why is the sky blue?"
_MESSAGES = [{"role": "user", "content": _QUESTION}]
_COMPLETIONS = Chat(
    "chat_completions",
    "OpenAI Chat Completions",
    "ChatCompletionsRequest",
    "ChatCompletion",
    "OpenAIError",
    {"model": "gpt-4o-mini", "messages": _MESSAGES},
    "Each event is a `chat.completion.chunk`, an error comes as `{error}`; the last is `data: [DONE]`.",
)
_SIMPLE = Chat(
    "simple_chat",
    "One question",
    "SimpleChatRequest",
    "SimpleChat",
    "SimpleChatError",
    {"message": _QUESTION},
    "`{delta}` for each piece, then `{done: true, model, cache, …}`, then `data: [DONE]`.",
)
_WITH_BODY: dict[str, Chat] = {
    "/v1/chat/completions": _COMPLETIONS,
    "/api/v1/chat/completions": _COMPLETIONS._replace(id="chat_completions_under_api"),
    "/v1/responses": Chat(
        "responses",
        "OpenAI Responses",
        "ResponsesRequest",
        "Response",
        "OpenAIError",
        {"model": "gpt-4o-mini", "input": _QUESTION},
        "OpenAI's events, from `response.created` to `response.completed`, `.incomplete` or `.failed`.",
        "Responses are not stored: `/v1/responses/{id}` is 404.",
    ),
    "/v1/messages": Chat(
        "messages",
        "Anthropic Messages",
        "MessagesRequest",
        "Message",
        "AnthropicError",
        {"model": "gpt-4o-mini", "max_tokens": 500, "messages": _MESSAGES},
        "Anthropic's events, from `message_start` to `message_stop`, or `error`.",
        "Any `anthropic-version`, or none.",
    ),
    "/v1/chat": Chat(
        "prompt_chat",
        "One prompt",
        "PromptChatRequest",
        "PromptChat",
        "PromptChatError",
        {"prompt": _QUESTION},
        "`{output}` for each piece, then `{tokensUsed}`, then `data: [DONE]`.",
    ),
    "/api/chat": _SIMPLE,
    "/chat": _SIMPLE._replace(id="simple_chat_at_root"),
    "/v1/embeddings": Chat(
        "embeddings",
        "OpenAI Embeddings",
        "EmbeddingsRequest",
        "Embeddings",
        "OpenAIError",
        {"model": "text-embedding-3-small", "input": _QUESTION},
        description="Each text is cached exactly.",
        tag="embeddings",
        request_headers=_CACHING | _TAGGING,
        answer_headers=_ANSWERED | _LIMITS | {"X-Nexus-Cached-Inputs": whole(0, description="Of the texts.")},
    ),
}


def _reading(id: str, summary: str, answer: str, errors: dict[int, str]) -> dict[str, Any]:
    answered = {"description": "", "headers": _headers(), "content": {"application/json": {"schema": ref(answer)}}}
    return {
        "operationId": id,
        "summary": summary,
        "tags": ["models and usage"],
        "security": _SECURITY,
        "parameters": _parameters(),
        "responses": {"200": answered, **_errors("OpenAIError", _ANYWHERE | errors)},
    }


_BY_NAME = _reading("model", "One model that can be asked for", "Model", {404: "There is no such model."})
_BY_NAME["parameters"].append(
    {"in": "path", "name": "model", "required": True, "schema": text(minLength=1, example="gpt-4o-mini")}
)
PATHS: dict[str, dict[str, Any]] = {
    **{path: {"post": chat.operation()} for path, chat in _WITH_BODY.items()},
    "/v1/models": {"get": _reading("models", "The models that can be asked for", "Models", {})},
    "/v1/models/{model}": {"get": _BY_NAME},
    "/v1/usage": {"get": _reading("usage", "What is used of quotas and budgets", "Usage", {})},
}


def _below_v1(paths: frozenset[str], more: str = "") -> str:
    return ", ".join(f"`/v1/{path}{more}`" for path in sorted(paths))


TAGS = [
    {
        "name": "chat",
        "description": "The same cache, routes and quota for all dialects; errors in each one's own form.",
    },
    {"name": "embeddings", "description": "Vectors for texts."},
    {"name": "models and usage", "description": "What can be asked for, and what was used."},
    {
        "name": "passed on",
        "description": (
            "Other calls of OpenAI's API go to an OpenAI-compatible provider of the workspace as they are, with its"
            " key: to the first one, or to the one that `X-Nexus-Provider` names."
            f" {_below_v1(passthrough.STATELESS)}; with a provider of the workspace's own also"
            f" {_below_v1(passthrough.STATEFUL, '/…')}. Errors of the gateway itself are OpenAI's."
        ),
    },
]
