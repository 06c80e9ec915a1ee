"""What apps do with the official SDK's Responses, against a running gateway: it must not notice the difference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pydantic
import pytest
from openai.types.responses import Response

from tests.conftest import Workspace

QUESTION = "How do I make tea?"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Tea(pydantic.BaseModel):
    name: str
    minutes: int


@pytest.fixture
def key(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> str:
    """Of a workspace that has a provider."""
    return with_provider(alice).key


@pytest.fixture
def client(server: str, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def simulated(server: str, alice: Workspace) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key=alice.key, max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.responses.with_raw_response.create(**{"model": "ok", "input": QUESTION, **more})


def test_an_answer_is_a_response(client: openai.OpenAI) -> None:
    raw = ask(client, instructions="Be short.", metadata={"a": "b"})
    answer = raw.parse()
    Response.model_validate(answer.to_dict())
    assert answer.output_text == "You said: How do I make tea?"
    assert answer.status == "completed" and answer.usage is not None and answer.usage.total_tokens == 18
    assert answer.instructions == "Be short." and answer.metadata == {"a": "b"}
    assert raw.headers["x-cache"] == "MISS" and raw.headers["x-nexus-provider"] == "fake"


def test_the_same_question_in_both_dialects_is_one_cache_entry(client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model="ok",
        max_completion_tokens=50,
        messages=[{"role": "system", "content": "Be short."}, {"role": "user", "content": QUESTION}],
    )
    asked = {"instructions": "Be short.", "max_output_tokens": 50}
    items = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    for hit in (ask(client, **asked), ask(client, **asked, input=items)):
        assert hit.headers["x-cache"] == "HIT-EXACT"
        assert hit.parse().output_text == "You said: How do I make tea?"


@pytest.mark.parametrize("model", ["ok", "gpt-4o-mini"])
def test_a_stream_accumulates_to_the_answer(client: openai.OpenAI, model: str) -> None:
    for _ in ("a miss", "a hit"):
        with client.responses.stream(model=model, input=QUESTION) as stream:
            events = list(stream)
            final = stream.get_final_response()
        assert [event.type for event in events][:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
        assert events[-1].type == "response.completed"
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert QUESTION in final.output_text and "".join(deltas) == final.output_text
        assert final.usage is not None and final.usage.output_tokens > 0
    assert ask(client, model=model).headers["x-cache"] == "HIT-EXACT"


def test_a_plain_stream_is_numbered_events(simulated: openai.OpenAI) -> None:
    events = list(simulated.responses.create(model="gpt-4o-mini", input=QUESTION, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert len(events) > 10


def test_a_function_call_makes_the_round_trip(client: openai.OpenAI) -> None:
    conversation: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    first = client.responses.create(model="tools", input=conversation, tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call" and call.name == "weather" and json.loads(call.arguments) == {"city": "Paris"}
    conversation += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    second = client.responses.create(model="tools", input=conversation, tools=[WEATHER])
    assert second.output_text == "You said: rain"


def test_a_streamed_function_call_accumulates_and_is_parsed(client: openai.OpenAI) -> None:
    with client.responses.stream(model="tools", input="How is the weather?", tools=[WEATHER]) as stream:
        events = list(stream)
        (call,) = stream.get_final_response().output
    assert call.type == "function_call" and call.parsed_arguments == {"city": "Paris"}
    pieces = [event for event in events if event.type == "response.function_call_arguments.delta"]
    assert len(pieces) == 2 and pieces[-1].snapshot == call.arguments


def test_a_structured_answer_is_parsed(client: openai.OpenAI) -> None:
    said = '{"name": "Assam", "minutes": 4}'
    answer = client.responses.parse(model="echo", input=said, text_format=Tea)
    assert answer.output_parsed == Tea(name="Assam", minutes=4)
    with client.responses.stream(model="echo", input=said, text_format=Tea) as stream:
        final = stream.get_final_response()
    assert final.output_parsed == answer.output_parsed


async def test_the_async_client_works_the_same(server: str, key: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server}/v1", api_key=key, max_retries=0) as client:
        answer = await client.responses.create(model="ok", input=QUESTION)
        assert answer.output_text == "You said: How do I make tea?"
        async with client.responses.stream(model="ok", input="And coffee?") as stream:
            assert (await stream.get_final_response()).output_text == "You said: And coffee?"
        parsed = await client.responses.parse(model="echo", input='{"name": "Assam", "minutes": 4}', text_format=Tea)
        assert parsed.output_parsed == Tea(name="Assam", minutes=4)


def test_an_answer_that_reached_its_limit_is_incomplete(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="length", input=QUESTION)
    assert answer.status == "incomplete" and answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    events = list(client.responses.create(model="length", input=QUESTION, stream=True))
    assert events[-1].type == "response.incomplete"


def test_a_stream_that_breaks_is_an_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(model="cut", input=QUESTION, stream=True))
    assert caught.value.code == "provider_failed"


def test_errors_are_those_of_the_api(server: str, simulated: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as wrong_key:
        ask(openai.OpenAI(base_url=f"{server}/v1", api_key="sk-whatever"))
    assert wrong_key.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(simulated, model="gpt-4o-minni")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as stateful:
        ask(simulated, model="gpt-4o-mini", previous_response_id="resp_1")
    assert (stateful.value.code, stateful.value.param) == ("unsupported_parameter", "previous_response_id")
    assert "`input`" in stateful.value.message


def test_responses_are_not_kept(server: str, alice: Workspace, simulated: openai.OpenAI) -> None:
    answer = simulated.responses.create(model="gpt-4o-mini", input=QUESTION)
    assert answer.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError) as caught:
        simulated.responses.retrieve(answer.id)
    assert "not stored" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        simulated.responses.cancel(answer.id)
    got = httpx2.get(f"{server}/v1/responses", headers={"Authorization": f"Bearer {alice.key}"})
    assert got.status_code == 405 and got.json()["error"]["code"] == "method_not_allowed"
