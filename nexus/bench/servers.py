"""The processes that are measured, and those that they need: started, bound to their cores, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from nexus.bench.installation import HTTP, served
from nexus.embedded import launched
from nexus.instance import ROOT
from nexus.ports import free_port
from nexus.preflight import Trouble

START_S, STOP_S = 60, 60
_TENANT = """
import django; django.setup()
from billing import subscriptions
from tenants import registration
made = registration.register("bench@example.com")
subscriptions.change_plan(made.tenant, "scale", overrides={"requests_per_minute": None})
print(made.issued.text)
"""


class Server(NamedTuple):
    name: str
    port: int
    pid: int


def cores() -> tuple[set[int], set[int]]:
    """For what is measured, for the rest."""
    available = sorted(os.sched_getaffinity(0))
    return ({available[0]}, set(available[1:])) if len(available) > 1 else (set(available), set(available))


@contextlib.asynccontextmanager
async def running(
    name: str, app: str, environment: dict[str, str], log: Path, on: set[int], http: str = HTTP
) -> AsyncIterator[Server]:
    """One process, ready when it accepts connections."""
    port = free_port()
    program = [sys.executable, *served(app, port, http)]
    with log.open("ab") as out:
        argv = launched(program, signal.SIGTERM).argv
        process = subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=out, stderr=out)
    try:
        await _accepting(port, process, name, log)
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), on)
        yield Server(name, port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


async def _accepting(port: int, process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    try:
        async with asyncio.timeout(START_S):
            while process.poll() is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Trouble(f"The {name} was not ready within {START_S} s; {log} may say why.") from None
    raise Trouble(f"The {name} did not start; {log} says why.")


async def tenant_key(environment: dict[str, str], log: Path) -> str:
    """The key of a tenant without limits, made in a process that has the database's settings."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _TENANT, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=out
        )
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise Trouble(f"The tenant to measure with could not be made; {log} says why.")
    return output.decode().strip()
