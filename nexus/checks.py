"""`bin/test`: every check of the project on throw-away services, beside whatever else runs on the machine.

With arguments only pytest runs, with those arguments. The exit status is that of the worst check.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nexus import stack
from nexus.embedded import remove_sockets
from nexus.instance import ROOT, Instance, var_folder
from nexus.preflight import Trouble, require_disk, say, step
from nexus.supervisor import Supervisor
from nexus.up import build_model, finish

TESTS_NEED_MB = 1000
# Each with a gateway, a provider and a browser takes about 1.5 GB.
MOST_PROCESSES = 4
APPS = ("analytics", "billing", "gateway", "nexus", "tenants")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


class Check(NamedTuple):
    name: str
    command: list[str]


def checks(arguments: list[str]) -> list[Check]:
    scripts = Path(sys.executable).parent
    pytest = Check("pytest", [sys.executable, "-m", "pytest", *(arguments or whole_suite())])
    if arguments:
        return [pytest]
    return [
        Check("ruff check", [str(scripts / "ruff"), "check", "."]),
        Check("ruff format", [str(scripts / "ruff"), "format", "--check", "."]),
        Check("mypy", [sys.executable, "-m", "mypy", "."]),
        Check("import contracts", [str(scripts / "lint-imports")]),
        Check("bandit", [str(scripts / "bandit"), "-q", "-c", "pyproject.toml", "-r", *APPS, "bin"]),
        Check("migrations", [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]),
        Check("migrations since the release", [sys.executable, "-m", "nexus.migration_rules"]),
        pytest,
    ]


def whole_suite() -> list[str]:
    """Each file by one of several processes, which have a database and a Redis of their own (tests.parallel)."""
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    return ["-n", str(processes), "--dist", "loadfile", "--durations", "25", *browser_arguments()]


def browser_arguments() -> list[str]:
    """What keeps pytest from the browser's tests where there is no browser; says so."""
    if any(shutil.which(name) for name in CHROMIUM_NAMES):
        return []
    say("Chromium is missing, so the browser tests are SKIPPED; on Debian: apt-get install chromium")
    return ["--ignore=tests/browser"]


@contextlib.contextmanager
def throwaway_instance(var: Path) -> Iterator[Instance]:
    """A folder of its own below `var`, removed afterwards, as are those of runs that were killed."""
    var.mkdir(parents=True, exist_ok=True)
    for old in var.glob("test-*"):
        leftover = Instance(old)
        # One without a lock yet belongs to a run that starts at this moment.
        if (old / "run" / "lock").exists() and not leftover.is_held():
            stack.clear_strays(leftover)
            remove_sockets(old)
            shutil.rmtree(old, ignore_errors=True)
    # The logs stay: they are what a failure's sentence points to.
    instance = Instance(Path(tempfile.mkdtemp(prefix="test-", dir=var)), logs=var / "log" / "test")
    instance.make_folders()
    try:
        with instance.held("a test run"):
            yield instance
    finally:
        remove_sockets(instance.var)
        shutil.rmtree(instance.var, ignore_errors=True)


def hermetic(environment: dict[str, str], instance: Instance) -> dict[str, str]:
    """Without the caller's settings and provider keys: tests must neither depend on them nor spend money."""
    foreign = ("NEXUS_", "OPENAI_", "ANTHROPIC_", "STRIPE_")
    kept = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    source = {name: environment[name] for name in ("NEXUS_MODEL_SOURCE_DIR",) if name in environment}
    made = {"NEXUS_VAR": str(instance.var), "NEXUS_INSTANCE": str(instance.var)}
    models = environment.get("NEXUS_MODEL_DIR") or str(var_folder().resolve() / "models")
    return {**kept, **instance.secrets(), **source, **made, "NEXUS_MODEL_DIR": models}


async def services_and_checks(instance: Instance, arguments: list[str]) -> list[str]:
    """Starts the services, runs each check, stops the services; the names of the checks that failed."""
    supervisor = Supervisor(instance.logs, say)
    environment = hermetic(stack.base_environment(instance), instance)
    try:
        with step("Postgres"):
            service, environment["DATABASE_URL"] = await asyncio.to_thread(
                stack.postgres_service, instance, throwaway=True
            )
            await supervisor.start(service)
        with step("Redis"):
            service, environment["REDIS_URL"] = await asyncio.to_thread(stack.redis_service, instance)
            await supervisor.start(service)
        with step("Embedding model"):
            await build_model(instance, environment)
        with step("Static files"):
            command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
            await finish("static files", command, environment, instance.logs / "static.log")
        return [check.name for check in checks(arguments) if not await passes(check, environment)]
    finally:
        await supervisor.stop()


async def passes(check: Check, environment: dict[str, str]) -> bool:
    say(f"\n== {check.name}")
    process = await asyncio.create_subprocess_exec(*check.command, env=environment, cwd=ROOT)
    try:
        return await process.wait() == 0
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        raise


async def cancelled_by_signals(instance: Instance, arguments: list[str]) -> list[str]:
    running = asyncio.create_task(services_and_checks(instance, arguments))
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, running.cancel)
    return await running


def main(arguments: list[str]) -> int:
    try:
        with throwaway_instance(var_folder().resolve()) as instance:
            require_disk(instance.var, TESTS_NEED_MB)
            failed = asyncio.run(cancelled_by_signals(instance, arguments))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("Stopped before the end.", file=sys.stderr)
        return 130
    say(f"\nFailed: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
