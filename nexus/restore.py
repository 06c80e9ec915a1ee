"""`bin/restore FOLDER`: a backup into an empty database and an empty Redis; then all books agree, or it says that not.

Counters are made anew from the ledger with each workspace's first call. Stop gateways and workers before.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import redis
from django.core.exceptions import ImproperlyConfigured

from nexus import backup
from nexus.preflight import Trouble, say, step


def restore(folder: Path, *, replaces: bool) -> None:
    """Raises Trouble."""
    from django.db import connection

    from nexus import postgres_tools

    manifest = backup.read_manifest(folder)
    _require_keys(manifest)
    _require_release(manifest)
    _make_room(replaces=replaces)
    with step("Database"):
        # Its owner is who restores: roles are the server's, and no part of a backup.
        arguments = [
            "--no-owner",
            "--no-privileges",
            "--no-comments",
            "--exit-on-error",
            "--dbname",
            connection.settings_dict["NAME"],
        ]
        postgres_tools.run("pg_restore", [*arguments, str(folder / backup.DUMP)])
    with step("Comparing with what was backed up"), connection.cursor() as cursor:
        found = backup.totals(cursor)
        if found != manifest["totals"]:
            raise Trouble(f"The database has {found}, and the backup had {manifest['totals']}: restore it again.")
    with step(f"Usage that was not booked, {manifest['events_waiting']:,} events"):
        _replay_events(folder / backup.EVENTS)


def _require_keys(manifest: dict[str, Any]) -> None:
    missing = set(manifest["encryption_keys"]) - set(backup.fingerprints())
    if missing:
        raise Trouble(
            f"NEXUS_ENCRYPTION_KEYS lack {len(missing)} of the keys of that time: set them first, or no credential can"
            " be read."
        )


def _require_release(manifest: dict[str, Any]) -> None:
    from django.db.migrations.loader import MigrationLoader

    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    newer = sorted(set(manifest["migrations"]) - known)
    if newer:
        raise Trouble(f"The backup is of a later release ({newer[-1]}): restore it with that one.")


def _make_room(*, replaces: bool) -> None:
    """Raises Trouble where something is there, unless it is to be replaced."""
    from django.conf import settings
    from django.db import connection
    from psycopg import sql

    from tenants.db import open_redis

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            " AND (nspname <> 'public' OR EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = 'public'))"
        )
        schemas = [name for (name,) in cursor.fetchall()]
        if schemas and not replaces:
            raise Trouble(
                f"{settings.DATABASES['default']['NAME']} is not empty ({len(schemas)} schemas): name an empty"
                " database, or use --force, which deletes all that is in it."
            )
        # One by one: all locks of a thousand schemas in one transaction are more than a server has.
        for name in schemas:
            cursor.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        # The dump makes it, together with what is in it.
        cursor.execute("CREATE SCHEMA IF NOT EXISTS public")
        if not schemas:
            cursor.execute("DROP EXTENSION IF EXISTS vector")
    bus_of_all = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=backup.REDIS_TIMEOUT_S)
    with open_redis(timeout_s=backup.REDIS_TIMEOUT_S) as client, bus_of_all as bus:
        if (client.dbsize() or bus.dbsize()) and not replaces:
            raise Trouble("Redis is not empty: name an empty one, or use --force, which empties it.")
        for each in (client, bus):
            each.flushdb()


def _replay_events(file: Path) -> None:
    """Into the streams, and on into the books: a counter that is made before that would lack them."""
    from analytics.drain import Drain
    from tenants.db import open_redis

    with open_redis(timeout_s=backup.REDIS_TIMEOUT_S) as client:
        with gzip.open(file, "rt", encoding="ascii") as lines:
            for line in lines:
                entry = json.loads(line)
                fields: Any = {name: base64.b64decode(value) for name, value in entry["fields"].items()}
                client.xadd(entry["stream"], fields)
        Drain(client).run(pass_s=3600)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/restore", description="Restores a backup of bin/backup.")
    parser.add_argument("folder", type=Path, help="the backup")
    parser.add_argument("--force", action="store_true", help="delete what is in the database and in Redis first")
    options = parser.parse_args(arguments)
    try:
        backup.set_up()
        restore(options.folder, replaces=options.force)
    except (Trouble, ImproperlyConfigured, redis.RedisError) as trouble:
        print(trouble, file=sys.stderr)
        return 1
    say("Restored. Now: python -m nexus.upgrade (for a backup of an earlier release), then start gateways and workers.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
