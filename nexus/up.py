"""`bin/up`: starts everything a stranger needs to see a request answered, and stops it again.

Reads NEXUS_PORT, NEXUS_BIND, NEXUS_WEB_PROCESSES and NEXUS_FAKE_STRIPE_PORT; all else is settings, read by the
processes it starts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from nexus import banner, env, stack
from nexus.embedded import launched
from nexus.instance import ROOT, Instance, var_folder
from nexus.preflight import Trouble, require_disk, require_port, say, step
from nexus.supervisor import Supervisor, last_line, signal_group

START_NEEDS_MB = 500
# What a detached copy prints when it is ready; it never appears in text.
READY_MARK = "\0"
FAKE_STRIPE = "--with-fake-stripe"
# Obviously nobody's, and of the form that dj-stripe takes.
FAKE_STRIPE_KEY = "sk_test_FakeStripeMovesNoMoney00000000"


class Options(argparse.Namespace):
    detach: bool
    child: bool
    with_fake_stripe: bool


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="bin/up", description="Starts NexusGateway and everything it needs.")
    parser.add_argument("--detach", action="store_true", help="return when it is ready; bin/down stops it")
    parser.add_argument(
        FAKE_STRIPE, action="store_true", help="also start a Stripe that moves no money, with the plans in it"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments, namespace=Options())


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Address:
    """Where the web process listens, and what people type."""

    def __init__(self) -> None:
        self.port = env.integer("NEXUS_PORT", 8000, "Port that bin/up listens on.", minimum=1)
        self.host = env.text("NEXUS_BIND", "127.0.0.1", "Address that bin/up listens on.")
        self.processes = env.integer("NEXUS_WEB_PROCESSES", 1, "Gateway processes that bin/up starts.", minimum=1)
        self.fake_stripe_port = env.integer(
            "NEXUS_FAKE_STRIPE_PORT", 12111, "Port of the fake Stripe that bin/up --with-fake-stripe starts.", minimum=1
        )
        self.url = f"http://localhost:{self.port}"
        self.fake_stripe_url = f"http://127.0.0.1:{self.fake_stripe_port}"


def require_fake_stripe() -> None:
    """Refuses the fake where it is missing, or where it would stand in for real payments."""
    if not (ROOT / "tests" / "fakes" / "stripe").is_dir():
        raise Trouble(
            f"{FAKE_STRIPE} needs the folder tests/fakes/stripe, which this copy lacks: use a checkout of it."
        )
    if os.environ.get("STRIPE_SECRET_KEY_FILE"):
        raise Trouble(f"STRIPE_SECRET_KEY_FILE is set, and {FAKE_STRIPE} takes its place: unset one of the two.")
    if "_live_" in os.environ.get("STRIPE_SECRET_KEY", ""):
        raise Trouble(f"STRIPE_SECRET_KEY is a live key, and {FAKE_STRIPE} takes its place: unset one of the two.")


async def start_fake_stripe(supervisor: Supervisor, environment: dict[str, str], address: Address) -> None:
    """Starts it, and names it to whatever is started after."""
    with step("Fake Stripe"):
        await supervisor.start(stack.fake_stripe_service(environment, address.fake_stripe_port))
    environment |= {"STRIPE_SECRET_KEY": FAKE_STRIPE_KEY, "STRIPE_API_BASE": address.fake_stripe_url}


async def teach_fake_stripe(instance: Instance, environment: dict[str, str]) -> None:
    """Puts the plans into it, and our address for its webhooks."""
    with step("Plans in the fake Stripe"):
        command = [sys.executable, "manage.py", "stripe_sync"]
        await finish("stripe_sync", command, environment, instance.logs / "stripe-sync.log")


def fake_stripe_text(url: str) -> str:
    advance = f"curl -s {url}/_fake/advance -d '{{\"seconds\": 86400}}'"
    return f"Stripe: the fake one at {url}. It forgets all when this stops; its clock can be moved: {advance}\n"


async def run(instance: Instance, address: Address, supervisor: Supervisor, options: Options) -> None:
    """Starts all, tells, then waits to be cancelled."""
    environment = stack.base_environment(instance)
    environment.setdefault("NEXUS_PUBLIC_URL", address.url)
    if options.with_fake_stripe:
        await start_fake_stripe(supervisor, environment, address)
    if address.host in LOOPBACK:
        # On one's own machine, Ollama and vLLM are at home.
        environment.setdefault("NEXUS_PRIVATE_PROVIDERS", "on")
    model = asyncio.create_task(build_model(instance, environment))
    try:
        await start_services(instance, supervisor, environment)
        await prepare(instance, environment)
        with step("Embedding model"):
            await model
    finally:
        model.cancel()
        with contextlib.suppress(asyncio.CancelledError, Trouble):
            await model
    with step("Worker, beat and web"):
        # They stop in the reverse order: web first, so that what it still writes finds a worker.
        await supervisor.start(
            stack.beat_service(environment, instance),
            stack.worker_service(environment, instance),
            stack.web_service(environment, address.host, address.port, address.processes),
        )
    if options.with_fake_stripe:
        await teach_fake_stripe(instance, environment)
    say(banner.text(instance, environment, stop_with="bin/down" if options.child else "Ctrl-C"))
    if options.with_fake_stripe:
        say(fake_stripe_text(address.fake_stripe_url))
    if options.child:
        leave_terminal(instance)
    await asyncio.Event().wait()


async def start_services(instance: Instance, supervisor: Supervisor, environment: dict[str, str]) -> None:
    """Starts what the environment does not name already, and names it."""
    if env.is_given("DATABASE_URL", environment):
        say("  Postgres: the one that DATABASE_URL names")
    else:
        with step("Postgres"):
            service, environment["DATABASE_URL"] = await asyncio.to_thread(stack.postgres_service, instance)
            await supervisor.start(service)
    if env.is_given("REDIS_URL", environment):
        say("  Redis: the one that REDIS_URL names")
    else:
        with step("Redis"):
            service, environment["REDIS_URL"] = await asyncio.to_thread(stack.redis_service, instance)
            await supervisor.start(service)


async def build_model(instance: Instance, environment: dict[str, str]) -> None:
    """Beside the database's steps: it needs neither of them, and seconds of a core the first time."""
    models = Path(environment.get("NEXUS_MODEL_DIR") or instance.var / "models")
    await finish("model", stack.model_build_command(models), environment, instance.logs / "model.log")


