"""An installation each of whose parts is behind a proxy, and how a part is killed, paused, slowed down or cut off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import psutil

from nexus.bench import proxy
from nexus.bench.installation import Installation, accepts
from nexus.bench.marked import THINKS_MS
from nexus.embedded import POSTGRES_SOCKET, launched, socket_folder
from nexus.instance import ROOT
from nexus.ports import HOST, free_port
from nexus.preflight import step
from nexus.supervisor import Service

KILLED, PAUSED, SLOW, CUT, FROZEN = "killed", "paused", "slow", "cut off", "frozen"
WAYS = (KILLED, PAUSED, SLOW, CUT)
# Between the two stands a network that has fallen silent; not part of a usual run.
MORE_WAYS = (FROZEN,)
_OF_THE_PROXY = {SLOW: proxy.SLOW, CUT: proxy.CUT, FROZEN: proxy.FREEZE}

# Short enough that what a killed gateway held comes back within a cell.
DEADLINE_S, HOLD_TTL_S = 10, 15
SETTINGS = {
    "NEXUS_PRIVATE_PROVIDERS": "on",
    "NEXUS_LOG_LEVEL": "WARNING",
    "NEXUS_CALL_DEADLINE_S": str(DEADLINE_S),
    "NEXUS_FIRST_BYTE_TIMEOUT_S": "5",
    "NEXUS_HOLD_TTL_S": str(HOLD_TTL_S),
    # More than the usual, since a bench shares its machine. For Redis, less than the slow proxy's way there and back.
    "NEXUS_REDIS_TIMEOUT_MS": "300",
    "NEXUS_EMBEDDING_DEADLINE_MS": "1500",
}


class Part(NamedTuple):
    """`routes` are those by which others reach it; of a worker and of beat, those by which they reach others."""

    service: str
    routes: tuple[str, ...]


PARTS = {
    "postgres": Part("postgres", ("postgres", "worker-postgres", "beat-postgres")),
    "redis": Part("redis", ("redis", "worker-redis", "beat-redis")),
    "gateway": Part("gateway-1", ("gateway-1",)),
    "worker": Part("worker", ("worker-postgres", "worker-redis")),
    "beat": Part("beat", ("beat-postgres", "beat-redis")),
    "embedder": Part("embedder", ("embedder",)),
    "provider": Part("provider", ("provider",)),
    "web": Part("web", ("web",)),
    "nginx": Part("nginx", ("nginx",)),
}


def parts() -> list[str]:
    """Those that can be there on this machine."""
    return [name for name in PARTS if name != "nginx" or shutil.which("nginx")]


class Field:
    """The installation, its proxies, and what is done to it. `ports` are those of the proxies."""

    def __init__(self, installed: Installation, control: Path, ports: dict[str, int]) -> None:
        self.installed, self.ports = installed, ports
        self._control = control

    async def begin(self, part: str, way: str) -> None:
        """Raises OSError, ValueError."""
        if way == KILLED:
            self.installed.supervisor.kill(PARTS[part].service, signal.SIGKILL)
        elif way == PAUSED:
            self._signal(part, signal.SIGSTOP)
        else:
            await self._go(part, _OF_THE_PROXY[way])

    async def end(self, part: str, way: str) -> None:
        """A killed part is started again by who keeps it."""
        if way == PAUSED:
            self._signal(part, signal.SIGCONT)
        elif way != KILLED:
            await self._go(part, proxy.PASS)

    async def _go(self, part: str, way: str) -> None:
        for route in PARTS[part].routes:
            await proxy.tell(self._control, route, way)

    def _signal(self, part: str, signum: signal.Signals) -> None:
        """To the process and to its children, which have groups of their own."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.installed.supervisor.pid(PARTS[part].service))
            for process in (first, *first.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signum)


@contextlib.asynccontextmanager
async def running(installed: Installation) -> AsyncIterator[Field]:
    """All parts. Raises Trouble."""
    sockets = socket_folder(installed.instance.var)
    names = ("provider", "embedder", "gateway-1", "gateway-2", "web", "nginx")
    own = {name: free_port() for name in names}
    targets: dict[str, int | str] = {**own}
    for who in ("", "worker-", "beat-"):
        targets[f"{who}postgres"] = str(sockets / POSTGRES_SOCKET)
        targets[f"{who}redis"] = str(sockets / "redis.sock")
    ports = {name: free_port() for name in targets}
    control = sockets / "proxy.sock"
    installed.environment |= {**SETTINGS, "NEXUS_EMBEDDER": f"grpc://{HOST}:{ports['embedder']}"}
    with step("Proxies and all parts"):
        await installed.start(_proxies(installed, control, {name: (ports[name], targets[name]) for name in targets}))
        await installed.start(*_services(installed, own, ports))
    yield Field(installed, control, ports)


def _proxies(installed: Installation, control: Path, routes: dict[str, tuple[int, int | str]]) -> Service:
    command = ["-m", "nexus.bench.proxy", str(control), json.dumps(routes)]
    return installed.program("proxies", command, ready=control.exists)


def addresses(ports: dict[str, int], who: str = "") -> dict[str, str]:
    """Where a process with routes of its own finds Postgres and Redis."""
    return {
        "DATABASE_URL": f"postgresql://nexus@{HOST}:{ports[f'{who}postgres']}/nexus",
        "REDIS_URL": f"redis://{HOST}:{ports[f'{who}redis']}/0",
    }


def _services(installed: Installation, own: dict[str, int], ports: dict[str, int]) -> list[Service]:
    near, gateways = addresses(ports), ("gateway-1", "gateway-2")
    made = [
        installed.application("provider", "nexus.bench.marked:application", own["provider"], **{THINKS_MS: "30"}),
        installed.embedder(own["embedder"]),
        installed.worker(**addresses(ports, "worker-"), NEXUS_LOG_LEVEL="INFO"),
        installed.beat(**addresses(ports, "beat-"), NEXUS_LOG_LEVEL="INFO"),
        *(installed.gateway(name, own[name], **near) for name in gateways),
        installed.control_plane(own["web"], **near),
    ]
    if shutil.which("nginx"):
        made.append(_nginx(installed, own["nginx"], [ports[name] for name in gateways]))
    return made


_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream gateways {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1; proxy_buffering off; proxy_next_upstream off; proxy_read_timeout 60s;
        proxy_set_header Connection "";
        location / {{ proxy_pass http://gateways; }}
    }}
}}
"""


def _nginx(installed: Installation, port: int, gateways: list[int]) -> Service:
    """As deploy/nginx has it where it matters here: nothing is buffered, no POST is sent twice."""
    folder = installed.instance.var / "nginx"
    folder.mkdir(exist_ok=True)
    conf = folder / "nginx.conf"
    servers = " ".join(f"server {HOST}:{one};" for one in gateways)
    conf.write_text(_NGINX.format(folder=folder, servers=servers, port=port), encoding="utf-8")
    argv = launched(["nginx", "-c", str(conf), "-e", "stderr"], signal.SIGQUIT).argv
    return Service("nginx", argv, dict(installed.environment), ROOT, signal.SIGQUIT, ready=lambda: accepts(port))


async def settled_down(field: Field) -> None:
    """All services are up again. Raises Trouble."""
    await asyncio.wait_for(field.installed.supervisor.recovered(), 120)
