"""The items of a Responses request as messages of Chat Completions. What is one turn of the assistant (reasoning,
text, function calls) is one message there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.chat_fields import among
from gateway.dialects.openai_chat import MAX_MESSAGES
from gateway.errors import InvalidRequest

Message = dict[str, Any]
# Before the thinking blocks of a provider in `encrypted_content`: what OpenAI encrypted, nobody else can read.
_SEAL = "nexus-thinking:"


def unsupported(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="unsupported_parameter")


def field(value: Any, name: str, at: str) -> str:
    """The text that says what kind of thing an object is."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise InvalidRequest(f"`{at}` must be an object with a `{name}`.", param=f"{at}.{name}")
    return found


def text_of(value: dict[str, Any], name: str, at: str, *, may_be_empty: bool = False) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not (text or may_be_empty):
        raise InvalidRequest(f"`{at}.{name}` must be a text.", param=f"{at}.{name}")
    return text


def messages_of(sent: dict[str, Any]) -> list[Message]:
    """Raises InvalidRequest, naming the field."""
    instructions, items = sent.get("instructions"), sent.get("input")
    if not isinstance(instructions, str | None):
        raise InvalidRequest("`instructions` must be a text.", param="instructions")
    messages: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(items, str):
        return [*messages, {"role": "user", "content": items}]
    if not isinstance(items, list) or not 0 < len(items) < MAX_MESSAGES:
        raise InvalidRequest(f"`input` must be a text or a list of 1 to {MAX_MESSAGES - 1:,} items.", param="input")
    for number, item in enumerate(items):
        at = f"input[{number}]"
        # A message's type may be left out.
        kind = "message" if isinstance(item, dict) and "role" in item and "type" not in item else None
        kind = kind or field(item, "type", at)
        add = _ITEMS.get(kind)
        if add is None:
            raise unsupported(f"`{at}`: an item of type “{kind}” is not possible here.", f"{at}.type")
        add(messages, item, at)
    for message in messages:
        if message.keys() <= {"role", "content", "reasoning_content", "thinking_blocks"} and message["content"] is None:
            raise InvalidRequest(
                "A reasoning item in `input` must be followed by the message or function call that it led to.",
                param="input",
            )
    return messages


# --- one function for each type of item ------------------------------------------------------------------------------


def _message(messages: list[Message], item: dict[str, Any], at: str) -> None:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise InvalidRequest(f"`{at}.role` must be one of assistant, developer, system, user.", param=f"{at}.role")
    content = _content(item.get("content"), f"{at}.content")
    if role != "assistant":
        messages.append({"role": role, "content": content})
        return
    turn = _turn(messages)
    if turn is None or not _goes_on(turn):
        messages.append(turn := {"role": role, "content": None})
    if turn["content"] is None and isinstance(content, list) and [part["type"] for part in content] == ["refusal"]:
        turn["refusal"] = content[0]["refusal"]
    else:
        turn["content"] = content if turn["content"] is None else [*_parts(turn["content"]), *_parts(content)]


def _function_call(messages: list[Message], item: dict[str, Any], at: str) -> None:
    if item.get("namespace") is not None:
        raise unsupported(f"`{at}.namespace` is not possible here.", f"{at}.namespace")
    call = {
        "id": text_of(item, "call_id", at),
        "type": "function",
        "function": {
            "name": text_of(item, "name", at),
            "arguments": text_of(item, "arguments", at, may_be_empty=True),
        },
    }
    turn = _turn(messages)
    if turn is None:
        messages.append(turn := {"role": "assistant", "content": None})
    turn.setdefault("tool_calls", []).append(call)


def _function_call_output(messages: list[Message], item: dict[str, Any], at: str) -> None:
    content = _content(item.get("output"), f"{at}.output")
    messages.append({"role": "tool", "tool_call_id": text_of(item, "call_id", at), "content": content})


def _reasoning(messages: list[Message], item: dict[str, Any], at: str) -> None:
    texts = []
    for name in ("summary", "content"):
        parts = item.get(name)
        if not isinstance(parts, list | None):
            raise InvalidRequest(f"`{at}.{name}` must be a list.", param=f"{at}.{name}")
        for number, part in enumerate(parts or []):
            field(part, "text", f"{at}.{name}[{number}]")
            texts.append(part["text"])
    thought: dict[str, Any] = {}
    if text := "\n\n".join(text for text in texts if text):
        thought["reasoning_content"] = text
    if item.get("encrypted_content") is not None:
        thought["thinking_blocks"] = unseal(item["encrypted_content"], f"{at}.encrypted_content")
    if not thought:
        return
    turn = _turn(messages)
    if turn is None or not _goes_on(turn):
        messages.append({"role": "assistant", "content": None, **thought})
        return
    if "reasoning_content" in turn and "reasoning_content" in thought:
        thought["reasoning_content"] = f"{turn['reasoning_content']}\n\n{thought['reasoning_content']}"
    if "thinking_blocks" in turn and "thinking_blocks" in thought:
        thought["thinking_blocks"] = [*turn["thinking_blocks"], *thought["thinking_blocks"]]
    turn.update(thought)


