"""Every Redis key of the gateway is built here, and nowhere else.

A tenant's keys share the hash tag of its partition, so that one Lua script touches one slot of a Redis Cluster and
usage flows through `PARTITIONS` streams instead of one a tenant.
"""

from __future__ import annotations

PARTITIONS = 64
# One channel for all processes: the message names what to forget (see tenants.principal).
REVOCATIONS = "nexus:revocations"
# Set: tenants whose books are to be compared.
BOOKS_TO_COMPARE = "nexus:books:compare"
# Sorted set: tenants whose limits are to be compared with what they used, by when.
ALERTS_TO_EVALUATE = "nexus:alerts:evaluate"
# Sorted set: tenants with alerts to send, by the time that the first is due.
ALERTS_TO_SEND = "nexus:alerts:send"
# List: the last tasks that failed, newest first. Hashes: when each task last succeeded, when each worker last told.
TASKS_FAILED = "nexus:tasks:failed"
TASKS_DONE = "nexus:tasks:done"
WORKERS = "nexus:workers"
# Text: the last report of gateway.canaries, as JSON.
CANARY = "nexus:canary"
# Hash, counts: verdicts on cached answers by “kind:right or wrong:who judged”.
VERDICTS = "nexus:verdicts"


def partition(tenant_id: int) -> int:
    return tenant_id % PARTITIONS


def _prefix(tenant_id: int) -> str:
    return f"{{p{partition(tenant_id)}}}:t{tenant_id}:"


def tag_of(key: str) -> str:
    """The hash tag, such as "p5": keys with the same one are on one node, and away together."""
    return key.partition("}")[0].removeprefix("{")


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
    """Says for a while that a call was counted: “1” when it was settled, “hit” as an exact hit."""
    return f"{_prefix(tenant_id)}s:{hold_id}"


def in_flight(tenant_id: int, key_id: int | None = None) -> str:
    """Sorted set: the calls in flight of a tenant, or of one of its keys, by the time they count as gone."""
    return f"{_prefix(tenant_id)}n" if key_id is None else f"{_prefix(tenant_id)}n:k{key_id}"


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


def throttle(what: str) -> str:
    """What all tenants together have asked for in the last minute. In a slot of its own."""
    return f"nexus:throttle:{what}"


def registrations(address: str) -> str:
    return f"nexus:registrations:{address}"


def letter(letter_id: str) -> str:
    """Says for a while that a mail was sent, for whoever is to send it again."""
    return f"nexus:letter:{letter_id}"


def wrong_passwords(digest: str) -> str:
    """Count: how often somebody gave a wrong password for one address of late, whether or not anybody has it."""
    return f"nexus:wrong-passwords:{digest}"


def wrong_keys(place: str) -> str:
    """Count: how many wrong API keys came from one place in this minute."""
    return f"nexus:wrong-keys:{place}"


def tokens_issued(key_id: int) -> str:
    """Count: how often tokens were made from one API key in this minute."""
    return f"nexus:tokens-issued:{key_id}"


def showcase_runs(address: str) -> str:
    """Count: how often an address has run the front page's example in this minute."""
    return f"nexus:showcase:{address}"


def shares_opened(address: str) -> str:
    """Count: how often an address has opened shared pages in this minute."""
    return f"nexus:shares:{address}"


def provider_tests(tenant_id: int) -> str:
    """Count: how often the tenant has tested its providers in this minute."""
    return f"{_prefix(tenant_id)}pt"


def invitations(tenant_id: int) -> str:
    """Count: how many invitations the tenant has sent in this hour."""
    return f"{_prefix(tenant_id)}iv"


def cache_feedback(tenant_id: int) -> str:
    """Count: how often the tenant has reported on cached answers in this minute."""
    return f"{_prefix(tenant_id)}cf"


def explanations(tenant_id: int) -> str:
    """Count: how often the tenant has had a request explained in this minute."""
    return f"{_prefix(tenant_id)}ex"


def alerts_rest(tenant_id: int) -> str:
    """Is there while the tenant is not to be evaluated again."""
    return f"nexus:alerts:rest:{tenant_id}"


def alert_acts(tenant_id: int, what: str) -> str:
    """Count: how often the tenant has sent test alerts, or replayed some, in this minute."""
    return f"{_prefix(tenant_id)}al:{what}"


def billing_calls(tenant_id: int, what: str) -> str:
    """Count: how often the tenant has asked for what keeps Stripe busy in this minute."""
    return f"{_prefix(tenant_id)}bc:{what}"


def live_group(tenant_id: int) -> str:
    """The Channels group of a tenant's dashboards."""
    return f"t.{tenant_id}.usage"
