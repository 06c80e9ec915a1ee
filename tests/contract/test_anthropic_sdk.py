"""What apps do with Anthropic's SDK against a running gateway, whoever answers; and OpenAI's, answered by Anthropic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anthropic
import httpx2
import openai
import pytest

from gateway import setups
from tests import servers
from tests.conftest import Workspace
from tests.fakes import anthropic as fake

QUESTION: Any = [{"role": "user", "content": "How do I make tea?"}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
WEATHER: Any = {"name": "weather", "description": "Of a city", "input_schema": {"type": "object", "properties": {}}}
CLOCK: Any = {"name": "clock", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The URL of an Anthropic that does as the model's name says (tests.fakes.anthropic)."""
    with servers.running("tests.fakes.anthropic:application", ready="/calls") as server:
        yield server.url


@pytest.fixture
def with_anthropic(upstream: str) -> Callable[[Workspace], Workspace]:
    def configure(workspace: Workspace) -> Workspace:
        setups.configure_provider(
            workspace.tenant, name="claude", kind="anthropic", base_url=upstream, api_key=fake.KEY
        )
        return workspace

    return configure


class Setup(NamedTuple):
    """A workspace with one provider; `model` answers plainly, `said` is what it says about the question."""

    provider: str
    model: str
    said: str
    workspace: Workspace


@pytest.fixture(params=["simulated", "fake", "claude"])
def setup(
    request: pytest.FixtureRequest,
    alice: Workspace,
    with_provider: Callable[[Workspace], Workspace],
    with_anthropic: Callable[[Workspace], Workspace],
) -> Setup:
    if request.param == "simulated":
        return Setup("simulated", "gpt-4o-mini", "You asked: “How do I make tea?”", alice)
    (with_provider if request.param == "fake" else with_anthropic)(alice)
    return Setup(request.param, "ok", "You said: How do I make tea?", alice)


@pytest.fixture
def client(server: str, setup: Setup) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server, api_key=setup.workspace.key, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(
    server: str, alice: Workspace, with_anthropic: Callable[[Workspace], Workspace]
) -> Iterator[anthropic.Anthropic]:
    """Anthropic's SDK, with Anthropic as the provider."""
    with_anthropic(alice)
    with anthropic.Anthropic(base_url=server, api_key=alice.key, max_retries=0) as client:
        yield client


