"""One HTTP request as it is told afterwards: to the access log, to metrics, to traces. Made at the edge, filled by the
steps as they come to know, finished exactly once. Owns no text of a client: never a prompt, an answer or a secret.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest

    from tenants.tracing import Trace

logger = logging.getLogger(__name__)

# Where the edge puts it in the ASGI scope, for Django's views.
IN_SCOPE = "nexus.visit"
# nginx' word for a client that left before it was answered.
CLIENT_LEFT = 499


class Visit:
    """Of what nobody came to know, the value is empty, or None."""

    # Address and port of who connected, as ASGI has it: a proxy's, where there is one.
    client: tuple[str, int] | None = None
    dialect = ""
    # None: this request is not traced.
    trace: Trace | None = None
    tenant_id: int | None = None
    # Public id of the API key.
    key = ""
    # As it was asked for, and as it answered. The first is the client's own text.
    model = ""
    upstream_model = ""
    provider = ""
    simulated = False
    # X-Cache.
    outcome = ""
    coalesced = False
    # The answer that the first request with the same Idempotency-Key had.
    replayed = False
    # 0: nothing was sent.
    status = 0
    error = ""
    provider_s: float | None = None
    first_byte_s: float | None = None
    duration_s = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    saved_usd: Decimal | None = None
    bytes_sent = 0
    streamed = False
    client_left = False
    finished = False

    def __init__(self, request_id: str = "", method: str = "", route: str = "") -> None:
        # The rest are the class' until somebody knows better: thirty assignments would cost each request more.
        self.started = time.perf_counter()
        self.request_id = request_id
        self.method = method
        # A path's template, one of a known set.
        self.route = route

    def elapsed_s(self) -> float:
        return time.perf_counter() - self.started


# For code that is not handed one: Django's views, log records, libraries. Steps of the pipeline are handed theirs.
CURRENT: ContextVar[Visit | None] = ContextVar("nexus_visit", default=None)


def of(request: HttpRequest) -> Visit | None:
    """None for one that did not come by the edge."""
    scope: dict[str, Any] = getattr(request, "scope", {})
    return scope.get(IN_SCOPE)


Finisher = Callable[[Visit], None]
_finishers: list[Finisher] = []
_under_way = 0


def under_way() -> int:
    """How many have begun in this process, and not ended."""
    return _under_way


def on_finish(finisher: Finisher) -> None:
    """Called with each visit when it has ended, in the order of registration; once, however often registered."""
    if finisher not in _finishers:
        _finishers.append(finisher)


def begin(request_id: str, method: str, route: str) -> Visit:
    global _under_way
    _under_way += 1
    visit = Visit(request_id, method, route)
    CURRENT.set(visit)
    return visit


def finish(visit: Visit) -> None:
    """Only the first time counts. Nobody is told of a finisher's failure but the log: the answer is sent."""
    global _under_way
    if visit.finished:
        return
    visit.finished = True
    _under_way -= 1
    visit.duration_s = time.perf_counter() - visit.started
    if not visit.status:
        visit.status = CLIENT_LEFT
        visit.client_left = True
    for finisher in _finishers:
        try:
            finisher(visit)
        except Exception:
            logger.exception("request %s is not told to %s", visit.request_id, finisher)
