"""The gateway as anybody outside sees it: HTTP and WebSockets at one address. Knows no canary."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import urllib.parse
from typing import Any, NamedTuple

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

TIMEOUT_S = 15.0
MOST_BYTES = 2_000_000


class Shut(Exception):
    """Nobody answers there, or not as a gateway does."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def all(self) -> str:
        return "\n".join([*(f"{name}: {value}" for name, value in self.headers.items()), self.text])

    def json(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise Shut(f"no JSON came: {self.text[:80]!r}") from error


class Door:
    """`host` is the name that the gateway is known by, where it is asked at another address without TLS."""

    def __init__(self, url: str, host: str = "") -> None:
        self._parts = urllib.parse.urlsplit(url)
        self._host = host if host and self._parts.scheme == "http" else self._parts.netloc
        if self._parts.scheme not in {"http", "https"} or not self._parts.hostname:
            raise Shut(f"{url} is no http address")

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """`body`: bytes as they are, anything else as JSON. Redirects are not followed. Raises Shut."""
        sent = {"User-Agent": "nexus-canary", "Host": self._host, **(headers or {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.request(method, self._parts.path.rstrip("/") + path, data, sent)
                response = connection.getresponse()
                text = response.read(MOST_BYTES).decode("utf-8", "replace")
                said = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, said, text)
        except (OSError, http.client.HTTPException) as error:
            raise Shut(f"{method} {path}: {error or type(error).__name__}") from error

    def talk(self, path: str, message: Any = None, words: tuple[str, ...] = ()) -> str:
        """What a WebSocket says to one message, or by itself, until its answer is complete. Raises Shut."""
        parts = self._parts
        url = f"{'wss' if parts.scheme == 'https' else 'ws'}://{self._host}{parts.path.rstrip('/')}{path}"
        spoken = [Subprotocol(word) for word in words] or None
        heard: list[str] = []
        try:
            address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
            line = socket.create_connection(address, timeout=TIMEOUT_S)
            origin = Origin(f"{parts.scheme}://{self._host}")
            with connect(url, sock=line, subprotocols=spoken, origin=origin, open_timeout=TIMEOUT_S) as talk:
                if message is not None:
                    talk.send(json.dumps(message))
                while len(heard) < 1_000:
                    heard.append(str(talk.recv(timeout=TIMEOUT_S if message is not None else 1.0)))
                    if '"done"' in heard[-1] or '"error"' in heard[-1]:
                        break
        except (WebSocketException, TimeoutError) as error:
            # Refused, closed, or silent: that is an answer, too.
            heard.append(type(error).__name__)
        except OSError as error:
            raise Shut(f"{path}: {error}") from error
        return "\n".join(heard)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
