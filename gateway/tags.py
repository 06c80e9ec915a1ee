"""The tags by which an app wants its costs added up: the header X-Nexus-Tags, and `metadata.tags` in the body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.errors import InvalidRequest

HEADER = b"x-nexus-tags"
MAX_TAGS, MAX_CHARACTERS = 10, 64
_TAG = re.compile(rf"[\x20-\x2b\x2d-\x7e]{{1,{MAX_CHARACTERS}}}")


def tags_of(headers: Mapping[bytes, bytes], payload: dict[str, Any]) -> tuple[str, ...]:
    """All that the request names, each once. LiteLLM's list is taken out of `payload`: no provider knows it. Raises
    InvalidRequest.
    """
    header = headers.get(HEADER)
    metadata = payload.get("metadata")
    if header is None and metadata is None:
        return ()
    found = _checked(header.decode("latin-1").split(","), "X-Nexus-Tags") if header else []
    metadata = metadata if isinstance(metadata, dict) else {}
    given = metadata.get("tags")
    if isinstance(given, list):
        payload["metadata"] = {name: value for name, value in metadata.items() if name != "tags"}
        if not payload["metadata"]:
            del payload["metadata"]
    elif isinstance(given, str):
        # OpenAI's metadata are texts, and stay what they are.
        given = given.split(",")
    return tuple(dict.fromkeys(found + _checked(given or [], "metadata.tags")))


def _checked(given: list[Any], name: str) -> list[str]:
    tags = [tag.strip() if isinstance(tag, str) else "" for tag in given]
    if len(tags) > MAX_TAGS or not all(map(_TAG.fullmatch, tags)):
        raise InvalidRequest(
            f"`{name}` must be up to {MAX_TAGS} tags with commas between them, each of 1 to {MAX_CHARACTERS} printable"
            " ASCII characters.",
            param=name,
        )
    return tags
