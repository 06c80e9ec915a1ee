"""How many wrong keys one address may try. Right keys that a process knows are never asked for, and never held up.

Counted in Redis for all processes, and in each for itself: who is over the limit costs neither Redis nor Postgres.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tenants import keyspace, pace
from tenants.addresses import neighbourhood, parsed

PER_MINUTE = 30
WINDOW_S = pace.WINDOW_S
CODE = "too_many_wrong_keys"
SENTENCE = _(
    "Too many wrong API keys came from this address: %(times)s a minute at most. Try again in %(seconds)s s, with a"
    " key that is valid."
)
MAX_PLACES = 20_000


class TooManyWrongKeys(pace.TooOften):
    default_code = CODE


def place_of(peer: str | None, forwarded: str | None) -> str | None:
    """What is counted as one: an address of IPv4, a /64 of IPv6. None for ourselves, and where nobody knows.

    `forwarded` is X-Forwarded-For, of which our own proxy wrote the last hop.
    """
    if settings.TRUST_PROXY and forwarded:
        peer = forwarded.rpartition(",")[2].strip()
    address = parsed(peer)
    return None if address is None or address.is_loopback else neighbourhood(str(address))


class Guesses:
    """What this process knows of those who try keys."""

    def __init__(self) -> None:
        # Until when each is refused unasked; how many were wrong since when.
        self._until: OrderedDict[str, float] = OrderedDict()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, place: str) -> int | None:
        """Seconds that it has to wait; None: it may try."""
        until = self._until.get(place)
        if until is None:
            return None
        left_s = until - time.monotonic()
        if left_s <= 0:
            del self._until[place]
            return None
        return int(left_s) + 1

    def count(self, place: str) -> int | None:
        """One more was wrong, as far as this process knows. Seconds to wait when that is too many."""
        now = time.monotonic()
        since, wrong = self._counts.get(place, (now, 0))
        if now - since >= WINDOW_S:
            since, wrong = now, 0
        self._counts[place] = since, wrong + 1
        _bound(self._counts)
        return self.stop(place, since + WINDOW_S - now) if wrong + 1 > PER_MINUTE else None

    def learn(self, place: str, reply: Any) -> int | None:
        """The same from what Redis said to `pace.commands`."""
        _, counted, left_s = reply
        return self.stop(place, max(1, left_s)) if counted > PER_MINUTE else None

    def stop(self, place: str, wait_s: float) -> int:
        self._until[place] = time.monotonic() + wait_s
        _bound(self._until)
        return int(wait_s) + 1


def _bound(kept: OrderedDict[str, Any]) -> None:
    while len(kept) > MAX_PLACES:
        kept.popitem(last=False)


# Of the sync views; a gateway has its own.
_guesses = Guesses()


def note(place: str | None) -> None:
    """A wrong key. Raises TooManyWrongKeys where it is one too many."""
    if place is None:
        return
    wait_s = _guesses.count(place)
    if wait_s is None:
        left_s = pace.wait_s(keyspace.wrong_keys(place), PER_MINUTE)
        wait_s = None if left_s is None else _guesses.stop(place, max(1, left_s))
    if wait_s is not None:
        raise refusal(wait_s)


def refusal(wait_s: int) -> TooManyWrongKeys:
    return TooManyWrongKeys(pace.refusal(SENTENCE, PER_MINUTE, wait_s), wait_s)
