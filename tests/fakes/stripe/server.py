"""The ASGI application: keys, idempotency, injected failures, the error envelope; then routes, pages or controls."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections import Counter
from typing import Any, NamedTuple

import orjson
import stripe

from nexus.bench.provider import body_of
from tests.fakes.http import Header, send_bytes
from tests.fakes.stripe import clock, control, form, hosted, parameters, routes
from tests.fakes.stripe.account import Account, random_text
from tests.fakes.stripe.faults import Fault, Object, invalid, reused_key, unauthorized
from tests.fakes.stripe.rendering import shown
from tests.fakes.stripe.webhooks import Deliveries

LARGEST_BODY = 1_000_000
LONGEST_KEY = 255
CALLS_KEPT = 5000
_API_KEY = re.compile(r"^(sk|rk)_test_\w+$", re.ASCII)
_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}(\.[a-z_]+)?$")
# Stripe keeps an answer for a key when the call had begun: not one whose parameters were refused.
_KEPT_STATUSES = frozenset({200, 402, 500})


class Answered(NamedTuple):
    fingerprint: tuple[str, str, bytes]
    status: int
    body: bytes


class Failure(NamedTuple):
    """How the next calls are to fail."""

    status: int
    path: str
    hang_s: float
    after: bool


class Server:
    def __init__(self) -> None:
        self.account = Account()
        self.deliveries = Deliveries(self.account)
        self.clear()

    def clear(self) -> None:
        self.account.clear()
        self.deliveries.forget()
        self.answered: dict[str, Answered] = {}
        self.failures: list[Failure] = []
        self.calls: list[Object] = []
        self.counts: Counter[str] = Counter()

    async def __call__(self, scope: Object, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        self.account.tick()
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.account.url = f"{scope['scheme']}://{headers.get('host', '127.0.0.1')}"
        path = scope["path"]
        if path.startswith("/_fake/"):
            return await control.answer(self, scope, body, send)
        if path.startswith("/v1/"):
            return await self._answer_call(scope, headers, body, send)
        clock.catch_up(self.account)
        await hosted.answer(self.account, scope, body, send)
        self.deliveries.collect()

    async def _answer_call(self, scope: Object, headers: dict[str, str], body: bytes, send: Any) -> None:
        request_id = f"req_{random_text(14)}"
        status, answer, more = await self._call(scope, headers, body, request_id)
        self._log(scope, body, status, request_id)
        sent: list[Header] = [(b"request-id", request_id.encode()), *more]
        sent.append((b"stripe-version", headers.get("stripe-version", stripe.api_version).encode()))
        if "idempotency-key" in headers:
            sent.append((b"idempotency-key", headers["idempotency-key"].encode("latin-1")))
        if 400 <= status < 500:
            sent.append((b"stripe-should-retry", b"false"))
        await send_bytes(send, status, answer, *sent)

    async def _call(
        self, scope: Object, headers: dict[str, str], body: bytes, request_id: str
    ) -> tuple[int, bytes, list[Header]]:
        failure = self._next_failure(scope["path"])
        if failure and failure.hang_s:
            await asyncio.sleep(failure.hang_s)
        if failure and not failure.after:
            return failure.status, _injected(failure.status), []
        try:
            _require_key(headers)
            _require_version(headers)
            if len(body) > LARGEST_BODY:
                raise invalid("Request body is too large.", status=413)
            key = headers.get("idempotency-key") if scope["method"] == "POST" else None
            status, answer, more = self._once(key, scope, body, request_id)
        except Fault as fault:
            status, answer, more = fault.status, _envelope(fault), []
        if failure and failure.after:
            return failure.status, _injected(failure.status), []
        return status, answer, more

    def _once(self, key: str | None, scope: Object, body: bytes, request_id: str) -> tuple[int, bytes, list[Header]]:
        """Carries the call out; a second time with the same key it only repeats what was answered."""
        fingerprint = (scope["method"], scope["path"], body)
        if key is not None and len(key) > LONGEST_KEY:
            raise invalid(f"Idempotency keys have at most {LONGEST_KEY} characters.", "Idempotency-Key")
        if key is not None and key in self.answered:
            before = self.answered[key]
            if before.fingerprint != fingerprint:
                raise reused_key(key)
            return before.status, before.body, [(b"idempotent-replayed", b"true")]
        self.account.request = {"id": request_id, "idempotency_key": key}
        try:
            status, answer = 200, orjson.dumps(self._carry_out(scope, body))
        except Fault as fault:
            status, answer = fault.status, _envelope(fault)
        self.account.request = {"id": None, "idempotency_key": None}
        if key is not None and status in _KEPT_STATUSES:
            self.answered[key] = Answered(fingerprint, status, answer)
        return status, answer, []

    def _carry_out(self, scope: Object, body: bytes) -> Object:
        clock.catch_up(self.account)
        method, path = scope["method"], scope["path"]
        found = routes.find(method, path)
        if found is None:
            message = f"Unrecognized request URL ({method}: {path}). The fake serves only a part of Stripe's API."
            raise invalid(message, status=404)
        route, ids = found
        text = scope["query_string"] if method in ("GET", "DELETE") else body
        given = parameters.checked(form.decoded(text.decode("utf-8", "replace")), route.parameters)
        try:
            made = route.answer(self.account, given, *ids)
            # What a preview made no longer exists: it has expanded itself.
            return shown(self.account, made, [] if path.endswith("/create_preview") else given.get("expand"))
        finally:
            self.deliveries.collect()

    def _next_failure(self, path: str) -> Failure | None:
        for index, failure in enumerate(self.failures):
            if path.startswith(failure.path):
                return self.failures.pop(index)
        return None

    def _log(self, scope: Object, body: bytes, status: int, request_id: str) -> None:
        call = f"{scope['method']} {scope['path']}"
        self.counts[re.sub(r"/[a-z]+_[A-Za-z0-9_]{14,}", "/*", call)] += 1
        del self.calls[:-CALLS_KEPT]
        given = (body or scope["query_string"]).decode("utf-8", "replace")
        self.calls.append({"call": call, "given": given, "status": status, "request": request_id})


def _require_key(headers: dict[str, str]) -> None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            value = ""
    if not value:
        raise unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if not _API_KEY.match(value.strip()):
        raise unauthorized(f"Invalid API Key provided: {value[:8]}*** (the fake takes sk_test_ keys only)")


def _require_version(headers: dict[str, str]) -> None:
    version = headers.get("stripe-version", stripe.api_version)
    if not _VERSION.match(version):
        raise invalid(f"Invalid Stripe API version: {version[:60]}")


def _envelope(fault: Fault) -> bytes:
    return orjson.dumps({"error": fault.error}, option=orjson.OPT_INDENT_2)


def _injected(status: int) -> bytes:
    return orjson.dumps({"error": {"type": "api_error", "message": f"An injected failure: {status}."}})


application = Server()
