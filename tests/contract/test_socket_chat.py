"""Chat over a WebSocket, against the running gateway."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.calls import chat, records, set_up_calls
from tests.conftest import Workspace


def socket(server: str, key: str, **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return connect(f"{server.replace('http', 'ws')}/ws/chat", additional_headers=headers, **options)


def ask(connection: ClientConnection, message: Any) -> tuple[str, dict[str, Any]]:
    """The text, and the last message."""
    connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
    text = ""
    while True:
        said = json.loads(connection.recv())
        if "delta" not in said:
            return text, said
        text += said["delta"]


def test_tokens_come_piece_by_piece_and_again_from_the_cache(server: str, alice: Workspace) -> None:
    # A line separator of Unicode's ends no message.
    content = f"{uuid.uuid4().hex}\u2028end"
    with socket(server, alice.key) as connection:
        text, end = ask(connection, {"message": content})
        assert content in text and end["done"] and end["cache"] == "MISS"
        again, end = ask(connection, {"message": content})
        assert again == text and end["cache"] == "HIT-EXACT" and end["saved_usd"] > 0
    answer = chat(server, alice.key, "gpt-4o-mini", content)
    assert answer.headers["x-cache"] == "HIT-EXACT"
    assert [record.dialect for record in records(alice, 3)] == ["socket-chat", "socket-chat", "openai-chat"]


def test_a_browser_sends_its_key_as_a_subprotocol(server: str, alice: Workspace) -> None:
    protocols = [Subprotocol("nexus"), Subprotocol(alice.key)]
    with socket(server, "", subprotocols=protocols, origin="https://elsewhere.example") as connection:
        assert connection.subprotocol == "nexus"
        assert (ask(connection, {"message": "hello"}))[1]["done"]


@pytest.mark.parametrize("key", ["", "nk-abcdefghijkl-" + "x" * 43, "sk-other"])
def test_without_a_key_the_socket_closes_with_the_reason(server: str, key: str) -> None:
    with socket(server, key) as connection:
        said = json.loads(connection.recv())
        assert said["error"]["code"] in {"missing_api_key", "invalid_api_key"}
        with pytest.raises(ConnectionClosed):
            connection.recv()
        assert connection.close_code == 4401


@pytest.mark.parametrize(
    ("message", "param"),
    [("no JSON", None), (b"bytes", None), ({"message": ""}, "message"), ({"message": "a", "n": 2}, "n"), ([], None)],
)
def test_bad_messages_are_refused_and_the_socket_goes_on(
    server: str, alice: Workspace, message: Any, param: str | None
) -> None:
    with socket(server, alice.key) as connection:
        _, refused = ask(connection, message)
        assert refused["error"]["param"] == param and refused["request_id"]
        assert (ask(connection, {"message": "hello"}))[1]["done"]


def test_one_question_at_a_time(server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> None:
    with_provider(alice)
    with socket(server, alice.key) as connection:
        connection.send(json.dumps({"message": "a", "model": "long"}))
        connection.recv()
        connection.send(json.dumps({"message": "b", "model": "ok"}))
        while "error" not in (said := json.loads(connection.recv())):
            pass
        assert "One question at a time" in said["error"]["message"]


def test_who_closes_the_socket_has_left(
    server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    set_up_calls(with_provider(alice), on_disconnect="cancel")
    with socket(server, alice.key) as connection:
        connection.send(json.dumps({"message": "a", "model": "long"}))
        for _ in range(3):
            connection.recv()
    (record,) = records(alice, 1)
    assert record.status == 499 and record.billed_tokens > 0


def test_a_provider_that_breaks_off_is_told(
    server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    with_provider(alice)
    with socket(server, alice.key) as connection:
        assert (ask(connection, {"message": "a", "model": "cut"}))[1]["error"]["code"] == "provider_failed"
        assert (ask(connection, {"message": "b", "model": "ok"}))[1]["done"]
