"""What one gateway process of the month was told, and what it had begun: in a file that outlives a SIGKILL.

Sums for each tenant. What is counted as told is acknowledged: it must be in the ledger. What was begun may be.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Used(NamedTuple):
    """`units` of money are of 1e-10 USD."""

    requests: int
    tokens: int
    units: int


NOTHING = Used(0, 0, 0)
# The first row is the process' own.
_PLACE, _SETTLED, _DONE, _FAILED, _REFUSED = range(5)


class Told:
    """Rows of int64, written by one process and read by another: the kernel has them at once."""

    def __init__(self, rows: npt.NDArray[np.int64]) -> None:
        self._rows = rows

    @classmethod
    def make(cls, path: Path, tenants: int) -> Told:
        return cls(np.memmap(path, np.int64, "w+", shape=(1 + tenants, 9)))

    @classmethod
    def open(cls, path: Path) -> Told:
        rows = np.memmap(path, np.int64, "r+")
        return cls(rows.reshape(-1, 9))

    @property
    def place(self) -> int:
        """How many of its calls it has begun."""
        return int(self._rows[0, _PLACE])

    @place.setter
    def place(self, place: int) -> None:
        self._rows[0, _PLACE] = place

    @property
    def settled(self) -> bool:
        """Whether nothing is left that it alone knows, and Redis may have lost."""
        return bool(self._rows[0, _SETTLED])

    @settled.setter
    def settled(self, settled: bool) -> None:
        self._rows[0, _SETTLED] = settled

    @property
    def done(self) -> bool:
        """Whether all of its calls are over."""
        return bool(self._rows[0, _DONE])

    @done.setter
    def done(self, done: bool) -> None:
        self._rows[0, _DONE] = done

    @property
    def failed(self) -> bool:
        """Whether a call went as none may go. It is not killing that does that."""
        return bool(self._rows[0, _FAILED])

    @failed.setter
    def failed(self, failed: bool) -> None:
        self._rows[0, _FAILED] = failed

    @property
    def refused(self) -> int:
        return int(self._rows[0, _REFUSED])

    def refuse(self, tenant: int, most: Used) -> None:
        """It was not let in: nothing of it may be in any book."""
        self._rows[0, _REFUSED] += 1
        self._add(tenant, 3, most, -1)

    def begin(self, tenant: int, most: Used) -> None:
        """A call that may come to use so much."""
        self._add(tenant, 3, most, 1)

    def end(self, tenant: int, most: Used, used: Used) -> None:
        """It is acknowledged. In this order: who dies in between has it counted as told, and may be as begun."""
        self._add(tenant, 0, used, 1)
        self._add(tenant, 3, most, -1)

    def doubt(self, tenant: int) -> None:
        """Nobody knows whether Redis has counted an exact hit of a call that was then answered by a provider."""
        self._add(tenant, 6, Used(1, 0, 0), 1)

    def _add(self, tenant: int, at: int, used: Used, sign: int) -> None:
        row = self._rows[1 + tenant]
        for column, value in enumerate(used, at):
            if value:
                row[column] += sign * value

    def of(self, tenant: int) -> tuple[Used, Used, Used]:
        """Acknowledged; begun, and never ended; in doubt."""
        values = self._rows[1 + tenant].tolist()
        return Used(*values[0:3]), Used(*values[3:6]), Used(*values[6:9])


def added(parts: list[Used]) -> Used:
    return Used(*(sum(column) for column in zip(NOTHING, *parts, strict=True)))
