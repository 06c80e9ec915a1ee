"""What traces say of a provider's answer, in the names of OpenTelemetry's conventions for generative AI. They are in
development: should they change, only this file does. Refuses prompts and answers, which the conventions leave optional.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

from typing import Any

from gateway.types import Call, Candidate
from tenants.tracing import Attribute

CHAT, EMBEDDINGS = "chat", "embeddings"
# Our kinds of providers by the conventions' names; others are called as we call them.
_PROVIDERS = {
    "gemini": "gcp.gemini",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
_MOST_REASONS = 8


def name_of(operation: str, candidate: Candidate) -> str:
    """Of the span."""
    return f"{operation} {candidate.model}"


def asked(operation: str, call: Call, candidate: Candidate) -> dict[str, Attribute | None]:
    payload = call.request.payload
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(candidate.provider.kind, candidate.provider.kind),
        "gen_ai.request.model": candidate.model,
        "gen_ai.request.max_tokens": call.request.max_tokens,
        "gen_ai.request.choice.count": call.request.n if call.request.n != 1 else None,
        "gen_ai.request.stream": call.request.stream or None,
        "gen_ai.request.temperature": _number(payload.get("temperature")),
        "gen_ai.request.top_p": _number(payload.get("top_p")),
        # As the workspace calls it.
        "nexus.provider": candidate.provider.name,
    }


def answered(parsed: dict[str, Any]) -> dict[str, Attribute | None]:
    """Of an answer in OpenAI's shape, or of one chunk of it: what it says."""
    usage = parsed.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return {
        "gen_ai.response.model": _text(parsed.get("model")),
        "gen_ai.response.id": _text(parsed.get("id")),
        "gen_ai.response.finish_reasons": _reasons(parsed.get("choices")),
        "gen_ai.usage.input_tokens": _count(usage.get("prompt_tokens")),
        "gen_ai.usage.output_tokens": _count(usage.get("completion_tokens")),
    }


def _reasons(choices: Any) -> list[str] | None:
    if not isinstance(choices, list):
        return None
    reasons = [each.get("finish_reason") for each in choices[:_MOST_REASONS] if isinstance(each, dict)]
    return [each for each in reasons if isinstance(each, str)] or None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    return value if type(value) is int else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
