"""`python -m nexus.upgrade`: brings all tables to this release while the one before goes on serving.

One at a time, by an advisory lock. No statement waits for a lock longer than --lock-timeout, since whoever comes after
would wait behind it; it is tried again instead. What is done is noted in each schema: whoever stops goes on there.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator

import django
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.db.backends.signals import connection_created
from django.db.utils import OperationalError
from psycopg import sql
from psycopg.errors import LockNotAvailable

# Any number; everybody who upgrades uses the same.
LOCK = 0x4E585550
LONGEST_PAUSE_S = 10.0


class Options(argparse.Namespace):
    lock_timeout_ms: int
    attempts: int
    batch: int
    check: bool


class Stuck(Exception):
    """The message is a sentence that says what to do."""


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m nexus.upgrade", description="Migrates all tables, under load.")
    parser.add_argument("--lock-timeout", dest="lock_timeout_ms", type=int, default=2000, metavar="MS", help="(2000)")
    parser.add_argument("--attempts", type=int, default=30, metavar="N", help="of a schema that is in use (30)")
    parser.add_argument("--batch", type=int, default=50, metavar="N", help="say so after each N workspaces (50)")
    parser.add_argument("--check", action="store_true", help="only say what is to be done: 1 when something is")
    return parser.parse_args(arguments, namespace=Options())


def run(options: Options, say: Callable[[str], None]) -> int:
    """0 when all is done, 1 when some workspaces could not be migrated."""
    if options.check:
        missing = lacking()
        say(f"{len(missing):,} schemas lack migrations." if missing else "All tables are of this release.")
        return 1 if missing else 0
    with _only_one(say), _short_waits(options.lock_timeout_ms):
        if "public" in lacking():
            _migrate("public", options)
            say("The shared tables are of this release.")
        tried: set[str] = set()
        failed: dict[str, str] = {}
        # Again, since workspaces that the release before makes meanwhile have its tables.
        while todo := [schema for schema in lacking() if schema not in tried]:
            tried.update(todo)
            _migrate_tenants(todo, options, say, failed)
    for schema, reason in sorted(failed.items()):
        say(f"{schema}: {reason}")
    say(f"{len(failed):,} workspaces are left as they were: run this again." if failed else "Done.")
    return 1 if failed else 0


def lacking() -> list[str]:
    """Schemas that lack migrations of this release, `public` first. One query a schema."""
    from django.db.migrations.loader import MigrationLoader

    wanted = set(MigrationLoader(None).graph.leaf_nodes())
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = 'django_migrations'")
        schemas = {schema for (schema,) in cursor.fetchall()}
        found = [] if "public" in schemas else ["public"]
        for schema in sorted(schemas, key=lambda name: (name != "public", len(name), name)):
            cursor.execute(sql.SQL("SELECT app, name FROM {}").format(sql.Identifier(schema, "django_migrations")))
            if not wanted <= set(cursor.fetchall()):
                found.append(schema)
    return found


def _migrate_tenants(schemas: list[str], options: Options, say: Callable[[str], None], failed: dict[str, str]) -> None:
    for done, schema in enumerate(schemas, start=1):
        try:
            _migrate(schema, options)
        except Stuck as stuck:
            failed[schema] = str(stuck)
        except Exception as error:
            # The others are not made to wait for this one.
            failed[schema] = f"{type(error).__name__}: {error}".splitlines()[0]
        if done % options.batch == 0 or done == len(schemas):
            say(f"Workspaces: {done:,} of {len(schemas):,}, {len(failed):,} failed")


def _migrate(schema: str, options: Options) -> None:
    """Raises Stuck."""
    for attempt in range(options.attempts):
        try:
            _drop_half_made_indexes(schema)
            which = {"shared": True} if schema == "public" else {"schema_name": schema}
            call_command("migrate_schemas", **which, interactive=False, verbosity=0, stdout=io.StringIO())
            return
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
        finally:
            connection.set_schema_to_public()  # type: ignore[attr-defined]
        time.sleep(min(0.25 * 2**attempt, LONGEST_PAUSE_S))
    raise Stuck(
        f"its tables were in use at each of {options.attempts} attempts: look in pg_stat_activity for a"
        " transaction that stays open, end it, and run this again."
    )


def _drop_half_made_indexes(schema: str) -> None:
    """What CREATE INDEX CONCURRENTLY leaves when it is stopped: it costs writes, serves nobody, and holds the name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND n.nspname = %s",
            [schema],
        )
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema, name)))


@contextlib.contextmanager
def _only_one(say: Callable[[str], None]) -> Iterator[None]:
    """Waits for whoever else upgrades. The lock ends with its connection, so it is never left over."""
    # A connection of its own: Django's may be closed and opened again in between.
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters, autocommit=True) as own:
        got = own.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if not got or not got[0]:
            say("Another upgrade is under way: waiting for its end.")
            own.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        yield


@contextlib.contextmanager
def _short_waits(lock_timeout_ms: int) -> Iterator[None]:
    """For each connection of Django's from here on."""

    def limit(connection: object, **_: object) -> None:
        connection.cursor().execute("SELECT set_config('lock_timeout', %s, false)", [f"{lock_timeout_ms}ms"])  # type: ignore[attr-defined]

    connection_created.connect(limit)
    connection.close()
    try:
        yield
    finally:
        connection_created.disconnect(limit)
        connection.close()


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")
    try:
        django.setup()
        return run(options, lambda line: print(line, flush=True))
    except (ImproperlyConfigured, OperationalError, Stuck) as error:
        print(str(error).strip(), file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
