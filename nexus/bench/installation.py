"""An installation of its own on throw-away services, for whoever measures: Postgres, Redis, model and tables, and the
other parts by name, started and kept as `bin/up` keeps them. It is gone when the body ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable

from nexus import data_plane, stack
from nexus.checks import hermetic
from nexus.embedded import launched
from nexus.instance import ROOT, Instance
from nexus.ports import HOST
from nexus.preflight import say, step
from nexus.supervisor import Service, Supervisor
from nexus.up import build_model, finish

# Where others use the machine, too: what is skipped for want of time cannot be measured.
PATIENCE = {"NEXUS_EMBEDDING_DEADLINE_MS": "5000", "NEXUS_REDIS_TIMEOUT_MS": "2000"}
# What nexus.data_plane tells uvicorn, too.
SERVER = ["--loop", "uvloop", "--ws", "websockets-sansio", "--no-access-log", "--log-level", "warning"]
# The protocol of other servers than the gateway; what wraps the gateway is given `data_plane.HTTP`.
HTTP = "httptools"


class Installation:
    """`environment` leads to Postgres and Redis; whoever is started next is given it as it is then."""

    def __init__(self, instance: Instance, supervisor: Supervisor, environment: dict[str, str]) -> None:
        self.instance, self.supervisor, self.environment = instance, supervisor, environment
        self.log = instance.logs / "bench.log"

    async def start(self, *services: Service) -> None:
        """And waits until they are ready. Raises Trouble."""
        await self.supervisor.start(*services)

    def gateway(self, name: str, port: int, **more: str) -> Service:
        """One gateway process, as in production: with its own spool, so that nobody else tells what it has to tell."""
        own = {"NEXUS_SPOOL_DIR": str(self.instance.var / "spool" / name)}
        made = stack.web_service({**self.environment, **own, **more}, HOST, port, 1)
        return dataclasses.replace(made, name=name)

    def worker(self, **more: str) -> Service:
        return stack.worker_service({**self.environment, **more}, self.instance)

    def beat(self, **more: str) -> Service:
        return stack.beat_service({**self.environment, **more}, self.instance)

    def embedder(self, port: int) -> Service:
        """Gateways find it by NEXUS_EMBEDDER=grpc://127.0.0.1:<port>."""
        command = ["manage.py", "embedder", "--listen", f"{HOST}:{port}"]
        return self.program("embedder", command, ready=lambda: accepts(port))

    def control_plane(self, port: int, **more: str) -> Service:
        """Web pages by daphne, as in production."""
        command = ["-m", "nexus.serve", "web", "--host", HOST, "--port", str(port)]
        return self.program("web", command, ready=lambda: stack.answers(HOST, port, "/healthz"), **more)

    def application(self, name: str, app: str, port: int, **more: str) -> Service:
        """Any ASGI application, such as a provider, in a process of its own."""
        return self.program(name, served(app, port), ready=lambda: accepts(port), **more)

    def program(
        self, name: str, arguments: list[str], *, ready: Callable[[], bool] = lambda: True, **more: str
    ) -> Service:
        argv = launched([sys.executable, *arguments], signal.SIGTERM).argv
        return Service(name, argv, {**self.environment, **more}, ROOT, ready=ready)


@contextlib.asynccontextmanager
async def running(
    instance: Instance, *, keeps: bool = False, model: bool = True, patience: dict[str, str] | None = None
) -> AsyncIterator[Installation]:
    """Postgres, Redis, tables, and the model unless nobody reads questions. With `keeps`, Postgres keeps what it has
    said even when it is killed. All is stopped with the body. Raises Trouble.
    """
    supervisor = Supervisor(instance.logs, say)
    environment = hermetic(stack.base_environment(instance), instance) | (PATIENCE if patience is None else patience)
    made = Installation(instance, supervisor, environment)
    try:
        with step("Postgres, Redis, model, tables" if model else "Postgres, Redis, tables"):
            service, environment["DATABASE_URL"] = await asyncio.to_thread(
                stack.postgres_service, instance, throwaway=not keeps
            )
            await supervisor.start(service)
            service, environment["REDIS_URL"] = await asyncio.to_thread(stack.redis_service, instance)
            await supervisor.start(service)
            if model:
                await build_model(instance, environment)
            await finish("prepare", [sys.executable, "-m", "nexus.prepare"], environment, made.log)
        yield made
    finally:
        await supervisor.stop()


def served(app: str, port: int, http: str = HTTP) -> list[str]:
    """What Python is told to serve `app`: the gateway as everywhere, others by the same server."""
    where = ["--host", HOST, "--port", str(port)]
    if app == data_plane.APPLICATION:
        return ["-m", "nexus.serve", "gateway", *where]
    return ["-m", "uvicorn", app, *where, "--http", http, *SERVER]


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=2):
        return True
    return False
