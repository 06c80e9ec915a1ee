"""The values that go down one call. No behaviour beyond reading themselves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson

from billing.accounts import Account
from billing.quota import NO_WINDOW, Held, Window
from gateway.cache import fingerprint
from gateway.cache.policy import OwnRule
from gateway.redaction import Redaction
from tenants.principal import Principal
from tenants.visits import Visit

Headers = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """What goes back to the client. A stream's iterator must be exhausted or closed."""

    status: int
    headers: Headers
    body: bytes | AsyncIterator[bytes]


class Usage(NamedTuple):
    """All tokens are prompt's or completion's. `token_details` names those among them that may have a price of their
    own: `cached` (which `cached_tokens` says again) and billing.pricing.APART; None when there are none.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    token_details: dict[str, int] | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclasses.dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request of any dialect, as OpenAI Chat Completions has it.

    `payload` is what the client sent (or what its dialect makes of it): unknown fields are in it, and go upstream.
    `question` is the last user text when it alone can be compared by meaning, else None.
    `echo` is what an answer in this dialect says again of its request; it does not go upstream.
    """

    payload: dict[str, Any]
    model: str
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    n: int = 1
    prompt_tokens: int = 0
    question: str | None = None
    echo: dict[str, Any] = dataclasses.field(default_factory=dict)


class Sampling(NamedTuple):
    """The share of each kind of the semantic tier's finds that is put aside to be judged."""

    hits: float
    near_misses: float
    shadow: float


@dataclasses.dataclass(frozen=True, slots=True)
class CacheRules:
    """What this call may do with the cache: the tenant's settings, narrowed by the request."""

    read_exact: bool = True
    read_semantic: bool = True
    write: bool = True
    # Whether the semantic tier has a part in this at all.
    semantic: bool = True
    # The semantic tier looks and reports, and does not answer.
    shadow: bool = False
    max_age_s: float | None = None
    only_if_cached: bool = False
    threshold: float = 0.85
    ttl_s: int = 7 * 86400
    # How long past its time an answer is kept, and how long past it this request takes it when the provider fails.
    keep_stale_s: int = 0
    accept_stale_s: int = 0
    namespace: str = ""
    per_end_user: bool = False
    tags: tuple[str, ...] = ()
    own: tuple[OwnRule, ...] = ()
    sampling: Sampling | None = None
    # What is taken out of texts before they are kept; None: nothing.
    redaction: Redaction | None = None
    # What an answer from the provider is called: MISS, BYPASS or REFRESH.
    fresh_outcome: str = "MISS"


@dataclasses.dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A provider as the tenant set it up, or the platform's. `api_key` is in the clear here, and only here."""

    name: str
    kind: str
    base_url: str = ""
    api_key: str = dataclasses.field(default="", repr=False)
    catalog: str = "openai"
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    # Whose it is: a tenant's own ("t12"), or the platform's ("").
    owner: str = ""
    max_concurrency: int | None = None
    # Another one when it is called in another way: what is known of the old way says nothing of the new one.
    version: str = ""

    @property
    def first_byte_timeout_s(self) -> float | None:
        """Its own, if it has one."""
        value = self.settings.get("first_byte_timeout_s")
        return float(value) if isinstance(value, int | float) and value > 0 else None

    @property
    def simulated(self) -> bool:
        return self.kind == "simulated"

    @property
    def on_platform(self) -> bool:
        """Whether the platform's own account pays for its answers."""
        return not self.owner and not self.simulated


class CallDefaults(NamedTuple):
    """The tenant's row of CallSettings, or these values when there is none."""

    on_disconnect: str = "drain"
    drain_limit_s: int = 60


class Candidate(NamedTuple):
    """One way to get an answer: a provider and the model to ask it for."""

    provider: ProviderConfig
    model: str


class Plan(NamedTuple):
    """Who may answer, in the order in which to ask them.

    `ways` (provider, model) are those whose answers count as the same; `variant` is the one that an A/B route chose.
    """

    candidates: tuple[Candidate, ...]
    ways: tuple[tuple[str, str], ...]
    variant: str = ""
    hedge_after_s: float | None = None


class Meta(NamedTuple):
    """Where an answer came from and what it cost: kept with every cached answer (analytics.events.META_FIELDS)."""

    entry_id: str
    created_at: float
    provider: str
    simulated: bool
    catalog: str
    upstream_model: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    token_details: dict[str, int] | None = None

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_tokens, self.cached_tokens, self.completion_tokens, self.token_details)

    def facts(self) -> dict[str, Any]:
        """Without what most answers do not have."""
        facts = self._asdict()
        if self.token_details is None:
            del facts["token_details"]
        return facts

    def write(self) -> bytes:
        return orjson.dumps(self.facts())

    @classmethod
    def read(cls, data: bytes | dict[str, Any]) -> Meta:
        facts = data if isinstance(data, dict) else orjson.loads(data)
        try:
            return cls(**facts)
        except TypeError:
            # A newer version has written it.
            return cls(**{name: value for name, value in facts.items() if name in cls._fields})


@dataclasses.dataclass(slots=True)
class Call:
    """One admitted request on its way. Made at the edge; what admission adds is in `hold` and `window`."""

    id: str
    request_id: str
    dialect: Any
    principal: Principal
    account: Account
    request: ChatRequest
    rules: CacheRules
    plan: Plan
    calls: CallDefaults
    fingerprint: str
    # With the end user's, where one's answers are not another's.
    namespace: str = ""
    # A digest of whom the app names as its user, or empty.
    end_user: str = ""
    # Where Redis keeps the answer for who sends the same Idempotency-Key again.
    idempotency_key: str | None = None
    # As the app names them, to add costs up by.
    tags: tuple[str, ...] = ()
    # high, default or low: who gets a provider's place first.
    priority: str = "default"
    # What is told of the request afterwards.
    visit: Visit = dataclasses.field(default_factory=Visit)
    started: float = dataclasses.field(default_factory=time.perf_counter)
    at: float = dataclasses.field(default_factory=time.time)
    held: Held | None = None
    # The most that a prompt token and a completion token may cost, in units; None: unknown, or nobody asks.
    unit_costs: tuple[int, int] | None = None
    completion_cap: int | None = None
    window: Window = NO_WINDOW
    first_token_ms: float | None = None
    _scope: str | None = None

    @property
    def scope(self) -> str | None:
        """Made when it is first asked for: exact hits do without. None: never compared by meaning."""
        if self._scope is None and self.rules.semantic:
            self._scope = fingerprint.scope(self.request, self.plan.ways, self.namespace)
        return self._scope

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    @property
    def day(self) -> int:
        """Since 1970, UTC: on which its cost is booked."""
        return int(self.at) // 86400

    @property
    def when(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.at, dt.UTC)