_ITEMS: dict[str, Callable[[list[Message], dict[str, Any], str], None]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _function_call_output,
    "reasoning": _reasoning,
}


def _turn(messages: list[Message]) -> Message | None:
    """The assistant's message that a next item of its turn belongs to."""
    return messages[-1] if messages and messages[-1]["role"] == "assistant" else None


def _goes_on(turn: Message) -> bool:
    """Whether more text is of the same message, and not a second one."""
    return "tool_calls" in turn or (turn["content"] is None and "refusal" not in turn)


# --- thinking blocks, as an opaque text ------------------------------------------------------------------------------


def seal(blocks: list[Any]) -> str:
    return _SEAL + base64.urlsafe_b64encode(orjson.dumps(blocks)).decode()


def unseal(text: Any, at: str) -> list[Any]:
    blocks = None
    if isinstance(text, str) and text.startswith(_SEAL):
        try:
            blocks = orjson.loads(base64.urlsafe_b64decode(text.removeprefix(_SEAL)))
        except (binascii.Error, ValueError):
            blocks = None
    if not isinstance(blocks, list) or not all(
        isinstance(block, dict) and isinstance(block.get("type"), str) for block in blocks
    ):
        raise unsupported(f"`{at}` was not made here, and nobody else can read it: leave it out.", at)
    return blocks


# --- parts of a content ----------------------------------------------------------------------------------------------


def _content(content: Any, at: str) -> str | list[dict[str, Any]]:
    """A single text is plain, as it is in Chat Completions."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise InvalidRequest(f"`{at}` must be a text or a list of parts.", param=at)
    parts = [_part(part, f"{at}[{number}]") for number, part in enumerate(content)]
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _part(part: Any, at: str) -> dict[str, Any]:
    kind = field(part, "type", at)
    translate = _PARTS.get(kind)
    if translate is None:
        raise unsupported(f"`{at}`: a part of type “{kind}” is not possible here.", f"{at}.type")
    made, known = translate(part, at)
    return made | {name: value for name, value in part.items() if name not in known and value is not None}


# What a part becomes, and the fields that are in it now or say nothing to a model.
_Made = tuple[dict[str, Any], set[str]]


def _text(part: dict[str, Any], at: str) -> _Made:
    made = {"type": "text", "text": text_of(part, "text", at, may_be_empty=True)}
    return made, {"type", "text", "annotations", "logprobs"}


def _refusal(part: dict[str, Any], at: str) -> _Made:
    return {"type": "refusal", "refusal": text_of(part, "refusal", at)}, {"type", "refusal"}


def _image(part: dict[str, Any], at: str) -> _Made:
    if part.get("file_id") is not None:
        raise unsupported(f"`{at}.file_id`: images are sent as `image_url` here, https: or data:.", f"{at}.file_id")
    image = {"url": text_of(part, "image_url", at)}
    if not isinstance(part.get("detail"), str | None):
        raise InvalidRequest(f"`{at}.detail` must be a text.", param=f"{at}.detail")
    if part.get("detail") not in (None, "auto"):
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}, {"type", "image_url", "detail", "file_id"}


def _file(part: dict[str, Any], at: str) -> _Made:
    for name, harmless in (("file_url", (None,)), ("detail", (None, "auto"))):
        if not among(part.get(name), harmless):
            raise unsupported(f"`{at}.{name}` is not possible here; send `file_data`.", f"{at}.{name}")
    names = ("file_data", "file_id", "filename")
    file = {name: text_of(part, name, at) for name in names if part.get(name) is not None}
    if not ("file_data" in file or "file_id" in file):
        raise InvalidRequest(f"`{at}.file_data` is missing.", param=f"{at}.file_data")
    return {"type": "file", "file": file}, {"type", "file_url", "detail", *names}


def _audio(part: dict[str, Any], at: str) -> _Made:
    audio = part.get("input_audio")
    if not isinstance(audio, dict):
        raise InvalidRequest(f"`{at}.input_audio` must be an object.", param=f"{at}.input_audio")
    for name in ("data", "format"):
        text_of(audio, name, f"{at}.input_audio")
    return {"type": "input_audio", "input_audio": audio}, {"type", "input_audio"}


_PARTS: dict[str, Callable[[dict[str, Any], str], _Made]] = {
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
