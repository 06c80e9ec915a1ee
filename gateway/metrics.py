"""What Prometheus is told, by name. Counted where it happens; `gateway.scrape` shows it. Labels have few values:
never a tenant, a key or a text.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

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