async def prepare(instance: Instance, environment: dict[str, str]) -> None:
    """Migrations, static files, the demo tenant; that process prints its own steps."""
    command = [sys.executable, "-m", "nexus.prepare", "--demo"]
    await finish("prepare", command, environment, instance.logs / "prepare.log", shown=True)


async def finish(name: str, command: list[str], environment: dict[str, str], log: Path, *, shown: bool = False) -> None:
    """Runs a command to its end; its failure becomes a sentence. A cancelled one is ended with us."""
    with open(log, "ab") as out:
        process = await asyncio.create_subprocess_exec(
            *launched(command, signal.SIGTERM).argv,
            env=environment,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=None if shown else out,
            stderr=out,
            start_new_session=True,
        )
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if status != 0:
        raise Trouble(f"The {name} step failed: {last_line(log)} (all of it in {log}).")


async def supervise(instance: Instance, address: Address, options: Options) -> None:
    """Runs until a signal or a failure, then stops all that was started."""
    supervisor = Supervisor(instance.logs, say)
    running = asyncio.create_task(run(instance, address, supervisor, options))
    asked_at: list[float] = []

    def interrupt() -> None:
        if asked_at:
            say("Stopping at once")
            supervisor.force()
        else:
            say("\nStopping. Once more, and it stops without waiting for streams and jobs.")
            running.cancel()
        asked_at.append(asyncio.get_running_loop().time())

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` and a shell's `&` ignore some on purpose.
        if signal.getsignal(signum) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(signum, interrupt)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        await supervisor.stop()
        say("Stopped.")


def start(instance: Instance, address: Address, options: Options) -> None:
    if options.with_fake_stripe:
        require_fake_stripe()
    instance.make_folders()
    require_disk(instance.var, START_NEEDS_MB)
    with instance.held(address.url):
        stack.clear_strays(instance)
        require_port(address.host, address.port)
        if options.with_fake_stripe:
            require_port("127.0.0.1", address.fake_stripe_port)
        say(f"NexusGateway from {instance.var}")
        asyncio.run(supervise(instance, address, options))


def leave_terminal(instance: Instance) -> None:
    """A detached copy tells its starter that all is ready, then prints to its own log."""
    print(READY_MARK, end="", flush=True)
    log = os.open(instance.logs / "up.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def start_detached(instance: Instance, options: Options) -> int:
    """Starts a copy in its own session and shows what it prints until it is ready or gone."""
    child = subprocess.Popen(
        [sys.executable, "-m", "nexus.up", "--child", *([FAKE_STRIPE] if options.with_fake_stripe else [])],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        while text := os.read(child.stdout.fileno(), 65536).decode(errors="replace"):
            show(text.replace(READY_MARK, ""))
            if READY_MARK in text:
                show(f"It runs in the background as process {child.pid}. Its logs: {instance.logs}\n")
                # Not waited for: it outlives this process, which would complain about that.
                child.returncode = 0
                return 0
        return child.wait()
    except KeyboardInterrupt:
        child.terminate()
        return child.wait() or 130


def show(text: str) -> None:
    """Prints, and goes on when nobody reads: a reader that leaves must not stop the start."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    instance = Instance(var_folder())
    try:
        if options.detach:
            return start_detached(instance, options)
        start(instance, Address(), options)
    except (Trouble, ImproperlyConfigured) as trouble:
        print(trouble, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
