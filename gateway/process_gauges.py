"""What can be read off a process at any time: what is under way in it, its pool, its breakers, how Redis answers it.

Read when /metrics is asked for, from plain attributes: nothing is waited for, and nobody is asked.
"""

from __future__ import annotations

import platform
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

from django.conf import settings

from gateway.metrics import BOOK
from gateway.tallies import Family, Labels
from tenants import visits

if TYPE_CHECKING:
    from gateway.runtime import Gateway

FAMILIES = (
    Family("nexus_build_info", "1, of the version that runs.", ("version", "python"), merge="max"),
    Family("nexus_processes", "Processes that count, and wrote so in the last ten seconds."),
    Family("nexus_ready", "Of these, those whose data plane takes calls."),
    Family("nexus_requests_in_flight", "Requests that have begun and not ended, streams and pages among them."),
    Family("nexus_websockets", "WebSockets that are open.", ("route",)),
    Family("nexus_flights", "Answers that come from providers or the semantic tier now, each for one caller or more."),
    Family("nexus_holds", "Calls of this process that hold a part of a quota and are not settled yet."),
    Family(
        "nexus_breakers_not_closed",
        "Providers' models that are left alone (open), or tried again by the next call (half_open).",
        ("provider", "state"),
        merge="max",
    ),
    Family("nexus_database_connections", "The pool's connections to Postgres.", ("state",)),
    Family("nexus_database_connections_max", "How many the pool may open."),
    Family("nexus_database_waiting", "Calls that wait for a connection of the pool."),
    Family("nexus_redis_left_alone", "1 while Redis is not asked, as it failed several times in a row.", merge="max"),
    Family("nexus_redis_round_trip_seconds", "A call's question to Redis, as a moving average.", merge="max"),
    Family("nexus_doubtful_settlements", "What Redis may have lost in a crash, and is told again."),
)
# Counted elsewhere, as plain numbers; taken over when they are shown.
DATABASE_REQUESTS = BOOK.tally("nexus_database_requests", "Connections that the pool was asked for.")
DATABASE_QUEUED = BOOK.tally("nexus_database_queued", "Of these, those that were waited for.")
DATABASE_WAIT_SECONDS = BOOK.tally("nexus_database_wait_seconds", "Seconds that they were waited for, all together.")
DATABASE_TIMEOUTS = BOOK.tally("nexus_database_timeouts", "Of these, those that came too late, or not at all.")
REDIS_SILENCES = BOOK.tally(
    "nexus_redis_silences", "Connections given up because Redis said nothing for NEXUS_REDIS_TIMEOUT_MS."
)
REDIS_FAILURES = BOOK.tally("nexus_redis_failures", "Connections to Redis that broke or could not be opened.")
REDIS_SWALLOWED = BOOK.tally("nexus_redis_swallowed_errors", "Questions about limits that Redis did not answer.")
SPOOLED = BOOK.tally("nexus_spooled", "Settlements that went to the spool, as Redis was away.")

Values = dict[str, list[tuple[Labels, float]]]

# Of this process: one, and in tests one for each event loop.
_gateways: weakref.WeakSet[Gateway] = weakref.WeakSet()
_websockets: Counter[str] = Counter()


def attach(gateway: Gateway) -> None:
    _gateways.add(gateway)


def opened(route: str) -> None:
    _websockets[route] += 1


def closed(route: str) -> None:
    _websockets[route] -= 1


def read() -> Values:
    """By family; and takes over what others have counted."""
    gateways = list(_gateways)
    values: Values = {
        "nexus_build_info": [((str(settings.SPECTACULAR_SETTINGS["VERSION"]), platform.python_version()), 1)],
        "nexus_processes": [((), 1)],
        "nexus_ready": [((), sum(gateway.ready for gateway in gateways))],
        "nexus_requests_in_flight": [((), visits.under_way())],
        "nexus_websockets": [((route,), count) for route, count in _websockets.copy().items()],
        "nexus_flights": [((), sum(gateway.flights.under_way for gateway in gateways))],
        "nexus_holds": [((), sum(gateway.settler.holds for gateway in gateways))],
        "nexus_doubtful_settlements": [((), sum(gateway.settler.doubtful for gateway in gateways))],
        "nexus_redis_left_alone": [((), max((gateway.lane.left_alone for gateway in gateways), default=0))],
        "nexus_redis_round_trip_seconds": [
            ((), max((gateway.quota.round_trip_ms / 1000 for gateway in gateways), default=0.0))
        ],
        "nexus_breakers_not_closed": _breakers(gateways),
    }
    REDIS_SILENCES.cell().count = sum(gateway.lane.silences for gateway in gateways)
    REDIS_FAILURES.cell().count = sum(gateway.lane.breaks for gateway in gateways)
    REDIS_SWALLOWED.cell().count = sum(gateway.quota.swallowed_errors for gateway in gateways)
    SPOOLED.cell().count = sum(gateway.settler.spooled for gateway in gateways)
    return values | _database([gateway.pool.get_stats() for gateway in gateways])


def _breakers(gateways: list[Gateway]) -> list[tuple[Labels, float]]:
    found: Counter[Labels] = Counter()
    for gateway in gateways:
        found.update(gateway.breakers.standing())
    return list(found.items())


def _database(pools: list[dict[str, Any]]) -> Values:
    def total(name: str) -> float:
        return float(sum(pool.get(name, 0) for pool in pools))

    DATABASE_REQUESTS.cell().count = total("requests_num")
    DATABASE_QUEUED.cell().count = total("requests_queued")
    DATABASE_WAIT_SECONDS.cell().count = total("requests_wait_ms") / 1000
    DATABASE_TIMEOUTS.cell().count = total("requests_errors")
    idle, size = total("pool_available"), total("pool_size")
    return {
        "nexus_database_connections": [(("idle",), idle), (("used",), max(0, size - idle))],
        "nexus_database_connections_max": [((), total("pool_max"))],
        "nexus_database_waiting": [((), total("requests_waiting"))],
    }
