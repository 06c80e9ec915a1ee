"""What each dialect reads. Nothing that is accepted may be outside of these: tests send what is outside, and expect to
be refused.
"""

from __future__ import annotations

from gateway.dialects.chat_fields import MAX_MODEL_CHARACTERS
from gateway.dialects.openai_chat import MAX_MESSAGES
from gateway.dialects.openai_embeddings import MAX_INPUTS, MAX_TOKEN
from gateway.openapi.shapes import (
    Schema,
    anything,
    boolean,
    either,
    fields,
    listed,
    mapped,
    named,
    number,
    text,
    whole,
)

MODEL = text(
    "A model, a route of the workspace, or `auto`. Printable characters only.",
    minLength=1,
    maxLength=MAX_MODEL_CHARACTERS,
)
_TOKENS = whole(1, 10_000_000, "How long the answer may become.")
_STREAM = boolean("Server-sent events as the answer is made.")
_NAME = text(minLength=1)
_HINT = "Goes on to providers that know it."

# --- OpenAI Chat Completions -----------------------------------------------------------------------------------------

_PART = fields(
    {"type": text("`text`, `image_url`, `input_audio`, `file`, `refusal`; others go to the provider as they are.")},
    description="As OpenAI has it, such as `{type: text, text}`.",
)
_CONTENT = either(text(), listed(_PART))
_NAMED_FUNCTION = fields({"name": _NAME})
_TOOL_CALL = fields(
    None,
    {"type": text("`function`, which is the default, or `custom`.")},
    description="`{id, type, function: {name, arguments}}`, or `{id, type: custom, custom: {name, input}}`.",
)
_ASSISTANT = fields(
    {"role": named("assistant")},
    {
        "content": _CONTENT,
        "name": text(),
        "refusal": text(),
        "reasoning_content": text("What the model thought."),
        "thinking_blocks": listed(
            fields({"type": text()}), "Anthropic's `thinking` blocks with their signatures, whole."
        ),
        "tool_calls": listed(_TOOL_CALL),
        "function_call": fields({"name": _NAME, "arguments": text()}),
        "audio": anything(),
    },
)
_MESSAGE: Schema = {
    "oneOf": [
        fields(
            {"role": named("system", "developer", "user"), "content": _CONTENT},
            {"name": text(), "cache_control": anything()},
        ),
        _ASSISTANT,
        fields({"role": named("tool"), "tool_call_id": _NAME, "content": _CONTENT}, {"is_error": boolean()}),
        fields({"role": named("function"), "name": text()}, {"content": _CONTENT}),
    ]
}
_TOOL = fields(
    {"type": text("`function` or `custom`; others go to the provider as they are.")},
    description="`{type: function, function: {name, description?, parameters?, strict?}}`.",
)
CHAT_COMPLETIONS = fields(
    {"model": MODEL, "messages": listed(_MESSAGE, minItems=1, maxItems=MAX_MESSAGES)},
    {
        "audio": anything(),
        "frequency_penalty": number(-2, 2),
        "function_call": either(text(), _NAMED_FUNCTION),
        "functions": listed(_NAMED_FUNCTION),
        "logit_bias": mapped(number(-100, 100)),
        "logprobs": boolean(),
        "max_completion_tokens": _TOKENS,
        "max_tokens": _TOKENS,
        "metadata": mapped(text(), _HINT),
        "modalities": listed(text()),
        "moderation": anything(),
        "n": whole(1, 128, "How many answers."),
        "parallel_tool_calls": boolean(),
        "prediction": anything(),
        "presence_penalty": number(-2, 2),
        "prompt_cache_key": text(_HINT),
        "prompt_cache_options": anything(_HINT),
        "prompt_cache_retention": text(_HINT),
        "reasoning_effort": text("`none`, `minimal`, `low`, `medium`, `high`, or what else the model knows."),
        "response_format": fields({"type": text("`text`, `json_object` or `json_schema`.")}),
        "safety_identifier": text(_HINT),
        "seed": whole(-(2**63), 2**63 - 1),
        "service_tier": text("`priority` and `flex` also say who gets a provider's free place first."),
        "stop": either(text(), listed(text())),
        "store": boolean(_HINT),
        "stream": _STREAM,
        "stream_options": anything("`{include_usage: true}`; needs `stream: true`."),
        "temperature": number(0, 2),
        "thinking": fields({"type": text("As Anthropic has it.")}),
        "tool_choice": either(text(), fields({"type": text()})),
        "tools": listed(_TOOL),
        "top_k": whole(0, 2**31 - 1, "As Anthropic has it."),
        "top_logprobs": whole(0, 20),
        "top_p": number(0, 1),
        "user": text(_HINT),
        "verbosity": text(),
        "web_search_options": anything(),
    },
    description="OpenAI's request. Fields that are not named here go to the provider as they are.",
)

# --- OpenAI Responses ------------------------------------------------------------------------------------------------

_ITEM = fields(
    None,
    {"type": text("`message` (also when it is left out), `function_call`, `function_call_output` or `reasoning`.")},
    description="An item of the conversation; what an answer has in `output` can be sent back as it is.",
)
_NOT_STORED = "Refused: responses are not stored. Send the earlier items in `input`."


