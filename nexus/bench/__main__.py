"""`bin/bench`: the gateway and two floors on throw-away services, round by round beside each other.

The target has a core of its own where there are two; everything else shares the other. CPU per request is the figure
to trust on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import redis

from nexus import stack
from nexus.bench import floors, load, questions, report
from nexus.checks import hermetic, throwaway_instance
from nexus.instance import ROOT, Instance, var_folder
from nexus.preflight import Trouble, require_disk, say, step
from nexus.supervisor import Supervisor
from nexus.up import build_model, finish

NEEDS_MB = 1000
CONNECTIONS = (1, 16)
SERVER = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
CHAT = "/v1/chat/completions"


class Options(argparse.Namespace):
    rounds: int
    seconds: float
    soak: int
    only: str


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="bin/bench", description="Measures the gateway beside bare floors.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run")
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    parser.add_argument("--soak", type=int, default=0, help="then send so many exact hits and misses, and watch memory")
    parser.add_argument("--only", default="", help="measure modes whose name begins so")
    options = parser.parse_args(arguments, namespace=Options())
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    return options


class Server(NamedTuple):
    name: str
    port: int
    pid: int


class Mode(NamedTuple):
    """One thing measured: the gateway's requests and what their answers must hold, beside a floor."""

    name: str
    requests: Iterator[load.Request]
    holds: bytes
    floor: str
    floor_requests: Iterator[load.Request]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cores() -> tuple[set[int], set[int]]:
    """For the target, for the rest."""
    available = sorted(os.sched_getaffinity(0))
    return ({available[0]}, set(available[1:])) if len(available) > 1 else (set(available), set(available))


@contextlib.asynccontextmanager
async def server(name: str, app: str, environment: dict[str, str], log: Path, on: set[int]) -> AsyncIterator[Server]:
    """One uvicorn process, ready when it accepts connections."""
    port = free_port()
    command = [
        sys.executable,
        *os.environ.get("BENCH_PROF", "").split(),
        "-m",
        "uvicorn",
        app,
        "--port",
        str(port),
        *SERVER,
    ]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=out)
    try:
        async with asyncio.timeout(60):
            while True:
                if process.poll() is not None:
                    raise Trouble(f"The {name} did not start; {log} says why.")
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        os.sched_setaffinity(process.pid, on)
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), on)
        yield Server(name, port, process.pid)
    finally:
        process.terminate()
        process.wait(60)


async def measure(options: Options, instance: Instance) -> None:
    target_cores, other_cores = cores()
    os.sched_setaffinity(0, other_cores)
    supervisor = Supervisor(instance.logs, say)
    environment = hermetic(stack.base_environment(instance), instance)
    try:
        with step("Postgres, Redis, model, tables"):
            service, environment["DATABASE_URL"] = await asyncio.to_thread(
                stack.postgres_service, instance, throwaway=True
            )
            await supervisor.start(service)
            service, environment["REDIS_URL"] = await asyncio.to_thread(stack.redis_service, instance)
            await supervisor.start(service)
            await build_model(instance, environment)
            await finish("prepare", [sys.executable, "-m", "nexus.prepare"], environment, instance.logs / "bench.log")
        key = await tenant_key(environment)
        log = instance.logs / "bench.log"
        async with contextlib.AsyncExitStack() as up:
            provider = await up.enter_async_context(
                server("provider", "nexus.bench.provider:application", environment, log, other_cores)
            )
            url = f"http://127.0.0.1:{provider.port}/v1"
            environment |= {
                "OPENAI_API_KEY": "bench",
                "OPENAI_BASE_URL": url,
                "BENCH_PROVIDER": f"{url}/chat/completions",
            }
            servers = {
                name: await up.enter_async_context(server(name, app, environment, log, target_cores))
                for name, app in (
                    ("gateway", "nexus.asgi:application"),
                    ("hit floor", "nexus.bench.floors:hit"),
                    ("proxy floor", "nexus.bench.floors:proxy"),
                )
            }
            servers["provider"] = provider
            await bench(options, servers, key, environment["REDIS_URL"])
    finally:
        await supervisor.stop()


