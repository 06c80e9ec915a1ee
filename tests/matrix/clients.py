"""Who asks in the matrix: each official SDK and dialect under the same verbs, and those dialects that have no SDK."""

from __future__ import annotations

import abc
import json
from typing import Any, ClassVar

import anthropic
import httpx2
import openai
from websockets.sync.client import ClientConnection, connect

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION: Any = {"name": "weather", "description": "The weather in a city", "parameters": SCHEMA, "strict": True}
# Answers of the cache say nothing about a provider.
HEADERS = {"X-Nexus-Cache": "off"}


class Refused(Exception):
    """What a dialect without an SDK says with 400."""


class Failed(Exception):
    """What it says with 502."""


class Client(abc.ABC):
    """Knows `refused` and `failed`, the errors of its SDK for what a provider refuses and fails at.

    `stream` gives the pieces of a text; `call_tools` the first call's arguments, and the answer to all the results;
    `demand_tool` insists on a call; `leave` hangs up after the first piece.
    """

    # As usage records have it.
    dialect: ClassVar[str]
    refused: ClassVar[type[Exception]]
    failed: ClassVar[type[Exception]]

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    @abc.abstractmethod
    def ask(self, model: str, text: str) -> str: ...

    @abc.abstractmethod
    def stream(self, model: str, text: str) -> list[str]: ...

    @abc.abstractmethod
    def leave(self, model: str) -> None: ...


class Sdk(Client):
    """With all that an official SDK can do."""

    sdk: openai.OpenAI | anthropic.Anthropic

    @abc.abstractmethod
    def call_tools(self, model: str, *, streaming: bool) -> tuple[Any, str]: ...

    @abc.abstractmethod
    def show_picture(self, model: str) -> str: ...

    @abc.abstractmethod
    def demand_tool(self, model: str) -> Any: ...


class OpenAISdk(Sdk):
    refused, failed = openai.BadRequestError, openai.InternalServerError

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        self.sdk: openai.OpenAI = openai.OpenAI(
            base_url=f"{url}/v1", api_key=key, max_retries=0, default_headers=HEADERS
        )


class OpenAIChat(OpenAISdk):
    dialect = "openai-chat"
    tools: Any = [{"type": "function", "function": FUNCTION}]

    def ask(self, model: str, text: str) -> str:
        return self._create(model, [{"role": "user", "content": text}])

    def stream(self, model: str, text: str) -> list[str]:
        messages: Any = [{"role": "user", "content": text}]
        chunks = self.sdk.chat.completions.create(model=model, messages=messages, stream=True)
        return [piece for chunk in chunks if (piece := chunk.choices[0].delta.content)]

    def leave(self, model: str) -> None:
        messages: Any = [{"role": "user", "content": "Go on and on."}]
        with self.sdk.chat.completions.create(model=model, messages=messages, stream=True) as chunks:
            next(chunk for chunk in chunks if chunk.choices[0].delta.content)

    def call_tools(self, model: str, *, streaming: bool) -> tuple[Any, str]:
        messages: Any = [{"role": "user", "content": "Weather?"}]
        options: Any = {"model": model, "messages": messages, "tools": self.tools}
        if streaming:
            with self.sdk.chat.completions.stream(**options) as stream:
                message: Any = stream.get_final_completion().choices[0].message
        else:
            message = self.sdk.chat.completions.create(**options).choices[0].message
        calls = message.tool_calls
        results = [{"role": "tool", "tool_call_id": call.id, "content": "Sun"} for call in calls]
        # As most apps do it: what came goes back.
        text = self._create(model, [*messages, message, *results], tools=self.tools)
        return json.loads(calls[0].function.arguments), text

    def show_picture(self, model: str) -> str:
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        return self._create(model, [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}])

    def demand_tool(self, model: str) -> Any:
        messages: Any = [{"role": "user", "content": "Weather?"}]
        self._create(model, messages, tools=self.tools, tool_choice="required")

    def _create(self, model: str, messages: Any, **more: Any) -> str:
        answer = self.sdk.chat.completions.create(model=model, messages=messages, **more)
        return str(answer.choices[0].message.content)


class OpenAIResponses(OpenAISdk):
    dialect = "openai-responses"
    tools: Any = [{"type": "function", **FUNCTION}]

    def ask(self, model: str, text: str) -> str:
        return self.sdk.responses.create(model=model, input=text).output_text

    def stream(self, model: str, text: str) -> list[str]:
        with self.sdk.responses.stream(model=model, input=text) as stream:
            pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
            assert stream.get_final_response().output_text == "".join(pieces)
        return pieces

    def leave(self, model: str) -> None:
        with self.sdk.responses.create(model=model, input="Go on and on.", stream=True) as events:
            next(event for event in events if event.type == "response.output_text.delta")

    def call_tools(self, model: str, *, streaming: bool) -> tuple[Any, str]:
        question: Any = {"role": "user", "content": "Weather?"}
        options: Any = {"model": model, "input": [question], "tools": self.tools}
        if streaming:
            with self.sdk.responses.stream(**options) as stream:
                output: Any = stream.get_final_response().output
        else:
            output = self.sdk.responses.create(**options).output
        calls: Any = [item for item in output if item.type == "function_call"]
        results = [{"type": "function_call_output", "call_id": call.call_id, "output": "Sun"} for call in calls]
        history: Any = [question, *output, *results]
        second = self.sdk.responses.create(model=model, input=history, tools=self.tools)
        return json.loads(calls[0].arguments), second.output_text

    def show_picture(self, model: str) -> str:
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
        content: Any = [{"type": "input_text", "text": "What is it?"}, picture]
        return self.sdk.responses.create(model=model, input=[{"role": "user", "content": content}]).output_text

    def demand_tool(self, model: str) -> Any:
        self.sdk.responses.create(model=model, input="Weather?", tools=self.tools, tool_choice="required")


