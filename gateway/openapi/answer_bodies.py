"""What each dialect answers, and how it says that it does not. Providers may add fields of their own."""

from __future__ import annotations

from gateway.openapi.shapes import Schema, anything, boolean, either, fields, listed, named, number, text, whole
from tenants.limits import BUDGET_FIELDS, LIMIT_FIELDS

_COUNT = whole(0)
_USAGE = fields(
    {"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT},
    {"prompt_tokens_details": anything(), "completion_tokens_details": anything()},
)
_ASSISTANT = fields(
    {"role": named("assistant")},
    {
        "content": text(),
        "refusal": text(),
        "reasoning_content": text("What the model thought, where the provider tells."),
        "thinking_blocks": listed(anything(), "Anthropic's, with their signatures."),
        "tool_calls": listed(anything()),
    },
)
CHAT_COMPLETION = fields(
    {
        "id": text(),
        "object": named("chat.completion"),
        "created": whole(),
        "model": text(),
        "choices": listed(
            fields(
                {"index": whole(0), "message": _ASSISTANT},
                {"finish_reason": text("`stop`, `length`, `tool_calls` or `content_filter`."), "logprobs": anything()},
            ),
            minItems=1,
        ),
    },
    {"usage": _USAGE, "system_fingerprint": text(), "service_tier": text()},
)
RESPONSE = fields(
    {
        "id": text(),
        "object": named("response"),
        "created_at": number(0, 2**40),
        "model": text(),
        "status": named("completed", "incomplete", "failed", "in_progress"),
        "output": listed(fields({"id": text(), "type": named("reasoning", "message", "function_call")})),
    },
    {"usage": anything(), "error": anything(), "incomplete_details": anything(), "instructions": text()},
)
MESSAGE = fields(
    {
        "id": text(),
        "type": named("message"),
        "role": named("assistant"),
        "model": text(),
        "content": listed(fields({"type": named("text", "thinking", "redacted_thinking", "tool_use")})),
        "usage": fields({"input_tokens": _COUNT, "output_tokens": _COUNT}),
    },
    {
        "stop_reason": named("end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence"),
        "stop_sequence": text(),
        "stop_details": anything(),
    },
)
SIMPLE_CHAT = fields(
    {
        "response": text(),
        "model": text(),
        "cache": text("As in X-Cache."),
        "simulated": boolean(),
        "request_id": text(),
    },
    {"similarity": number(0, 1), "saved_usd": number(0, 10**9, "Null when the price is not known.")},
)
PROMPT_CHAT = fields({"output": text(), "tokensUsed": _COUNT})
EMBEDDINGS = fields(
    {
        "object": named("list"),
        "data": listed(
            fields(
                {
                    "object": named("embedding"),
                    "index": whole(0),
                    "embedding": either(listed({"type": "number"}), text("Base64 of little-endian 32-bit floats.")),
                }
            )
        ),
        "model": text(),
        "usage": fields({"prompt_tokens": _COUNT, "total_tokens": _COUNT}),
    }
)
MODEL = fields(
    {"id": text(), "object": named("model"), "created": whole(), "owned_by": text("The provider that is asked first.")}
)
MODELS = fields({"object": named("list"), "data": listed(MODEL)})
_SHARE = fields(
    {"used": _COUNT},
    {"limit": _COUNT, "remaining": _COUNT, "percent": {"type": "number", "minimum": 0}},
    description="Without a limit, all but `used` is null.",
)
_USD = text("USD with ten digits after the point.")
_BUDGET = fields(
    {"used": _USD},
    {"limit": _USD, "remaining": _USD, "percent": {"type": "number", "minimum": 0}},
    description="Without a budget, all but `used` is null.",
)
_QUOTAS = {
    "requests": _SHARE,
    "tokens": _SHARE,
    "limits": fields({}, {name: text() if name in BUDGET_FIELDS else _COUNT for name in LIMIT_FIELDS}),
}
_BUDGETS = {"budget": fields({"daily": _BUDGET, "monthly": _BUDGET})}
_RATE = fields(
    {
        "name": text("As in the RateLimit headers."),
        "of": named("workspace", "key"),
        "unit": named("requests", "tokens"),
        "limit": _COUNT,
        "window_s": whole(1),
    },
    {"burst": whole(1, description="A token bucket of this size, in place of a sliding window.")},
)
USAGE = fields(
    {
        "plan": text(),
        "period": fields({"start": text(format="date-time"), "end": text(format="date-time")}),
        **_QUOTAS,
        "key": fields({"id": text("As in exports and costs."), **_QUOTAS, **_BUDGETS}),
        "rates": listed(_RATE, "The windows that each call is counted in; what is left is in its answer's headers."),
    },
    _BUDGETS,
    description="The workspace's budgets are told to keys with the scope “figures” alone.",
)

# --- errors ----------------------------------------------------------------------------------------------------------

_DETAILS = fields(
    {"message": text(), "type": text()},
    {"param": text("The field that is wrong."), "code": text("See docs/api.md for all of them.")},
)
OPENAI_ERROR = fields({"error": _DETAILS})
SIMPLE_ERROR = fields({"error": _DETAILS, "request_id": text()})
PROMPT_ERROR = fields({"message": text()}, only_these=True)
ANTHROPIC_ERROR = fields(
    {
        "type": named("error"),
        "error": fields(
            {
                "type": named(
                    "invalid_request_error", "authentication_error", "billing_error", "permission_error",
                    "not_found_error", "request_too_large", "rate_limit_error", "timeout_error", "overloaded_error",
                    "api_error",
                ),
                "message": text("Names the field that is wrong."),
            }
        ),
        "request_id": text(),
    }
)  # fmt: skip

BODIES: dict[str, Schema] = {
    "ChatCompletion": CHAT_COMPLETION,
    "Response": RESPONSE,
    "Message": MESSAGE,
    "SimpleChat": SIMPLE_CHAT,
    "PromptChat": PROMPT_CHAT,
    "Embeddings": EMBEDDINGS,
    "Models": MODELS,
    "Model": MODEL,
    "Usage": USAGE,
    "OpenAIError": OPENAI_ERROR,
    "SimpleChatError": SIMPLE_ERROR,
    "PromptChatError": PROMPT_ERROR,
    "AnthropicError": ANTHROPIC_ERROR,
}
