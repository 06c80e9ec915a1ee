"""Watches one process from inside: how late its loop is, and what it has counted, left where its siblings find it.

A process writes every second and at its end, so that only one that is killed loses what it counted: a second's worth.
"""

from __future__ import annotations

import asyncio
import logging
import time

from gateway import exposition
from gateway.metrics import LOOP_LAG_SECONDS

logger = logging.getLogger(__name__)

LOOK_S = 0.25
WRITE_S = 1.0


async def run() -> None:
    """Until it is cancelled."""
    loop = asyncio.get_running_loop()
    lag = LOOP_LAG_SECONDS.row()
    wrote_at = 0.0
    while True:
        planned = loop.time() + LOOK_S
        await asyncio.sleep(LOOK_S)
        lag.add(max(0.0, loop.time() - planned))
        if time.monotonic() - wrote_at >= WRITE_S - LOOK_S / 2:
            wrote_at = time.monotonic()
            await _write()


async def _write() -> None:
    into = exposition.folder()
    if into is not None:
        try:
            await asyncio.to_thread(exposition.write, into, exposition.snapshot())
        except OSError as error:
            logger.warning("other processes do not see what this one has counted: %s", error)


def leave() -> None:
    """The last word of this process: what it counted stays, what is under way in it is over."""
    into = exposition.folder()
    if into is None:
        return
    try:
        exposition.write(into, {**exposition.snapshot(), "at": 0.0})
    except OSError as error:
        logger.warning("what this process counted in its last second is lost: %s", error)