async def tenant_key(environment: dict[str, str]) -> str:
    """A tenant without limits."""
    code = (
        "import django; django.setup()\n"
        "from tenants import registration; from billing import subscriptions\n"
        "made = registration.register('bench@example.com')\n"
        "subscriptions.change_plan(made.tenant, 'scale', overrides={'requests_per_minute': None})\n"
        "print(made.issued.text)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode().strip()


class Workload:
    """All that is asked in one run of the bench, with one key."""

    def __init__(self, key: str) -> None:
        self._auth = {"Authorization": f"Bearer {key}"}
        self.known = list(itertools.islice(questions.unique(), 200))

    def requests(self, texts: Iterable[str], *, cache: str = "", stream: bool = False) -> Iterator[load.Request]:
        headers = {**self._auth, "X-Nexus-Cache": cache} if cache else self._auth
        for text in texts:
            body = questions.prompt(text)
            yield load.request(CHAT, body[:-1] + b',"stream":true}' if stream else body, headers)

    def modes(self) -> list[Mode]:
        unique, again = questions.unique, itertools.cycle
        miss, hit = b"x-cache: MISS", b"x-cache: HIT-EXACT"
        proxied = self.requests(unique())
        found = self.requests(again(self.known))
        return [
            Mode("exact hit", self.requests(again(self.known)), hit, "hit floor", found),
            Mode("miss, semantic off", self.requests(unique(), cache="exact"), miss, "proxy floor", proxied),
            Mode("miss, semantic on", self.requests(unique()), miss, "proxy floor", proxied),
            Mode("semantic hit", self.requests(questions.paraphrases()), b"x-cache: HIT-SEMANTIC", "hit floor", found),
            Mode(
                "stream, miss",
                self.requests(unique(), cache="exact", stream=True),
                miss,
                "proxy floor",
                self.requests(unique(), stream=True),
            ),
            Mode("stream, exact hit", self.requests(again(self.known), stream=True), hit, "hit floor", found),
        ]


async def bench(options: Options, servers: dict[str, Server], key: str, redis_url: str) -> None:
    gateway, workload = servers["gateway"], Workload(key)
    with step("Filling the cache"):
        for text in [*questions.stored(), *workload.known]:
            answer = await load.fetch(gateway.port, next(workload.requests([text])))
        redis.Redis.from_url(redis_url).set(floors.REDIS_KEY, answer.partition(b"\r\n\r\n")[2])
    rows = []
    for mode in workload.modes():
        if mode.name.startswith(options.only):
            for connections in CONNECTIONS:
                with step(f"{mode.name}, {connections} at once"):
                    rows.append(await compare(options, servers, mode, connections))
    say(report.table(rows, await asyncio.to_thread(embedding_cpu_us)))
    if options.soak:
        await soak(options.soak, gateway, workload)


async def compare(options: Options, servers: dict[str, Server], mode: Mode, connections: int) -> report.Row:
    """Target and floor in turns, so that both meet the same moods of the machine."""
    target, floor = servers["gateway"], servers[mode.floor]
    targets, floored, direct = [], [], []

    async def run(server: Server, requests: Iterator[load.Request], holds: bytes) -> load.Sample:
        return await load.run(
            server.port,
            requests,
            connections=connections,
            seconds=options.seconds,
            check=lambda answer: answer.startswith(b"HTTP/1.1 200") and holds in answer,
            pid=server.pid,
        )

    for _ in range(options.rounds):
        floored.append(await run(floor, mode.floor_requests, b""))
        targets.append(await run(target, mode.requests, mode.holds))
        if mode.name == "stream, miss":
            direct.append(await run(servers["provider"], mode.floor_requests, b""))
    return report.Row(mode.name, connections, targets, mode.floor, floored, direct)


def embedding_cpu_us() -> float:
    """Of one question, in this process."""
    from gateway.cache.embedding import build
    from gateway.cache.embedding.minilm import MiniLM

    model = MiniLM.load(build.ensure(var_folder().resolve() / "models"))
    texts = [frame.format(task) for frame in questions.ASKED for task in questions.TASKS]
    model.encode(texts[:1])
    began = time.process_time()
    for text in texts:
        model.encode([text])
    return (time.process_time() - began) / len(texts) * 1e6


async def soak(count: int, gateway: Server, workload: Workload) -> None:
    """Mostly exact hits, every tenth a miss; memory before, at each tenth of the way, and after."""
    modes = {mode.name: mode for mode in workload.modes()}
    hits, misses = modes["exact hit"].requests, modes["miss, semantic on"].requests
    mixed = (next(misses) if number % 10 == 0 else next(hits) for number in itertools.count())
    say(f"Soak: {load.resident_mb(gateway.pid):.0f} MB before")
    done = 0
    while done < count:
        sample = await load.run(
            gateway.port,
            mixed,
            connections=16,
            seconds=5,
            check=lambda answer: answer.startswith(b"HTTP/1.1 200"),
            pid=gateway.pid,
        )
        done += len(sample.latency_ms)
        say(f"Soak: {load.resident_mb(gateway.pid):.0f} MB after {done:,} requests")


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    try:
        with throwaway_instance(var_folder().resolve()) as instance:
            require_disk(instance.var, NEEDS_MB)
            asyncio.run(measure(options, instance))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except ExceptionGroup as group:
        wrong, rest = group.split(load.WrongAnswer)
        if wrong is None or rest is not None:
            raise
        print(f"Not measured, since this answer was wrong:\n{wrong.exceptions[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
