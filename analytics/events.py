"""The usage event: what the data plane writes to Redis about one request, and the worker reads.

Stream fields: `e` the event as JSON; `m`, on exact hits only, the cache entry's description, copied by the same Lua
call that served it. `UsageEvent.read` joins both. Refused requests (4xx of the gateway) leave no event.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import orjson

HIT_EXACT, HIT_SEMANTIC, MISS, BYPASS, REFRESH = "HIT-EXACT", "HIT-SEMANTIC", "MISS", "BYPASS", "REFRESH"
OUTCOMES = (HIT_EXACT, HIT_SEMANTIC, MISS, BYPASS, REFRESH)
HITS = frozenset({HIT_EXACT, HIT_SEMANTIC})
# No request costs as much; what does not fit the tables' columns must not get there.
MAX_USD = Decimal(1_000_000)


class Malformed(ValueError):
    """An event that cannot be read; it goes to the dead letters."""


@dataclasses.dataclass(frozen=True, slots=True)
class UsageEvent:
    """`at` and `period` (its start) are seconds since 1970, UTC; `period` is that of admission.

    `prompt_tokens` and `completion_tokens` are the answer's, on hits too; `billed_tokens` count against the quota (0 on
    hits). `cost_usd` and `saved_usd` are None when the model has no known price. `catalog` and `upstream_model` name
    the price; `variant` is the target that an A/B route chose. `latency_ms` is up to the last byte, `first_token_ms` up
    to the first. In shadow mode `entry_id`, `similarity` and `shadow_saved_usd` tell of the answer that would have been
    given; None for the last also where nobody knows the price.
    """

    id: str
    request_id: str
    tenant_id: int
    key_id: int
    at: float
    period: int
    dialect: str
    outcome: str
    model: str
    status: int = 200
    stream: bool = False
    coalesced: bool = False
    error: str = ""
    provider: str = ""
    simulated: bool = False
    catalog: str = ""
    upstream_model: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    billed_tokens: int = 0
    cost_usd: Decimal | None = None
    saved_usd: Decimal | None = None
    latency_ms: float = 0.0
    first_token_ms: float | None = None
    provider_ms: float | None = None
    similarity: float | None = None
    entry_id: str | None = None
    variant: str = ""
    stale: bool = False
    shadow_saved_usd: Decimal | None = None
    token_details: dict[str, int] | None = None
    tags: list[str] | None = None
    paid_by_platform: bool = False
    # The span that it was written in, as W3C's `traceparent`.
    trace: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of the requests that quota, ledger and rollups count: answered, if only the first half."""
        return self.status < 400 or self.billed_tokens > 0

    def write(self) -> bytes:
        """As JSON; money as text."""
        return orjson.dumps(self, default=str)

    @classmethod
    def read(cls, fields: dict[bytes, bytes]) -> UsageEvent:
        """Raises `Malformed`. On an exact hit the answer's own facts come from the entry's description."""
        try:
            event: dict[str, Any] = orjson.loads(fields[b"e"])
            if meta := fields.get(b"m"):
                event |= {name: value for name, value in orjson.loads(meta).items() if name in META_FIELDS}
            event = {name: value for name, value in event.items() if name in _NAMES}
            for name in ("cost_usd", "saved_usd", "shadow_saved_usd"):
                if event.get(name) is not None:
                    event[name] = Decimal(event[name])
            read = cls(**event)
            _check(read)
            return read
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, OSError) as error:
            raise Malformed(str(error)) from error


def _check(event: UsageEvent) -> None:
    """Raises what `read` makes Malformed of: one event that cannot be booked must not hold up the others."""
    for name, kind in _TYPES.items():
        if not isinstance(getattr(event, name), kind):
            raise TypeError(f"{name} is not of type {kind}")
    if not all(type(tokens) is int for tokens in (event.token_details or {}).values()):
        raise TypeError("token_details are not all whole numbers")
    uuid.UUID(event.id)
    if event.entry_id is not None:
        uuid.UUID(event.entry_id)
    for seconds in (event.at, event.period):
        dt.datetime.fromtimestamp(seconds, dt.UTC)
    for usd in (event.cost_usd, event.saved_usd, event.shadow_saved_usd):
        if usd is not None and not (usd.is_finite() and abs(usd) < MAX_USD):
            raise ValueError(f"{usd} USD is no price of a request")


_NAMES = frozenset(f.name for f in dataclasses.fields(UsageEvent))
_NUMBER, _MAYBE_NUMBER = (int, float), (int, float, type(None))
_TYPES: dict[str, Any] = {
    "id": str, "request_id": str, "tenant_id": int, "key_id": int, "at": _NUMBER, "period": int, "dialect": str,
    "outcome": str, "model": str, "status": int, "stream": bool, "coalesced": bool, "error": str, "provider": str,
    "simulated": bool, "catalog": str, "upstream_model": str, "prompt_tokens": int, "cached_tokens": int,
    "completion_tokens": int, "billed_tokens": int, "latency_ms": _NUMBER, "first_token_ms": _MAYBE_NUMBER,
    "provider_ms": _MAYBE_NUMBER, "similarity": _MAYBE_NUMBER, "entry_id": (str, type(None)),
    "variant": str, "stale": bool, "token_details": (dict, type(None)), "tags": (list, type(None)),
    "paid_by_platform": bool, "trace": (str, type(None)),
}  # fmt: skip
# What an exact entry's description says about its answer, under the event's own names.
META_FIELDS = frozenset(
    {
        "provider", "simulated", "catalog", "upstream_model", "prompt_tokens", "cached_tokens", "completion_tokens",
        "token_details", "entry_id",
    }
)  # fmt: skip
