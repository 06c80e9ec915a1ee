"""`python -m nexus.startup ROLE [-- COMMAND …]`: looks at what ROLE needs before it starts, and names what is wrong.

What is wrong stops the start with a sentence that says what to do. What is only away does not, unless --strict: a
gateway answers without Redis and without Postgres, and one that refuses to start would make an outage worse.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import django
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import OperationalError

ROLES = ("gateway", "web", "worker", "beat", "embedder", "upgrade")


class Wrong(Exception):
    """The message is a sentence that says what to do."""


class Away(Exception):
    """Something cannot be reached; it may come back by itself."""


class Check(NamedTuple):
    name: str
    look: Callable[[], None]
    roles: tuple[str, ...]


class Found(NamedTuple):
    """What one check says; `message` is empty where all is well."""

    name: str
    message: str
    is_wrong: bool


class Options(argparse.Namespace):
    role: str
    strict: bool
    wait: float
    command: list[str]


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m nexus.startup", description="Checks before a start.")
    parser.add_argument("role", choices=ROLES, help="what is about to start")
    parser.add_argument("--strict", action="store_true", help="stop also when Postgres or Redis cannot be reached")
    parser.add_argument("--wait", type=float, default=0.0, metavar="S", help="for Postgres and Redis so long (0)")
    parser.epilog = "After “--”: the command that it becomes when nothing is wrong."
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:at], namespace=Options())
    options.command = arguments[at + 1 :]
    return options


def look(role: str, *, wait_s: float = 0.0) -> list[Found]:
    """What each of the role's checks finds. What is away is asked again until `wait_s` are over."""
    from nexus import startup_checks

    until = time.monotonic() + wait_s
    return [_outcome(check, until) for check in startup_checks.CHECKS if role in check.roles]


def _outcome(check: Check, until: float) -> Found:
    while True:
        try:
            check.look()
        except Wrong as wrong:
            return Found(check.name, str(wrong), is_wrong=True)
        except (Away, OperationalError) as away:
            if time.monotonic() < until:
                time.sleep(0.5)
                continue
            message = str(away) if isinstance(away, Away) else "Postgres cannot be reached."
            return Found(check.name, message, is_wrong=False)
        return Found(check.name, "", is_wrong=False)


def tell(found: list[Found], *, strict: bool) -> bool:
    """Prints each; whether the start may go on."""
    stopped = False
    for name, message, is_wrong in found:
        stops = bool(message) and (is_wrong or strict)
        stopped = stopped or stops
        line = f"{name}: {message}" if message else f"{name}: ok"
        print(line, file=sys.stderr if message else sys.stdout, flush=True)
    return not stopped


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        print(f"settings: {error}", file=sys.stderr, flush=True)
        return 1
    if not tell(look(options.role, wait_s=options.wait), strict=options.strict):
        return 1
    if options.command:
        sys.stdout.flush()
        os.execvp(options.command[0], options.command)
    return 0


if __name__ == "__main__":
    # The checks raise this module's exceptions: one module, not also a second one under the name “__main__”.
    from nexus import startup

    sys.exit(startup.main(sys.argv[1:]))
