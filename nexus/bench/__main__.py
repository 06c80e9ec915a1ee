"""`bin/bench`: the gateway and two floors on throw-away services, round by round beside each other.

The target has a core of its own where there are two; everything else shares the other. CPU per request is the figure
to trust on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import sys
import time
from pathlib import Path

import orjson
import redis

from gateway.cache.embedding import build
from nexus import data_plane
from nexus.bench import (
    commands,
    floors,
    hotspots,
    installation,
    live,
    load,
    month,
    pages,
    report,
    rolling,
    rounds,
    servers,
    vectors,
)
from nexus.bench.servers import Server
from nexus.bench.workload import Workload
from nexus.checks import throwaway_instance
from nexus.instance import Instance, var_folder
from nexus.preflight import Trouble, require_disk, say, step

NEEDS_MB = 1000
CONNECTIONS = (1, 16)
WARMING_S = 0.5


class Options(argparse.Namespace):
    rounds: int
    seconds: float
    soak: int
    only: str
    profile: bool
    vectors: int
    month: int
    live: bool
    rolling: bool
    pages: bool
    records: int


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="bin/bench",
        description="Measures the gateway beside bare floors.",
        epilog=f"Also: {', '.join(f'bin/bench {name} --help' for name in commands.COMMANDS)}.",
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each mode (3); figures are their medians")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run (3)")
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    parser.add_argument("--only", default="", metavar="MODE", help="measure modes whose name begins so: “stream”")
    parser.add_argument("--profile", action="store_true", help="then say where each mode's time goes")
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="then send N requests, and watch memory")
    parser.add_argument(
        "--vectors",
        type=int,
        default=0,
        metavar="N",
        help="instead, search among N vectors in Postgres (docs/vectors.md)",
    )
    parser.add_argument(
        "--month",
        type=int,
        nargs="?",
        const=1_000_000,
        default=0,
        metavar="N",
        help="instead, a month of N calls (1,000,000), and whether the books agree after it (docs/ledger.md)",
    )
    parser.add_argument("--live", action="store_true", help="instead, fifty WebSockets of live pages under load")
    parser.add_argument("--rolling", action="store_true", help="instead, an upgrade under load, behind nginx")
    parser.add_argument("--pages", action="store_true", help="instead, each page's time with many usage records")
    parser.add_argument("--records", type=int, default=pages.RECORDS, metavar="N", help="as many (1,000,000)")
    options = parser.parse_args(arguments, namespace=Options())
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    if (
        options.rounds < 1
        or options.seconds <= 0
        or min(options.soak, options.vectors, options.month) < 0
        or options.records < 1
    ):
        parser.error("--rounds, --seconds, --soak, --vectors, --month and --records take positive numbers.")
    return options


async def measure(options: Options, instance: Instance) -> None:
    target_cores, other_cores = servers.cores()
    os.sched_setaffinity(0, other_cores)
    async with installation.running(instance) as installed, contextlib.AsyncExitStack() as up:
        environment, log = installed.environment, installed.log
        key = await servers.tenant_key(environment, log)
        run = functools.partial(servers.running, environment=environment, log=log)

        async def start(name: str, app: str, on: set[int], http: str = installation.HTTP) -> Server:
            return await up.enter_async_context(run(name, app, on=on, http=http))

        provider = await start("provider", "nexus.bench.provider:application", other_cores)
        url = f"http://127.0.0.1:{provider.port}/v1"
        environment["OPENAI_API_KEY"], environment["OPENAI_BASE_URL"] = "bench", url
        environment[floors.PROVIDER_URL] = f"{url}/chat/completions"
        started = {
            "provider": provider,
            "gateway": await start("gateway", data_plane.APPLICATION, target_cores),
            "hit floor": await start("hit floor", "nexus.bench.floors:hit", target_cores),
            "proxy floor": await start("proxy floor", "nexus.bench.floors:proxy", target_cores),
        }
        workload = Workload(key)
        with step("Filling the cache"):
            body = await workload.fill(started["gateway"].port)
            redis.Redis.from_url(environment["REDIS_URL"]).set(floors.REDIS_KEY, body)
        model = await asyncio.to_thread(build.ensure, Path(environment["NEXUS_MODEL_DIR"]))
        embedding = rounds.Embedding(model, target_cores)
        bench = rounds.Bench(started, embedding, options.rounds, options.seconds)
        await print_table(options, bench, workload)
        if options.profile:
            app = "nexus.bench.profiled:application"
            profiled = await start("profiled gateway", app, target_cores, data_plane.HTTP)
            await print_profiles(options, profiled, workload)
        if options.soak:
            with step(f"Soak, {options.soak:,} requests"):
                seen_mb = await rounds.soak(options.soak, started["gateway"], workload)
            say(report.memory(options.soak, seen_mb))


async def print_table(options: Options, bench: rounds.Bench, workload: Workload) -> None:
    rows = []
    began, busy_s = time.monotonic(), load.others_busy_s()
    for mode in workload.modes():
        for connections in CONNECTIONS if mode.name.startswith(options.only) else ():
            with step(f"{mode.name}, {connections} at once"):
                rows.append(await bench.compare(mode, connections))
    if not rows:
        names = ", ".join(mode.name for mode in workload.modes())
        raise Trouble(f"No mode's name begins with “{options.only}”; there are: {names}.")
    others_cores = (load.others_busy_s() - busy_s) / (time.monotonic() - began)
    say(report.table(rows, others_cores))


async def print_profiles(options: Options, profiled: Server, workload: Workload) -> None:
    """In a process of its own: profiling slows it, so what is measured is not profiled."""
    ask = load.post(hotspots.PATH, b"", {})
    for mode in workload.modes():
        if mode.name.startswith(options.only):
            # First calls import and compile: that is not what dominates.
            await load.run(profiled.port, mode.requests, connections=16, seconds=WARMING_S, pid=profiled.pid)
            await load.fetch(profiled.port, ask)
            await load.run(profiled.port, mode.requests, connections=16, seconds=options.seconds, pid=profiled.pid)
            answer = await load.fetch(profiled.port, ask)
            say(hotspots.table(mode.name, orjson.loads(answer.partition(b"\r\n\r\n")[2])))


def main(arguments: list[str]) -> int:
    command = commands.COMMANDS.get(arguments[0]) if arguments else None
    options = parse([] if command else arguments)
    try:
        with throwaway_instance(var_folder().resolve()) as instance:
            require_disk(instance.var, NEEDS_MB)
            if command is not None:
                return 0 if command(instance, arguments[1:]) else 1
            if options.month:
                return 0 if asyncio.run(month.run(instance, options.month)) else 1
            if options.pages:
                return 0 if asyncio.run(pages.run(instance, options.records)) else 1
            if options.rolling:
                return 0 if asyncio.run(rolling.run(instance)) else 1
            if options.live:
                return 0 if asyncio.run(live.run(instance)) else 1
            asyncio.run(vectors.run(instance, options.vectors) if options.vectors else measure(options, instance))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except load.WrongAnswer as wrong:
        print(f"Stopped, since an answer was wrong. {wrong}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
