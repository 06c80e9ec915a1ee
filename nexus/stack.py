"""The services of one running copy and their environment: Postgres, Redis, beat, worker, web.

Says how each is started, stopped and found ready. `nexus.supervisor` keeps them; `nexus.up` and
`nexus.checks` choose.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from nexus.embedded import Launch, Postgres, Redis, launched
from nexus.instance import ROOT, Instance, end_processes, processes_in
from nexus.supervisor import Service

# NEXUS_DRAIN_TIMEOUT_S, and what it takes to flush: the server ends its streams itself.
WEB_GRACE_S = 55
ORPHAN_GRACE_S = 10.0


def clear_strays(instance: Instance) -> None:
    """Ends what an earlier copy left behind. To be called with the instance's lock held."""
    strays = instance.strays()
    if strays:
        end_processes(strays, ORPHAN_GRACE_S)


def base_environment(instance: Instance) -> dict[str, str]:
    """The caller's environment with what is missing filled in, but for the services' addresses."""
    # What a file holds is not made here.
    made = {name: value for name, value in instance.secrets().items() if not os.environ.get(f"{name}_FILE")}
    environment = {**made, **os.environ, "NEXUS_VAR": str(instance.var)}
    environment["NEXUS_INSTANCE"] = str(instance.var)
    # Logs are files here: what is printed must reach them at once, also when the process is killed.
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")
    return environment


def postgres_service(instance: Instance, *, throwaway: bool = False) -> tuple[Service, str]:
    """The embedded Postgres, prepared, and its DATABASE_URL."""
    postgres = Postgres(instance.var, throwaway=throwaway)
    postgres.prepare()
    return _embedded_service(instance, postgres, signal.SIGQUIT), postgres.url


def redis_service(instance: Instance) -> tuple[Service, str]:
    """The embedded Redis, prepared, and its REDIS_URL."""
    redis = Redis(instance.var)
    redis.prepare()
    return _embedded_service(instance, redis, signal.SIGKILL), redis.url


def _embedded_service(instance: Instance, server: Postgres | Redis, force_signal: signal.Signals) -> Service:
    launch = server.launch()

    def clear() -> None:
        # A killed Postgres takes its sessions a moment to notice; two servers on one folder would ruin it.
        end_processes(processes_in(server.data), ORPHAN_GRACE_S)
        server.clear_leftovers()

    return Service(
        name=server.name,
        argv=launch.argv,
        env=dict(os.environ),
        folder=ROOT,
        stop_signal=launch.stop_signal,
        force_signal=force_signal,
        ready=server.ready,
        # Redis reads its append-only file and Postgres its log after a crash: that is long after heavy
        # traffic.
        ready_timeout_s=300,
        clear=clear,
    )


def web_service(environment: dict[str, str], host: str, port: int, processes: int) -> Service:
    program = ["-m", "nexus.serve", "gateway", "--host", host, "--port", str(port), "--processes", str(processes)]
    counters = Path(environment["NEXUS_VAR"]) / "run" / "metrics"

    def clear() -> None:
        # A process that died keeps its files until then: what it counted still counts.
        shutil.rmtree(counters, ignore_errors=True)
        counters.mkdir(parents=True)

    if processes > 1:
        # Whichever process is asked for /metrics answers for all.
        environment = {**environment, "PROMETHEUS_MULTIPROC_DIR": str(counters)}
    return _python_service("web", program, environment, ready=lambda: answers(host, port, "/readyz"), clear=clear)


# One may wait for receivers of alerts that hang, one for a judge, and one for Stripe, while the fourth books usage.
WORKERS = 4


def worker_service(environment: dict[str, str], instance: Instance) -> Service:
    program = ["-m", "celery", "-A", "nexus", "worker", "--concurrency", str(WORKERS), "--loglevel", "INFO"]
    program += ["--without-gossip", "--without-mingle"]
    ready = says(instance.logs / "worker.log", b" ready.")
    return _python_service("worker", program, environment, ready=ready)


def beat_service(environment: dict[str, str], instance: Instance) -> Service:
    # The file says when each job ran last. One that a crash cut short stops every start of beat, so it is
    # not kept.
    schedule = instance.var / "run" / "beat-schedule"

    def clear() -> None:
        for leftover in schedule.parent.glob(f"{schedule.name}*"):
            leftover.unlink()

    program = ["-m", "celery", "-A", "nexus", "beat", "--schedule", str(schedule), "--pidfile="]
    ready = says(instance.logs / "beat.log", b"beat: Starting")
    return _python_service("beat", [*program, "--loglevel", "INFO"], environment, ready=ready, clear=clear)


def fake_stripe_service(environment: dict[str, str], port: int) -> Service:
    """A Stripe that moves no money, from the tests' folder. What it knows lives as long as its process."""
    program = ["-m", "uvicorn", "tests.fakes.stripe:application", "--host", "127.0.0.1", "--port", str(port)]
    program += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    return _python_service("stripe", program, environment, ready=lambda: answers("127.0.0.1", port, "/_fake/ready"))


def says(log: Path, words: bytes) -> Callable[[], bool]:
    """A readiness for programs that only tell by their log: whether it has these words since now."""
    offset = log.stat().st_size if log.exists() else 0

    def ready() -> bool:
        if not log.exists():
            return False
        with open(log, "rb") as lines:
            # A smaller file is a new one: the supervisor has put the full one aside.
            lines.seek(offset if log.stat().st_size >= offset else 0)
            return words in lines.read()

    return ready


def _python_service(
    name: str,
    program: list[str],
    environment: dict[str, str],
    *,
    ready: Callable[[], bool] = lambda: True,
    clear: Callable[[], None] = lambda: None,
) -> Service:
    launch: Launch = launched([sys.executable, *program], signal.SIGTERM)
    return Service(
        name=name,
        argv=launch.argv,
        env=environment,
        folder=ROOT,
        stop_signal=launch.stop_signal,
        stop_timeout_s=WEB_GRACE_S + 5,
        ready=ready,
        clear=clear,
    )


def answers(host: str, port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def model_build_command(models: Path) -> list[str]:
    return [sys.executable, "-m", "gateway.cache.embedding.build", "--cache-dir", str(models)]
