"""Every Redis key of the gateway is built here, and nowhere else.

A tenant's keys share the hash tag of its partition, so that one Lua script touches one slot of a Redis Cluster and
usage flows through `PARTITIONS` streams instead of one a tenant.
"""

from __future__ import annotations

PARTITIONS = 64
# One channel for all processes: the message names what to forget (see tenants.principal).
REVOCATIONS = "nexus:revocations"


def partition(tenant_id: int) -> int:
    return tenant_id % PARTITIONS


def _prefix(tenant_id: int) -> str:
    return f"{{p{partition(tenant_id)}}}:t{tenant_id}:"


def usage_stream(partition: int) -> str:
    return f"{{p{partition}}}:usage"


def dead_letters_of(stream: str) -> str:
    """Where the events of a usage stream go that cannot be booked."""
    return f"{stream}:dead"


def quota(tenant_id: int, period: str) -> str:
    """Hash: used and held requests and tokens of one billing period, for the tenant and for each of its keys."""
    return f"{_prefix(tenant_id)}q:{period}"


def holds(tenant_id: int, period: str) -> str:
    """Sorted set: the holds of one billing period by the time they expire."""
    return f"{_prefix(tenant_id)}h:{period}"


def rates(tenant_id: int) -> str:
    """Hash: the sliding windows of the tenant and of each of its keys."""
    return f"{_prefix(tenant_id)}r"


def settled(tenant_id: int, hold_id: str) -> str:
    return f"{_prefix(tenant_id)}s:{hold_id}"


def answer(tenant_id: int, fingerprint: str) -> str:
    """Hash: one exact cache entry, `m` its description and `b` the answer's body; `p` where people have pinned it."""
    return f"{_prefix(tenant_id)}x:{fingerprint}"


def breaker(owner: str, provider: str, model: str) -> str:
    """Hash: the circuit breaker of a provider and model. `owner` is "t<tenant id>", or "" for the platform."""
    return f"{breakers(owner)}{provider}/{model}"


def breakers(owner: str) -> str:
    """What the names of all of an owner's breakers begin with."""
    return f"{_owned(owner)}b:"


def slots(owner: str, provider: str) -> list[str]:
    """Sorted sets: the calls at a provider, those that wait for a place, and when they count as gone."""
    # One hash tag for all three, also where the platform owns them.
    prefix = f"{_owned(owner)}c:{provider}" if owner else f"{{nexus:c:{provider}}}"
    return [f"{prefix}:in", f"{prefix}:waiting", f"{prefix}:seen"]


def idempotent(tenant_id: int, digest: str) -> str:
    """Hash: what a request with an Idempotency-Key was, and its answer once there is one."""
    return f"{_prefix(tenant_id)}i:{digest}"


def embedding(tenant_id: int, digest: str) -> str:
    """Text: one vector of the exact cache of /v1/embeddings, as JSON."""
    return f"{_prefix(tenant_id)}e:{digest}"


def _owned(owner: str) -> str:
    return _prefix(int(owner.removeprefix("t"))) if owner else "nexus:"


def tenant_pattern(tenant_id: int) -> str:
    """Matches all of a tenant's keys, for SCAN when the tenant is deleted."""
    return f"{{p{partition(tenant_id)}}}:t{tenant_id}:*".replace("[", "\\[")


def registrations(address: str) -> str:
    return f"nexus:registrations:{address}"


def provider_tests(tenant_id: int) -> str:
    """Count: how often the tenant has tested its providers in this minute."""
    return f"{_prefix(tenant_id)}pt"


def cache_feedback(tenant_id: int) -> str:
    """Count: how often the tenant has reported on cached answers in this minute."""
    return f"{_prefix(tenant_id)}cf"


def live_group(tenant_id: int) -> str:
    """The Channels group of a tenant's dashboards."""
    return f"t.{tenant_id}.usage"
