"""What Prometheus is told, by name. Counted where it happens; `gateway.scrape` shows it; docs/metrics.md explains it.

Labels have few values (gateway.labels): never a tenant, a key or a text. What every request adds to is a tally of this
process; what is rarer, and counted in workers and embedders as well, is the library's own counter.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from gateway.tallies import Book

EMBEDDING_REQUESTS = Counter(
    "nexus_embedding_requests",
    "Texts that were to be embedded: ok, timeout, unavailable, garbage, refused (the model cannot read the text "
    "whole), rejected (nobody was asked: too many wait, or it failed too often just now).",
    ["embedder", "result"],
)
EMBEDDING_SECONDS = Histogram(
    "nexus_embedding_seconds",
    "From asking for a vector to having it, or an error.",
    ["embedder"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
)
SEMANTIC_SKIPPED = Counter(
    "nexus_semantic_skipped", "Calls that were answered without the semantic tier, by reason.", ["reason"]
)
CACHE_ROWS_LOST = Counter(
    "nexus_cache_rows_lost",
    "Answers that are in Redis, and have no row in Postgres: waiting (too many did), database (away, or refused them).",
    ["reason"],
)

# From a hit's half millisecond to the deadline of a call.
REQUEST_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
)  # fmt: skip
OVERHEAD_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
PROVIDER_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0, 120.0)
LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

BOOK = Book()

HTTP_REQUESTS = BOOK.tally(
    "http_requests", "Requests that have ended; status 499: the client left first.", ("method", "route", "status")
)
HTTP_SECONDS = BOOK.spread(
    "http_request_duration_seconds",
    "From the first byte of a request to the last of its answer; cache: exact, semantic, miss, bypass, refresh, none.",
    REQUEST_S,
    ("method", "route", "cache"),
)
CALLS = BOOK.tally(
    "nexus_calls", "Calls of the data plane that have ended, by the words of X-Cache.", ("dialect", "cache")
)
CACHE_HITS = BOOK.tally("cache_hit", "Calls answered from the cache.", ("tier",))
COALESCED = BOOK.tally("nexus_coalesced", "Of the hits, those that shared another call's answer while it came.")
SAVED_USD = BOOK.tally("nexus_saved_usd", "USD at today's prices that hits did not cost.", ("tier",))
FIRST_BYTE_SECONDS = BOOK.spread(
    "nexus_first_token_seconds",
    "Of streamed answers: from the first byte of the request to the first of the answer.",
    REQUEST_S,
    ("cache",),
)
OVERHEAD_SECONDS = BOOK.spread(
    "nexus_overhead_seconds",
    "What the gateway itself takes of a call: without the time in which providers were waited for.",
    OVERHEAD_S,
    ("cache",),
)
TOKENS = BOOK.tally(
    "llm_tokens", "Tokens of providers' answers; kind: prompt or completion.", ("provider", "model", "kind")
)
COSTS = BOOK.tally("llm_costs", "USD that providers' answers cost.", ("provider", "model"))
UNPRICED = BOOK.tally("nexus_unpriced", "Providers' answers of which nobody knows the price.", ("provider", "model"))
PROVIDER_CALLS = BOOK.tally(
    "nexus_provider_attempts", "What providers were asked, each attempt by itself.", ("provider", "model")
)
PROVIDER_ERRORS = BOOK.tally(
    "provider_errors", "Attempts that failed, by the code of the error.", ("provider", "model", "error")
)
PROVIDER_SECONDS = BOOK.spread(
    "nexus_provider_seconds", "A provider's answers, from asking to their end.", PROVIDER_S, ("provider", "model")
)
PROVIDER_FIRST_SECONDS = BOOK.spread(
    "nexus_provider_first_token_seconds",
    "A provider's streams, from asking to the first piece.",
    PROVIDER_S,
    ("provider", "model"),
)
RETRIES = BOOK.tally("nexus_retries", "Attempts after the first at the same provider.", ("provider",))
FAILOVERS = BOOK.tally("nexus_failovers", "Answers of a provider that was not the first of the route.", ("provider",))
HEDGES = BOOK.tally("nexus_hedges", "Providers asked because another had not begun to answer in time.", ("provider",))
STALE = BOOK.tally("nexus_stale_answers", "Answers past their time, in place of a provider that failed.")
FEEDBACK = BOOK.tally(
    "nexus_feedback", "What apps and people reported on cached answers: right or wrong.", ("verdict",)
)
GUARD_REFUSALS = BOOK.tally(
    "nexus_guard_refusals", "Cached answers that were similar enough, and were refused by a guard.", ("guard",)
)
LIMITS_REFUSED = BOOK.tally(
    "nexus_limits_refused", "Calls refused by a limit: what it counts, over which time, whose it is.",
    ("limit", "per", "scope"),
)  # fmt: skip
LOOP_LAG_SECONDS = BOOK.spread(
    "nexus_event_loop_lag_seconds", "By how much a process comes late to what it planned; looked at 4 times a second.",
    LAG_S,
)  # fmt: skip
WEBSOCKETS = BOOK.tally("nexus_websocket_connections", "WebSockets that were opened.", ("route",))
