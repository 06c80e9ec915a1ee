"""From the form between dialects and providers to requests of Gemini."""

from __future__ import annotations

import mimetypes
from typing import Any

import pytest

from gateway.errors import InvalidRequest, Untranslatable
from gateway.providers.gemini_requests import embedding_requests, request
from gateway.types import ProviderConfig
from tests import damage
from tests.fakes.gemini import NO_SIGNATURE, SIGNATURE

CONFIG = ProviderConfig("gemini", "gemini")
PICTURE = "data:image/png;base64,iVBORw0KGgo="
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False},
    },
}


def asked(*messages: Any, model: str = "gemini-3.5-flash", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": list(messages) or [{"role": "user", "content": "Hello"}], **more}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def call(id: str = "c1", name: str = "weather", arguments: str = '{"city":"Oslo"}', **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


CALLED: Any = {"role": "assistant", "content": None, "tool_calls": [call()]}


def test_a_conversation_becomes_contents_and_instructions() -> None:
    body = request(
        CONFIG,
        asked(
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []},
            {"role": "developer", "content": [{"type": "text", "text": "In Norwegian."}]},
            user({"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}),
        ),
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "In Norwegian."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"text": "Hi"}]},
            {
                "role": "user",
                "parts": [
                    {"text": "What is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
                ],
            },
        ],
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"temperature": 0.2}, {"temperature": 0.2}),
        ({"top_p": 0.9, "top_k": 40, "seed": 7}, {"topP": 0.9, "topK": 40, "seed": 7}),
        ({"n": 2}, {"candidateCount": 2}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"max_tokens": 9}, {"maxOutputTokens": 9}),
        ({"max_tokens": 9, "max_completion_tokens": 5}, {"maxOutputTokens": 5}),
        ({"presence_penalty": 0.5, "frequency_penalty": -0.5}, {"presencePenalty": 0.5, "frequencyPenalty": -0.5}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
    ],
)
def test_parameters_have_googles_names(given: Any, expected: Any) -> None:
    assert request(CONFIG, asked(**given))["generationConfig"] == expected


@pytest.mark.parametrize(
    "given",
    [
        {"n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False, "top_logprobs": 0},
        {"response_format": {"type": "text"}, "modalities": ["text"], "logit_bias": {}, "parallel_tool_calls": True},
        {"tools": [], "tool_choice": "auto", "stop": None, "temperature": None, "verbosity": "medium"},
        {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "flex", "prompt_cache_key": "k"},
        {"safety_identifier": "s", "cache_control": {"type": "ephemeral"}, "stream": True, "stream_options": {}},
    ],
)
def test_what_changes_nothing_is_not_sent(given: Any) -> None:
    assert request(CONFIG, asked(**given)) == request(CONFIG, asked())


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"something_new": 1}, "something_new"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"reasoning_effort": "max"}, "reasoning_effort"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"messages": [{"role": "system", "content": "Be brief."}]}, "messages"),
        ({"messages": [{"role": "function", "name": "f", "content": "1"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "name": "Ann", "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [user({"type": "video_url"})]}, "messages[0].content[0].type"),
        (
            {"messages": [user({"type": "file", "file": {"file_id": "file-1"}})]},
            "messages[0].content[0].file.file_id",
        ),
        (
            {"messages": [user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "g729"}})]},
            "messages[0].content[0].input_audio.format",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
                ]
            },
            "messages[1].content[0].image_url.url",
        ),
    ],
)
def test_what_gemini_has_nothing_like_is_refused_by_name(given: Any, param: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        request(CONFIG, asked() | given)
    assert caught.value.param == param and caught.value.status == 400


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"seed": 1.5}, "seed"),
        ({"stop": [7]}, "stop"),
        ({"tools": "weather"}, "tools"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": 7, "tools": [WEATHER]}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"thinking": {"budget_tokens": 1024}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
        (
            {"messages": [user({"type": "image_url", "image_url": {"url": "data:image/png,raw"}})]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [user({"type": "file", "file": {"file_data": "JVBERi0="}})]},
            "messages[0].content[0].file.file_data",
        ),
        (
            {"messages": [CALLED | {"tool_calls": [call(arguments="{")]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {"messages": [CALLED | {"tool_calls": [call(arguments="[1]")]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {"messages": [CALLED | {"tool_calls": [call(arguments='{"a":' + "[" * 400 + "]" * 400 + "}")]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "1"}]}, "messages[0].tool_call_id"),
    ],
)
def test_a_malformed_field_is_named(given: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request(CONFIG, asked() | given)
    assert caught.value.param == param


def test_sound_and_documents_go_inline() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    paper = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
    assert request(CONFIG, asked(user(sound, paper)))["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
    ]


def test_an_image_elsewhere_goes_as_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a machine without a list of media types of its own.
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())

    def sent(url: str) -> Any:
        body = request(CONFIG, asked(user({"type": "image_url", "image_url": {"url": url, "detail": "high"}})))
        return body["contents"][0]["parts"][0]["fileData"]

    assert sent("https://example.com/a.jpg?x=1") == {
        "fileUri": "https://example.com/a.jpg?x=1",
        "mimeType": "image/jpeg",
    }
    assert sent("https://example.com/a.webp")["mimeType"] == "image/webp"
    kept = "https://generativelanguage.googleapis.com/v1beta/files/abc-123"
    assert sent(kept) == {"fileUri": kept}
    for other in ("https://example.com/picture", "http://example.com/a.png", "ftp://x/a.png", "a.png", ""):
        with pytest.raises(Untranslatable):
            sent(other)


def test_tools_are_declared_with_their_whole_schema() -> None:
    body = request(CONFIG, asked(tools=[WEATHER]))
    function = WEATHER["function"]
    declared = {"name": "weather", "description": "Of a city", "parametersJsonSchema": function["parameters"]}
    assert body["tools"] == [{"functionDeclarations": [declared]}]
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "weather"}}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_a_choice_of_tools_is_a_calling_mode(choice: Any, expected: Any) -> None:
    body = request(CONFIG, asked(tools=[WEATHER], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": expected}


def test_strict_tools_are_held_to_their_schemas() -> None:
    strict = {"type": "function", "function": WEATHER["function"] | {"strict": True}}
    body = request(CONFIG, asked(tools=[strict]))
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}


def test_results_of_calls_made_together_go_together() -> None:
    signed = call(extra_content={"google": {"thought_signature": SIGNATURE}})
    body = request(
        CONFIG,
        asked(
            {"role": "user", "content": "Hello"},
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "Two cities.",
                "tool_calls": [signed, call("c2", arguments="")],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "12 °C", "name": "weather"},
            {
                "role": "tool",
                "tool_call_id": "c2",
                "is_error": True,
                "content": [{"type": "text", "text": "no"}, {"type": "image_url", "image_url": {"url": PICTURE}}],
            },
        ),
    )
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "Two cities.", "thought": True},
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Oslo"}},
                    "thoughtSignature": SIGNATURE,
                },
                {"functionCall": {"id": "c2", "name": "weather", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "12 °C"}}},
                {"functionResponse": {"id": "c2", "name": "weather", "response": {"error": "no"}, "parts": [picture]}},
            ],
        },
    ]


