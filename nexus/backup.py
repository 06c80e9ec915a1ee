"""`bin/backup FOLDER`: all that is true, while traffic goes on: the database as of one moment, and usage not yet in it.

What had been answered when it begins is in it. Redis' counters, limits and caches are not: they are made anew. Nor are
the encryption keys: who has both reads every credential, so they are kept apart.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import datetime as dt
import gzip
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import redis
from django.core.exceptions import ImproperlyConfigured

from nexus import env, stack
from nexus.embedded import Postgres, Redis
from nexus.instance import Instance, var_folder
from nexus.preflight import Trouble, say, step

FORMAT = 1
DUMP, EVENTS, MANIFEST = "database.dump", "events.jsonl.gz", "manifest.json"
REDIS_TIMEOUT_S = 30
_BLOCK = 1 << 20


def set_up() -> None:
    """As bin/manage: the services of the environment, else of this folder. Raises Trouble, ImproperlyConfigured."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")
    if not (env.is_given("DATABASE_URL", os.environ) and env.is_given("REDIS_URL", os.environ)):
        instance = Instance(var_folder())
        os.environ.update(stack.base_environment(instance))
        os.environ["DATABASE_URL"] = Postgres(instance.var).url
        os.environ["REDIS_URL"] = Redis(instance.var).url
    django.setup()


def back_up(folder: Path) -> dict[str, Any]:
    """The manifest. Raises Trouble."""
    from nexus import postgres_tools

    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Trouble(f"{folder} is not empty: name a folder for this backup alone.")
    folder.chmod(0o700)
    began = dt.datetime.now(dt.UTC)
    with step("Usage that is not booked yet"):
        # Before the database's moment: what is booked in between is in both, and counts once by its id.
        waiting = dump_events(folder / EVENTS)
    with step("Database"), _snapshot() as (snapshot, totals):
        postgres_tools.run(
            "pg_dump",
            ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={folder / DUMP}"],
        )
    manifest = {
        "format": FORMAT,
        "began": began.isoformat(),
        "ended": dt.datetime.now(dt.UTC).isoformat(),
        "events_waiting": waiting,
        "totals": totals,
        "migrations": released(),
        "encryption_keys": fingerprints(),
        "files": {name: describe(folder / name) for name in (DUMP, EVENTS)},
    }
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    # Last, and whole or not at all: a folder without it is no backup.
    draft.rename(folder / MANIFEST)
    return manifest


def dump_events(file: Path) -> int:
    """Entries of all usage streams, and of those that could not be booked."""
    from tenants import keyspace
    from tenants.db import open_redis

    streams = [keyspace.usage_stream(number) for number in range(keyspace.PARTITIONS)]
    count = 0
    with open_redis(timeout_s=REDIS_TIMEOUT_S) as client, gzip.open(file, "wt", encoding="ascii") as out:
        for stream in [*streams, *map(keyspace.dead_letters_of, streams)]:
            after = "-"
            while entries := client.xrange(stream, min=after, count=1000):
                for _, fields in entries:
                    packed = {name.decode(): base64.b64encode(value).decode() for name, value in fields.items()}
                    out.write(json.dumps({"stream": stream, "fields": packed}) + "\n")
                    count += 1
                after = f"({entries[-1][0].decode()}"
    return count


@contextlib.contextmanager
def _snapshot() -> Iterator[tuple[str, dict[str, Any]]]:
    """The moment of which the dump is, and what it holds then."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        yield cursor.fetchone()[0], totals(cursor)


def totals(cursor: Any) -> dict[str, Any]:
    """What must be the same after a restore."""
    from psycopg import sql

    cursor.execute("SELECT count(*) FROM tenants_tenant")
    (tenants,) = cursor.fetchone()
    cursor.execute("SELECT count(*) FROM tenants_apikey")
    (keys,) = cursor.fetchone()
    cursor.execute(
        "SELECT count(*), coalesce(sum(requests), 0), coalesce(sum(tokens), 0), coalesce(sum(cost_usd), 0)"
        " FROM billing_ledgerentry"
    )
    entries, requests, tokens, cost_usd = cursor.fetchone()
    cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'analytics_usagerecord' ORDER BY schemaname")
    records = 0
    for (schema,) in cursor.fetchall():
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, "analytics_usagerecord")))
        records += cursor.fetchone()[0]
    ledger = {"entries": entries, "requests": int(requests), "tokens": int(tokens), "cost_usd": str(cost_usd)}
    return {"tenants": tenants, "api_keys": keys, "usage_records": records, "ledger": ledger}


def released() -> list[str]:
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def fingerprints() -> list[str]:
    """By which a restore sees whether it has the right keys; nobody works a key out from one."""
    from django.conf import settings

    return [hashlib.sha256(key.encode()).hexdigest()[:16] for key in settings.ENCRYPTION_KEYS]


def describe(file: Path) -> dict[str, Any]:
    with open(file, "rb") as content:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Of a backup that is whole. Raises Trouble."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Trouble(f"{folder} has no {MANIFEST}: it is no backup, or one that was cut off.") from None
    except ValueError as error:
        raise Trouble(f"{folder / MANIFEST} cannot be read: {error}.") from error
    if manifest["format"] != FORMAT:
        raise Trouble(f"{folder} is of format {manifest['format']}, and this release reads {FORMAT}: use its release.")
    for name, described in manifest["files"].items():
        if not (folder / name).exists() or describe(folder / name) != described:
            raise Trouble(f"{folder / name} is not what was written: take another backup's.")
    return manifest


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/backup", description="Backs up the database and usage not yet in it.")
    parser.add_argument("folder", type=Path, help="for this backup alone; with --verify, one that was written")
    parser.add_argument("--verify", action="store_true", help="only look whether the backup is whole and readable")
    options = parser.parse_args(arguments)
    try:
        set_up()
        if options.verify:
            from nexus import postgres_tools

            manifest = read_manifest(options.folder)
            postgres_tools.run("pg_restore", ["--list", "--file=/dev/null", str(options.folder / DUMP)])
        else:
            manifest = back_up(options.folder)
    except (Trouble, ImproperlyConfigured, redis.RedisError) as trouble:
        print(trouble, file=sys.stderr)
        return 1
    held, ledger = manifest["totals"], manifest["totals"]["ledger"]
    say(
        f"{options.folder}: {held['tenants']:,} workspaces, {held['usage_records']:,} records,"
        f" {ledger['requests']:,} requests and {ledger['cost_usd']} USD in the ledger,"
        f" {manifest['events_waiting']:,} events not yet booked."
    )
    say("NEXUS_ENCRYPTION_KEYS are not in it: keep them elsewhere, or no credential in it can be read.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