@pytest.fixture
def chat(server: str, alice: Workspace, with_anthropic: Callable[[Workspace], Workspace]) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK, with Anthropic as the provider."""
    with_anthropic(alice)
    with openai.OpenAI(base_url=f"{server}/v1", api_key=alice.key, max_retries=0) as client:
        yield client


def ask(client: anthropic.Anthropic, model: str, messages: Any = QUESTION, **more: Any) -> Any:
    return client.messages.with_raw_response.create(model=model, max_tokens=200, messages=messages, **more)


def last_request(upstream: str) -> dict[str, Any]:
    request: dict[str, Any] = httpx2.get(f"{upstream}/calls").json()["last"]["request"]
    return request


# --- Anthropic's SDK, whoever answers --------------------------------------------------------------------------------


def test_a_message_is_answered_and_a_repeat_is_a_hit(client: anthropic.Anthropic, setup: Setup) -> None:
    raw = ask(client, setup.model)
    message: Any = raw.parse()
    assert type(message) is anthropic.types.Message and message.id.startswith("msg_")
    assert setup.said in getattr(message.content[0], "text", "")
    assert message.stop_reason == "end_turn" and message.usage.output_tokens > 0 and message.usage.input_tokens > 0
    assert raw.headers["x-nexus-provider"] == setup.provider and raw.headers["x-cache"] == "MISS"
    again = ask(client, setup.model)
    assert again.headers["x-cache"] == "HIT-EXACT" and again.text() == raw.text()


def test_a_stream_adds_up_to_the_message(client: anthropic.Anthropic, setup: Setup) -> None:
    for _ in ("fresh", "from the cache"):
        with client.messages.stream(model=setup.model, max_tokens=200, messages=QUESTION) as stream:
            text = "".join(stream.text_stream)
            message = stream.get_final_message()
        assert setup.said in text and [block.to_dict() for block in message.content] == [{"type": "text", "text": text}]
        assert message.stop_reason == "end_turn" and message.usage.output_tokens > 0
    whole = ask(client, setup.model)
    assert whole.headers["x-cache"] == "HIT-EXACT"
    assert whole.parse().to_dict() == message.to_dict()


def test_raw_events_can_be_read_as_they_come(client: anthropic.Anthropic, setup: Setup) -> None:
    with client.messages.create(model=setup.model, max_tokens=200, messages=QUESTION, stream=True) as stream:
        kinds = [event.type for event in stream]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_both_sdks_share_a_cache_entry(client: anthropic.Anthropic, server: str, setup: Setup) -> None:
    ask(client, setup.model, system="Be brief.")
    with openai.OpenAI(base_url=f"{server}/v1", api_key=setup.workspace.key, max_retries=0) as chat:
        raw = chat.chat.completions.with_raw_response.create(
            model=setup.model, max_tokens=200, messages=[{"role": "system", "content": "Be brief."}, *QUESTION]
        )
    assert raw.headers["x-cache"] == "HIT-EXACT"
    assert setup.said in (raw.parse().choices[0].message.content or "")


async def test_the_async_client_works_side_by_side(server: str, setup: Setup) -> None:
    async with anthropic.AsyncAnthropic(base_url=server, api_key=setup.workspace.key, max_retries=0) as client:

        async def one(number: int) -> str:
            messages: Any = [{"role": "user", "content": f"Number {number}"}]
            if number % 2:
                message: Any = await client.messages.create(model=setup.model, max_tokens=200, messages=messages)
                return str(message.content[0].text)
            async with client.messages.stream(model=setup.model, max_tokens=200, messages=messages) as stream:
                return "".join([text async for text in stream.text_stream])

        answers = await asyncio.gather(*(one(number) for number in range(10)))
    assert all(f"Number {number}" in answer for number, answer in enumerate(answers))


def test_a_bearer_token_and_the_old_key_header_are_keys_too(server: str, setup: Setup) -> None:
    with anthropic.Anthropic(base_url=server, auth_token=setup.workspace.key, max_retries=0) as client:
        assert ask(client, setup.model).status_code == 200
    for version in ({}, {"anthropic-version": "2023-06-01"}):
        headers = {"x-api-key": setup.workspace.key, **version}
        body = {"model": setup.model, "max_tokens": 9, "messages": QUESTION, "temperature": 0.5}
        assert httpx2.post(f"{server}/v1/messages", json=body, headers=headers).json()["type"] == "message"


# --- tools, images, thoughts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("who", ["fake", "claude"])
def test_tools_are_called_and_their_results_answered(
    server: str,
    alice: Workspace,
    with_provider: Callable[[Workspace], Workspace],
    with_anthropic: Callable[[Workspace], Workspace],
    who: str,
    streaming: bool,
) -> None:
    (with_provider if who == "fake" else with_anthropic)(alice)
    with anthropic.Anthropic(base_url=server, api_key=alice.key, max_retries=0) as client:

        def turn(messages: Any) -> Any:
            options: Any = {"model": "tools", "max_tokens": 200, "messages": messages, "tools": [WEATHER, CLOCK]}
            if not streaming:
                return client.messages.create(**options)
            with client.messages.stream(**options) as stream:
                return stream.get_final_message()

        first = turn([{"role": "user", "content": [{"type": "text", "text": "Weather?"}]}])
        assert first.stop_reason == "tool_use"
        calls = [block for block in first.content if block.type == "tool_use"]
        assert (calls[0].name, calls[0].input) == ("weather", {"city": "Paris"})
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "Sun"} for call in calls]
        history = [{"role": "user", "content": "Weather?"}, {"role": "assistant", "content": first.content}]
        second = turn([*history, {"role": "user", "content": results}])
    assert second.stop_reason == "end_turn" and "Sun" in second.content[0].text


def test_images_and_documents_reach_anthropic_as_they_were(claude: anthropic.Anthropic, upstream: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    source = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    content = [image, {"type": "document", "title": "a.txt", "source": source}, {"type": "text", "text": "What is it?"}]
    ask(claude, "ok", [{"role": "user", "content": content}])
    assert last_request(upstream)["messages"] == [{"role": "user", "content": content}]


def test_thoughts_come_with_their_signatures_and_go_back(claude: anthropic.Anthropic, upstream: str) -> None:
    thinking: Any = {"type": "adaptive"}
    with claude.messages.stream(model="thinking", max_tokens=200, messages=QUESTION, thinking=thinking) as stream:
        streamed = stream.get_final_message()
    message = ask(claude, "thinking", thinking=thinking).parse()
    assert streamed.to_dict() == message.to_dict()
    thought, redacted, text = message.content
    assert (thought.thinking, thought.signature) == ("Water first, then leaves.", fake.SIGNATURE)
    assert redacted.data == fake.REDACTED and text.text
    history = [*QUESTION, {"role": "assistant", "content": message.content}, {"role": "user", "content": "And coffee?"}]
    ask(claude, "ok", history, thinking=thinking)
    assert last_request(upstream)["messages"][1]["content"] == [block.to_dict() for block in message.content]


def test_usage_tells_what_the_providers_cache_did(claude: anthropic.Anthropic) -> None:
    usage = ask(claude, "ok").parse().usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (5, 4, 2)


def test_a_stop_sequence_is_named(claude: anthropic.Anthropic) -> None:
    message = ask(claude, "stop", stop_sequences=["END"]).parse()
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


# --- errors ----------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_an_authentication_error(server: str) -> None:
    for auth in ({"api_key": "sk-ant-whatever"}, {"auth_token": "nk-aaaaaaaaaaaa-" + "x" * 43}):
        with (
            anthropic.Anthropic(base_url=server, max_retries=0, **auth) as client,  # type: ignore[arg-type]
            pytest.raises(anthropic.AuthenticationError) as caught,
        ):
            ask(client, "gpt-4o-mini")
        assert caught.value.type == "authentication_error"


def test_an_unknown_model_is_not_found(server: str, alice: Workspace) -> None:
    with (
        anthropic.Anthropic(base_url=server, api_key=alice.key, max_retries=0) as client,
        pytest.raises(anthropic.NotFoundError) as caught,
    ):
        ask(client, "claude-nobody-knows")
    assert caught.value.type == "not_found_error" and "claude-nobody-knows" in (caught.value.api_message or "")


def test_a_rate_limit_is_an_error_of_its_own(server: str, make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(requests_per_minute=1)
    with anthropic.Anthropic(base_url=server, api_key=workspace.key, max_retries=0) as client:
        ask(client, "gpt-4o-mini")
        with pytest.raises(anthropic.RateLimitError) as caught:
            ask(client, "gpt-4o-mini")
    assert caught.value.type == "rate_limit_error" and int(caught.value.response.headers["retry-after"]) >= 1


def test_a_bad_request_is_explained(server: str, alice: Workspace) -> None:
    with (
        anthropic.Anthropic(base_url=server, api_key=alice.key, max_retries=0) as client,
        pytest.raises(anthropic.BadRequestError) as caught,
    ):
        ask(client, "gpt-4o-mini", tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert caught.value.type == "invalid_request_error" and "web_search_20250305" in (caught.value.api_message or "")
    assert isinstance(caught.value.body, dict) and caught.value.body["request_id"]


@pytest.mark.parametrize(
    ("model", "status", "error"),
    [
        ("refused", 400, "invalid_request_error"),
        ("missing", 404, "not_found_error"),
        ("broken", 502, "api_error"),
        ("overloaded", 502, "api_error"),
        ("garbage", 502, "api_error"),
        ("hang", 504, "timeout_error"),
    ],
)
def test_failures_of_anthropic_reach_its_clients(
    claude: anthropic.Anthropic, model: str, status: int, error: str
) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask(claude, model)
    assert (caught.value.status_code, caught.value.type) == (status, error)


@pytest.mark.parametrize("model", ["cut", "garbage", "overloaded-middle"])
def test_a_stream_that_breaks_off_is_an_error(claude: anthropic.Anthropic, model: str) -> None:
    pieces: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        claude.messages.stream(model=model, max_tokens=200, messages=QUESTION) as stream,
    ):
        pieces.extend(stream.text_stream)
    assert pieces and caught.value.type == "api_error"


# --- OpenAI's SDK, answered by Anthropic -----------------------------------------------------------------------------


def test_openais_sdk_is_answered_by_anthropic(chat: openai.OpenAI, upstream: str) -> None:
    messages: Any = [{"role": "developer", "content": "Be brief."}, *QUESTION]
    raw = chat.chat.completions.with_raw_response.create(model="ok", messages=messages, stop="END", user="u1")
    answer = raw.parse()
    assert answer.choices[0].message.content == "You said: How do I make tea?"
    assert answer.choices[0].finish_reason == "stop" and answer.object == "chat.completion"
    assert answer.usage is not None and answer.usage.prompt_tokens == 11 and answer.usage.total_tokens == 23
    assert answer.usage.prompt_tokens_details is not None and answer.usage.prompt_tokens_details.cached_tokens == 4
    sent = last_request(upstream)
    assert sent["system"] == [{"type": "text", "text": "Be brief."}]
    assert sent["stop_sequences"] == ["END"] and sent["metadata"] == {"user_id": "u1"}


def test_openais_sdk_streams_from_anthropic(chat: openai.OpenAI) -> None:
    stream = chat.chat.completions.create(
        model="ok", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks: list[Any] = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == "You said: How do I make tea?"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 23


@pytest.mark.parametrize("streaming", [False, True])
def test_openais_sdk_calls_tools_of_anthropic(chat: openai.OpenAI, streaming: bool) -> None:
    tools: Any = [{"type": "function", "function": {"name": name}} for name in ("weather", "clock")]

    def turn(messages: Any) -> Any:
        if not streaming:
            return chat.chat.completions.create(model="tools", messages=messages, tools=tools).choices[0]
        with chat.chat.completions.stream(model="tools", messages=messages, tools=tools) as stream:
            return stream.get_final_completion().choices[0]

    first = turn(QUESTION)
    assert first.finish_reason == "tool_calls"
    calls = first.message.tool_calls
    assert [call.function.arguments for call in calls] == ['{"city":"Paris"}', "{}"]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "Sun"} for call in calls]
    said = first.message.model_dump(exclude={"parsed"}, exclude_none=True)
    second = turn([*QUESTION, said, *results])
    assert second.finish_reason == "stop" and second.message.content == "You said: Sun"


def test_openais_sdk_sends_images_to_anthropic(chat: openai.OpenAI, upstream: str) -> None:
    urls = (f"data:image/png;base64,{PIXEL}", "https://example.com/tea.png")
    parts: Any = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    chat.chat.completions.create(model="ok", messages=[{"role": "user", "content": parts}])
    assert [block["source"] for block in last_request(upstream)["messages"][0]["content"]] == [
        {"type": "base64", "media_type": "image/png", "data": PIXEL},
        {"type": "url", "url": "https://example.com/tea.png"},
    ]


def test_openais_sdk_hears_what_anthropic_cannot_do_or_refused(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat.chat.completions.create(model="ok", messages=QUESTION, seed=7)
    assert caught.value.code == "unsupported_parameter" and caught.value.param == "seed"
    with pytest.raises(openai.BadRequestError, match="too long") as refused:
        chat.chat.completions.create(model="refused", messages=QUESTION)
    assert refused.value.type == "invalid_request_error"