@pytest.mark.parametrize(("model", "expected"), [("gemini-3.5-flash", NO_SIGNATURE), ("gemini-2.5-pro", None)])
def test_a_call_without_signature_says_so_where_one_is_wanted(model: str, expected: str | None) -> None:
    body = request(CONFIG, asked(CALLED, {"role": "tool", "tool_call_id": "c1", "content": "1"}, model=model))
    assert body["contents"][0]["parts"][0].get("thoughtSignature") == expected


def test_a_signature_of_text_goes_back_on_the_text() -> None:
    said = {"role": "assistant", "content": "Hi", "extra_content": {"google": {"thought_signature": SIGNATURE}}}
    body = request(CONFIG, asked({"role": "user", "content": "Hello"}, said))
    assert body["contents"][1]["parts"] == [{"text": "Hi", "thoughtSignature": SIGNATURE}]


def test_thoughts_of_another_model_go_as_text() -> None:
    said = {"role": "assistant", "content": "Hi", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]}
    body = request(CONFIG, asked(said))
    assert body["contents"][0]["parts"] == [{"text": "Hm.", "thought": True}, {"text": "Hi"}]


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("gemini-3.5-flash", {"reasoning_effort": "low"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-2.5-flash", {"reasoning_effort": "low"}, {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        (
            "gemini-3.5-flash",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "reasoning_effort": "high"},
            {"thinkingBudget": 2000, "includeThoughts": True},
        ),
        ("gemini-3.5-flash", {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}),
        ("gemini-2.5-flash", {"thinking": {"type": "adaptive"}}, {"thinkingBudget": -1, "includeThoughts": True}),
        (
            "gemini-3.5-flash",
            {"thinking": {"type": "adaptive", "display": "omitted"}, "reasoning_effort": "xhigh"},
            {"thinkingLevel": "XHIGH"},
        ),
        ("gemini-3.5-flash", {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}),
    ],
)
def test_thinking_is_a_level_or_a_budget(model: str, given: Any, expected: Any) -> None:
    body = request(CONFIG, asked(model=model, **given))
    assert body["generationConfig"]["thinkingConfig"] == expected


FULL = asked(
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    user(
        {"type": "text", "text": "Hello"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "auto"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
    ),
    {
        "role": "assistant",
        "content": "So:",
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}],
        "tool_calls": [call(extra_content={"google": {"thought_signature": SIGNATURE}})],
    },
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "12"}]},
    tools=[WEATHER],
    tool_choice={"type": "function", "function": {"name": "weather"}},
    response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    thinking={"type": "enabled", "budget_tokens": 1024},
    stop=["x"],
    temperature=0.5,
    max_tokens=5,
)


def test_no_damage_to_a_request_is_more_than_a_bad_request() -> None:
    damage.check_requests(FULL, lambda payload: request(CONFIG, payload))


def test_embeddings_are_requests_of_one_batch() -> None:
    given = {"model": "gemini-embedding-001", "input": ["a", "b"], "dimensions": 8, "encoding_format": "float"}
    assert embedding_requests(CONFIG, given) == [
        {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8}
        for text in ("a", "b")
    ]
    for wrong in ({"input": [1, 2]}, {"input": "a", "encoding_format": "base64"}, {"input": [["a"]]}):
        with pytest.raises(Untranslatable):
            embedding_requests(CONFIG, {"model": "m", **wrong})
    with pytest.raises(InvalidRequest):
        embedding_requests(CONFIG, {"model": "m", "input": 7})