def _always_null(description: str) -> Schema:
    return {"nullable": True, "enum": [None], "description": description}


RESPONSES = fields(
    {"model": MODEL, "input": either(text(), listed(_ITEM, minItems=1, maxItems=MAX_MESSAGES - 1))},
    {
        "include": listed(named("message.output_text.logprobs", "reasoning.encrypted_content")),
        "instructions": text("A first message of the system."),
        "max_output_tokens": _TOKENS,
        "max_tool_calls": whole(0, description="Said again in the answer; about tools that OpenAI runs."),
        "metadata": mapped(text(), "Said again in the answer."),
        "parallel_tool_calls": boolean(),
        "reasoning": fields(
            None,
            {
                "effort": text(),
                "summary": named("auto", "concise", "detailed"),
                "generate_summary": named("auto", "concise", "detailed"),
                "context": named("auto"),
                "mode": named("standard"),
            },
            only_these=True,
        ),
        "service_tier": text(),
        "store": boolean("Said again as false: nothing is stored."),
        "stream": _STREAM,
        "temperature": number(0, 2),
        "text": fields(
            None,
            {"format": fields({"type": named("text", "json_object", "json_schema")}), "verbosity": text()},
            only_these=True,
        ),
        "tool_choice": either(named("auto", "none", "required"), fields({"type": named("function", "allowed_tools")})),
        "tools": listed(fields({"type": named("function"), "name": _NAME}, {"description": text()})),
        "top_logprobs": whole(0, 20),
        "top_p": number(0, 1),
        "truncation": named("disabled"),
        "background": {"type": "boolean", "enum": [False], "description": "An answer comes with its own request."},
        "user": text(),
    },
    description="OpenAI's request. Tools that OpenAI runs are refused.",
)
RESPONSES["properties"] |= {
    "previous_response_id": _always_null(_NOT_STORED),
    "conversation": _always_null(_NOT_STORED),
    "prompt": _always_null("Refused: templates are not kept here."),
}

# --- Anthropic Messages ----------------------------------------------------------------------------------------------

_BLOCK = fields(
    {"type": named("text", "image", "document", "tool_result", "thinking", "redacted_thinking", "tool_use")},
    {"cache_control": anything()},
    description="As Anthropic has it. Which of them a message may have depends on its role.",
)
_BLOCKS = either(text(), listed(_BLOCK))
MESSAGES = fields(
    {
        "model": MODEL,
        "max_tokens": _TOKENS,
        "messages": listed(fields({"role": named("user", "assistant", "system"), "content": _BLOCKS}), minItems=1),
    },
    {
        "system": either(text(), listed(fields({"type": named("text"), "text": text()}))),
        "stop_sequences": listed(text()),
        "stream": _STREAM,
        "temperature": number(0, 2),
        "top_k": whole(0, 2**31 - 1),
        "top_p": number(0, 1),
        "thinking": fields({"type": text()}),
        "tools": listed(
            fields({"name": text(), "input_schema": anything()}, {"type": named("custom"), "description": text()}),
            "Tools that only Anthropic has are refused.",
        ),
        "tool_choice": fields({"type": named("auto", "any", "tool", "none")}),
        "metadata": fields(None, {"user_id": text()}),
        "service_tier": named("auto", "standard_only"),
        "output_config": fields(
            None, {"effort": text(), "format": fields({"type": named("json_schema"), "schema": anything()})}
        ),
    },
    description="Anthropic's request, for models of any provider.",
)

# --- the gateway's own -----------------------------------------------------------------------------------------------

_OPTIONS = {
    "model": MODEL,
    "stream": _STREAM,
    "max_tokens": _TOKENS,
    "temperature": number(0, 2),
}
_QUESTION = text(minLength=1, pattern=r"\S")
SIMPLE_CHAT = fields({"message": _QUESTION}, _OPTIONS, only_these=True)
PROMPT_CHAT = fields({"prompt": _QUESTION}, _OPTIONS, only_these=True)

# --- OpenAI Embeddings -----------------------------------------------------------------------------------------------

_TOKEN_LIST = listed(whole(0, MAX_TOKEN - 1), minItems=1)
EMBEDDINGS = fields(
    {
        "model": MODEL,
        "input": either(
            text(minLength=1),
            listed(text(minLength=1), minItems=1, maxItems=MAX_INPUTS),
            _TOKEN_LIST,
            listed(_TOKEN_LIST, minItems=1, maxItems=MAX_INPUTS),
            description="A text, texts, the tokens of one, or the tokens of some.",
        ),
    },
    {
        "dimensions": whole(1),
        "encoding_format": named("float", "base64"),
        "user": {"description": _HINT},
    },
    description="OpenAI's request; other fields go to the provider as they are.",
)

BODIES: dict[str, Schema] = {
    "ChatCompletionsRequest": CHAT_COMPLETIONS,
    "ResponsesRequest": RESPONSES,
    "MessagesRequest": MESSAGES,
    "SimpleChatRequest": SIMPLE_CHAT,
    "PromptChatRequest": PROMPT_CHAT,
    "EmbeddingsRequest": EMBEDDINGS,
}
