"""The tags by which an app wants its costs added up: the header X-Nexus-Tags, and `metadata.tags` in the body. Refuses
what is no tag in the header or a list; a text may be about anything else, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.errors import InvalidRequest

HEADER = b"x-nexus-tags"
MAX_TAGS, MAX_CHARACTERS = 10, 64
# OpenAI's metadata are texts of up to 512 characters: longer ones are not looked through to their end.
_MOST_COMMAS = 512
_TAG = re.compile(rf"[\x20-\x2b\x2d-\x7e]{{1,{MAX_CHARACTERS}}}")


def tags_of(headers: Mapping[bytes, bytes], payload: dict[str, Any]) -> tuple[str, ...]:
    """All that the request names, each once. LiteLLM's list is taken out of `payload`: no provider knows it. Raises
    InvalidRequest.
    """
    header = headers.get(HEADER)
    sent: Any = payload.get("metadata")
    if header is None and sent is None:
        return ()
    found = _checked(header.decode("latin-1").split(","), "X-Nexus-Tags") if header else []
    metadata = sent if isinstance(sent, dict) else {}
    given = metadata.get("tags")
    if isinstance(given, str):
        # OpenAI's, and stays what it is.
        found += named_in(given)
    elif isinstance(given, list):
        found += _checked(given, "metadata.tags")
        payload["metadata"] = {name: value for name, value in metadata.items() if name != "tags"}
        if not payload["metadata"]:
            del payload["metadata"]
    elif given is not None:
        raise _refusal("metadata.tags")
    return tuple(dict.fromkeys(found))


def named_in(text: str) -> list[str]:
    """The first tags that stand between a text's commas. The rest of it is ordinary metadata."""
    parts = (part.strip() for part in text.split(",", _MOST_COMMAS))
    return [part for part in parts if _TAG.fullmatch(part)][:MAX_TAGS]


def _checked(given: list[Any], name: str) -> list[str]:
    if len(given) > MAX_TAGS:
        raise _refusal(name)
    tags = [tag.strip() if isinstance(tag, str) else "" for tag in given]
    if not all(map(_TAG.fullmatch, tags)):
        raise _refusal(name)
    return tags


def _refusal(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"`{name}` must be up to {MAX_TAGS} tags with commas between them, or a list of as many, each of 1 to"
        f" {MAX_CHARACTERS} printable ASCII characters.",
        param=name,
    )
