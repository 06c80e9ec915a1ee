"""The same question as each of the chat endpoints wants it."""

from __future__ import annotations

from typing import Any


def body_of(path: str, content: str, model: str = "gpt-4o-mini", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content}]
    if path == "/v1/messages":
        return {"model": model, "max_tokens": 500, "messages": messages, **more}
    if path == "/v1/responses":
        return {"model": model, "input": content, **more}
    if path == "/v1/chat":
        return {"model": model, "prompt": content, **more}
    if path in {"/api/chat", "/chat"}:
        return {"model": model, "message": content, **more}
    return {"model": model, "messages": messages, **more}
