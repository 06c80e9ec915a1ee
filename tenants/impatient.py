"""The data plane's connection to Postgres, which gives up a server that says nothing: one that hangs, or is behind a
network that fell silent, closes no connection, and whoever waits for it would wait for ever.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from psycopg import AsyncConnection, OperationalError
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout

logger = logging.getLogger(__name__)

# No statement of the data plane takes a second; more than the time that a busy machine adds.
SILENT_S = 5.0
LOOK_S = 0.1
Answer = TypeVar("Answer")


class Impatient(AsyncConnection[Any]):
    """Each wait for the server ends after `SILENT_S`, with an OperationalError, and the connection with it."""

    async def wait(
        self,
        gen: PQGen[Answer],
        interval: float = LOOK_S,
        timeout: float | None = None,  # noqa: ASYNC109  the library's
    ) -> Answer:
        try:
            return await super().wait(gen, interval=interval, timeout=SILENT_S if timeout is None else timeout)
        except _WaitTimeout:
            if timeout is not None:
                raise
            # It may still do what it was told, and nobody knows where in its answers we are. The pool makes another.
            self.pgconn.finish()
            logger.warning("Postgres said nothing for %g s; a connection to it is given up", SILENT_S)
            raise OperationalError(f"Postgres said nothing for {SILENT_S:g} s") from None
