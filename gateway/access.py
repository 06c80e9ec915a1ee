"""The access log: one line of JSON for each request, on standard output. Refuses prompts, answers, secrets, query
strings; of a client's own text it has the model's name and the request's id, both bounded.

A visit is put in line, and written by a thread within 100 ms: the event loop waits for no pipe, and formats nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import stat
import sys
import threading
import time
from collections import deque
from decimal import Decimal
from typing import Any

import orjson
from django.conf import settings

from tenants.visits import Finisher, Visit

FLUSH_S = 0.1
# Of a reader that does not read, this many lines are kept; then they are counted.
MOST_WAITING = 50_000
# POSIX: no more than this is written to a pipe in one piece, where several processes write to it.
PIPE_BYTES = 4096
TEXT_CHARACTERS = 128


class Writer:
    """Lines in the order in which requests ended. Takes them from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[Visit] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._awake = False
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, visit: Visit) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(visit)
        if not self._awake:
            self._awake = True
            self._wake.set()
            if self._thread is None:
                # With the first line: a process that forks before would leave its thread behind.
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Writes what is waiting, on the caller's thread."""
        with self._writing:
            waiting = self._waiting
            # From the clock that visits have to that of people.
            offset = time.time() - time.perf_counter()
            lines: list[bytes] = []
            with contextlib.suppress(IndexError):
                while True:
                    lines.append(line_of(waiting.popleft(), offset))
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                lines.append(orjson.dumps({"log": "access", "at": _moment(time.time()), "dropped": dropped}))
            for piece in _pieces(lines, _limit_of(self._descriptor)):
                _write(self._descriptor, piece)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            time.sleep(FLUSH_S)
            # Before it looks: who comes after wakes it again.
            self._awake = False
            with contextlib.suppress(OSError):
                self.flush()


def _limit_of(descriptor: int) -> int:
    """The most bytes that reach it in one piece."""
    try:
        kept_whole = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        kept_whole = False
    return 1 << 20 if kept_whole else PIPE_BYTES


def _pieces(lines: list[bytes], limit: int) -> list[bytes]:
    """Whole lines, as many together as `limit` has room for."""
    pieces: list[bytes] = []
    begun: list[bytes] = []
    size = 0
    for line in lines:
        if begun and size + len(line) + 1 > limit:
            pieces.append(b"\n".join([*begun, b""]))
            begun, size = [], 0
        begun.append(line)
        size += len(line) + 1
    if begun:
        pieces.append(b"\n".join([*begun, b""]))
    return pieces


def _write(descriptor: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]


def line_of(visit: Visit, offset: float = 0.0) -> bytes:
    """What nobody came to know is left out. `offset`: seconds from its clock to that of people."""
    facts: dict[str, Any] = {
        "log": "access",
        "at": _moment(visit.started + offset),
        "request_id": visit.request_id,
        "method": visit.method,
        "route": visit.route,
        "status": visit.status,
        "ms": round(visit.duration_s * 1000, 3),
        "bytes": visit.bytes_sent,
    }
    if visit.key:
        facts["tenant"], facts["key"] = visit.tenant_id, visit.key
    elif visit.tenant_id is not None:
        facts["tenant"] = visit.tenant_id
    if visit.dialect:
        facts["dialect"] = visit.dialect
    if visit.model:
        facts["model"] = visit.model[:TEXT_CHARACTERS]
    if visit.outcome:
        _tell_outcome(visit, facts)
    if visit.error:
        facts["error"] = visit.error[:TEXT_CHARACTERS]
    if visit.streamed:
        facts["streamed"] = True
        if visit.first_byte_s is not None:
            facts["first_byte_ms"] = round(visit.first_byte_s * 1000, 3)
    if visit.client_left:
        facts["client_left"] = True
    if visit.trace is not None:
        facts["trace_id"] = visit.trace.id
    try:
        return orjson.dumps(facts)
    except orjson.JSONEncodeError:
        # Half a character, which JSON may hold and UTF-8 may not.
        return orjson.dumps({name: _fit(value) for name, value in facts.items()})


def _tell_outcome(visit: Visit, facts: dict[str, Any]) -> None:
    facts["outcome"] = visit.outcome
    facts["provider"] = visit.provider[:TEXT_CHARACTERS]
    facts["upstream_model"] = visit.upstream_model[:TEXT_CHARACTERS]
    if visit.provider_s is not None:
        facts["provider_ms"] = round(visit.provider_s * 1000, 3)
    if visit.prompt_tokens is not None:
        facts["prompt_tokens"], facts["completion_tokens"] = visit.prompt_tokens, visit.completion_tokens
    if visit.cost_usd is not None:
        facts["cost_usd"] = _usd(visit.cost_usd)
    if visit.saved_usd is not None:
        facts["saved_usd"] = _usd(visit.saved_usd)
    if visit.coalesced:
        facts["coalesced"] = True
    if visit.replayed:
        facts["replayed"] = True
    if visit.simulated:
        facts["simulated"] = True


def _fit(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _usd(amount: Decimal) -> str:
    """Exact, and without an exponent: programs that add it up read a decimal."""
    return "0" if not amount else f"{amount:.10f}".rstrip("0").rstrip(".")


_second, _second_text = 0, ""


def _moment(at: float) -> str:
    """UTC, with milliseconds. The text of a second is made once."""
    global _second, _second_text
    whole = int(at)
    if whole != _second:
        _second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        _second = whole
    return f"{_second_text}.{int((at - whole) * 1000):03d}Z"


_writer = Writer(sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)


def finisher() -> Finisher | None:
    """What NEXUS_ACCESS_LOG wants to be called with each visit that has ended (tenants.visits)."""
    return {"all": _writer.put, "errors": _put_what_went_wrong}.get(settings.ACCESS_LOG)


def _put_what_went_wrong(visit: Visit) -> None:
    if went_wrong(visit):
        _writer.put(visit)


def went_wrong(visit: Visit) -> bool:
    return visit.status >= 400 or bool(visit.error) or visit.client_left


def flush() -> None:
    with contextlib.suppress(OSError):
        _writer.flush()


atexit.register(flush)
