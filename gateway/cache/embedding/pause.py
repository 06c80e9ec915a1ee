"""When to leave alone who fails: not after one failure, not for long, and one caller finds out for all."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES_IN_A_ROW = 3
FIRST_S = 0.1
# A service that comes back is found again this much later, at most.
LONGEST_S = 2.0


class Pause:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._length_s = FIRST_S
        self._until = 0.0
        self._probing = False

    @property
    def trusted(self) -> bool:
        return self._failures < FAILURES_IN_A_ROW

    def may_try(self) -> bool:
        """After a pause, True for the first who asks; for others when the next pause is over, or that one succeeded."""
        if self.trusted:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._probing, self._until = True, now + self._length_s
        return True

    def succeed(self) -> None:
        self._failures, self._length_s, self._probing = 0, FIRST_S, False

    def fail(self) -> None:
        """Calls that were under way together lengthen a pause once."""
        self._failures += 1
        if self._failures == FAILURES_IN_A_ROW:
            self._until = self._clock() + self._length_s
        elif self._probing:
            self._length_s = min(self._length_s * 2, LONGEST_S)
            self._probing, self._until = False, self._clock() + self._length_s