class AnthropicMessages(Sdk):
    dialect, refused, failed = "anthropic-messages", anthropic.BadRequestError, anthropic.InternalServerError
    tools: Any = [{"name": "weather", "description": "The weather in a city", "input_schema": SCHEMA}]

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        self.sdk: anthropic.Anthropic = anthropic.Anthropic(
            base_url=url, api_key=key, max_retries=0, default_headers=HEADERS
        )

    def ask(self, model: str, text: str) -> str:
        return self._create(model, [{"role": "user", "content": text}])

    def stream(self, model: str, text: str) -> list[str]:
        messages: Any = [{"role": "user", "content": text}]
        with self.sdk.messages.stream(model=model, max_tokens=200, messages=messages) as stream:
            pieces = list(stream.text_stream)
            assert stream.get_final_text() == "".join(pieces)
        return pieces

    def leave(self, model: str) -> None:
        messages: Any = [{"role": "user", "content": "Go on and on."}]
        with self.sdk.messages.stream(model=model, max_tokens=200, messages=messages) as stream:
            next(stream.text_stream)

    def call_tools(self, model: str, *, streaming: bool) -> tuple[Any, str]:
        question = {"role": "user", "content": "Weather?"}
        options: Any = {"model": model, "max_tokens": 200, "messages": [question], "tools": self.tools}
        if streaming:
            with self.sdk.messages.stream(**options) as stream:
                content: Any = stream.get_final_message().content
        else:
            content = self.sdk.messages.create(**options).content
        calls = [block for block in content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "Sun"} for call in calls]
        history = [question, {"role": "assistant", "content": content}, {"role": "user", "content": results}]
        return calls[0].input, self._create(model, history, tools=self.tools)

    def show_picture(self, model: str) -> str:
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
        return self._create(model, [{"role": "user", "content": [picture, {"type": "text", "text": "What is it?"}]}])

    def demand_tool(self, model: str) -> Any:
        self._create(model, [{"role": "user", "content": "Weather?"}], tools=self.tools, tool_choice={"type": "any"})

    def _create(self, model: str, messages: Any, **more: Any) -> str:
        answer = self.sdk.messages.create(model=model, max_tokens=200, messages=messages, **more)
        return "".join(block.text for block in answer.content if block.type == "text")


class SimpleChat(Client):
    """`path`, and what the question, the answer and a piece of it are called there."""

    dialect, refused, failed = "simple-chat", Refused, Failed
    path, question, answer, piece = "/api/chat", "message", "response", "delta"

    def ask(self, model: str, text: str) -> str:
        with self._post(model, text) as response:
            response.read()
            if response.status_code != 200:
                raise _ERRORS[response.status_code](response.text)
            return str(response.json()[self.answer])

    def stream(self, model: str, text: str) -> list[str]:
        with self._post(model, text, stream=True) as response:
            *events, done = [line.removeprefix("data: ") for line in response.iter_lines() if line]
        assert done == "[DONE]"
        return [json.loads(event)[self.piece] for event in events[:-1]]

    def leave(self, model: str) -> None:
        with self._post(model, "Go on and on.", stream=True) as response:
            next(response.iter_lines())

    def _post(self, model: str, text: str, **more: Any) -> Any:
        headers = {**HEADERS, "Authorization": f"Bearer {self.key}"}
        body = {"model": model, self.question: text, **more}
        return httpx2.stream("POST", self.url + self.path, json=body, headers=headers, timeout=30)


class PromptChat(SimpleChat):
    dialect = "prompt-chat"
    path, question, answer, piece = "/v1/chat", "prompt", "output", "output"


class SocketChat(Client):
    dialect, refused, failed = "socket-chat", Refused, Failed

    def ask(self, model: str, text: str) -> str:
        return "".join(self.stream(model, text))

    def stream(self, model: str, text: str) -> list[str]:
        with self._connect() as socket:
            socket.send(json.dumps({"model": model, "message": text}))
            pieces: list[str] = []
            while "delta" in (said := json.loads(socket.recv(30))):
                pieces.append(said["delta"])
        if error := said.get("error"):
            raise (Failed if error["code"] == "provider_failed" else Refused)(error["message"])
        return pieces

    def leave(self, model: str) -> None:
        with self._connect() as socket:
            socket.send(json.dumps({"model": model, "message": "Go on and on."}))
            assert "delta" in json.loads(socket.recv(30))

    def _connect(self) -> ClientConnection:
        headers = {**HEADERS, "Authorization": f"Bearer {self.key}"}
        return connect(f"{self.url.replace('http', 'ws')}/ws/chat", additional_headers=headers)


_ERRORS: dict[int, type[Exception]] = {400: Refused, 502: Failed}
SDKS: tuple[type[Sdk], ...] = (OpenAIChat, OpenAIResponses, AnthropicMessages)
CLIENTS: tuple[type[Client], ...] = (*SDKS, SimpleChat, PromptChat, SocketChat)
