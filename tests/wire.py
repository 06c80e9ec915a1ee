"""Requests written byte by byte, as no client library would send them."""

from __future__ import annotations

import http.client
import socket
import urllib.parse
from typing import NamedTuple

import orjson


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def head(path: str, key: str, *lines: bytes, method: str = "POST") -> bytes:
    first = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Authorization: Bearer " + key.encode()]
    return b"\r\n".join([*first, *lines, b"", b""])


def whole(path: str, key: str, body: bytes, *lines: bytes) -> bytes:
    """A request with a body of JSON, unless `lines` say another type."""
    if not any(line.lower().startswith(b"content-type:") for line in lines):
        lines = (b"Content-Type: application/json", *lines)
    return head(path, key, b"Content-Length: %d" % len(body), *lines) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def send(server: str, *blocks: bytes, patience_s: float = 30) -> Answer:
    at = urllib.parse.urlsplit(server)
    with socket.create_connection((at.hostname, at.port or 80), timeout=patience_s) as connection:
        for block in blocks:
            connection.sendall(block)
        # The answer to a HEAD has no body, whatever its Content-Length says.
        response = http.client.HTTPResponse(connection, method=blocks[0].split(b" ", 1)[0].decode())
        response.begin()
        return Answer(response.status, response.msg, response.read())


# --- errors ----------------------------------------------------------------------------------------------------------

_DETAILS = {"message", "type", "param", "code"}


def check_refusal(path: str, answer: Answer, status: int, names: str = "") -> None:
    """In the envelope of the path's dialect; the field that is wrong is named where there is a place for it."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = orjson.loads(answer.body)
    if path == "/v1/chat":
        assert body.keys() == {"message"}
        message, param = body["message"], None
    elif path == "/v1/messages":
        assert body.keys() == {"type", "error", "request_id"} and body["type"] == "error"
        assert body["request_id"] == answer.headers["x-request-id"]
        assert body["error"].keys() == {"type", "message"}
        message, param = body["error"]["message"], None
    else:
        assert body.keys() == ({"error", "request_id"} if path in {"/api/chat", "/chat"} else {"error"})
        assert body["error"].keys() == _DETAILS
        message, param = body["error"]["message"], body["error"]["param"]
        assert not names or param == names, body
    assert message and (not names or names in message or param == names), body
