"""What being told of requests costs: gateways that differ in it alone, in turns, so that all meet the same moods of the
machine. CPU of the whole process, the threads that write and send included.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from nexus import data_plane
from nexus.bench import installation, load, servers
from nexus.bench.provider import body_of
from nexus.bench.servers import Server
from nexus.bench.workload import Mode, Workload
from nexus.instance import Instance
from nexus.preflight import say, step

CONNECTIONS = 16
MODES = ("exact hit", "miss, semantic off")
QUIET = {"NEXUS_METRICS": "off", "NEXUS_ACCESS_LOG": "off"}
TOLD = {"NEXUS_METRICS": "on", "NEXUS_ACCESS_LOG": "all"}
# The first is what the others are compared with.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "nothing": QUIET,
    "metrics": {**QUIET, "NEXUS_METRICS": "on"},
    "access log": {**QUIET, "NEXUS_ACCESS_LOG": "all"},
    "both (the default)": TOLD,
    "and 1 % traced": {**TOLD, "NEXUS_TRACE_RATIO": "0.01"},
    "and all traced": {**TOLD, "NEXUS_TRACE_RATIO": "1"},
}


class Wanted(NamedTuple):
    rounds: int
    seconds: float


async def collector(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """Takes spans, and forgets them."""
    if scope["type"] == "http":
        await body_of(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def run(instance: Instance, wanted: Wanted) -> bool:
    target_cores, other_cores = servers.cores()
    os.sched_setaffinity(0, other_cores)
    async with installation.running(instance) as installed, contextlib.AsyncExitStack() as up:
        environment, log = installed.environment, installed.log
        key = await servers.tenant_key(environment, log)

        async def start(name: str, app: str, on: set[int], more: Mapping[str, str]) -> Server:
            return await up.enter_async_context(servers.running(name, app, {**environment, **more}, log, on))

        provider = await start("provider", "nexus.bench.provider:application", other_cores, {})
        sink = await start("collector", "nexus.bench.observability:collector", other_cores, {})
        environment |= {"OPENAI_API_KEY": "bench", "OPENAI_BASE_URL": f"http://127.0.0.1:{provider.port}/v1"}
        gateways = {}
        for name, settings in VARIANTS.items():
            traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}"} if "traced" in name else {}
            gateways[name] = await start(
                f"gateway with {name}", data_plane.APPLICATION, target_cores, {**settings, **traced}
            )
        workload = Workload(key)
        with step("Filling the cache"):
            await workload.fill(gateways["nothing"].port)
        for mode in [mode for mode in workload.modes() if mode.name in MODES]:
            with step(f"{mode.name}, {wanted.rounds} rounds of {len(gateways)} gateways"):
                samples = await _compare(mode, gateways, wanted)
            say(table(mode.name, samples))
    return True


async def _compare(mode: Mode, gateways: Mapping[str, Server], wanted: Wanted) -> dict[str, list[float]]:
    """Microseconds of CPU for a request, round by round."""
    found: dict[str, list[float]] = {name: [] for name in gateways}
    for server in gateways.values():
        # First calls import and compile.
        await load.run(server.port, mode.requests, connections=CONNECTIONS, seconds=0.5, pid=server.pid)
    for _ in range(wanted.rounds):
        for name, server in gateways.items():
            sample = await load.run(
                server.port, mode.requests, connections=CONNECTIONS, seconds=wanted.seconds, pid=server.pid
            )
            found[name].append(sample.cpu_us)
    return found


def table(mode: str, samples: Mapping[str, list[float]]) -> str:
    """Medians; what each costs more is the median of what it costs more in each round."""
    bare, *_ = samples.values()
    lines = ["", f"{mode}: CPU for a request", f"{'':<22}{'µs':>9}{'more, µs':>12}{'from … to':>20}"]
    for name, found in samples.items():
        more = sorted(one - other for one, other in zip(found, bare, strict=True))
        spread = f"{more[0]:+.1f} … {more[-1]:+.1f}" if found is not bare else ""
        extra = f"{statistics.median(more):+.1f}" if found is not bare else ""
        lines.append(f"{name:<22}{statistics.median(found):>9.1f}{extra:>12}{spread:>20}")
    return "\n".join(lines)
