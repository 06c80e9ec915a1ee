"""Brings a database up to date: migrations, static files, demo tenant; in one process, as starts are slow.

Run as `python -m nexus.prepare [--demo]`. What the commands print goes to `<var>/log/prepare.log`.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import Any, TextIO

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from nexus.preflight import step


def pending_schemas() -> tuple[bool, int]:
    """Whether the public schema lacks a migration, and how many tenants do.

    One query a schema; the migrate command needs a quarter of a second for each tenant that lacks nothing.
    """
    wanted = set(MigrationLoader(None).graph.leaf_nodes())
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = 'django_migrations'")
        schemas = {schema for (schema,) in cursor.fetchall()}
        if "public" not in schemas:
            return True, 0
        lacking = set()
        for schema in schemas:
            cursor.execute(sql.SQL("SELECT app, name FROM {}").format(sql.Identifier(schema, "django_migrations")))
            if not wanted <= set(cursor.fetchall()):
                lacking.add(schema)
    return "public" in lacking, len(lacking - {"public"})


def migrate(log: TextIO) -> None:
    public, tenants = pending_schemas()
    if public:
        run("Database tables", log, "migrate_schemas", shared=True, interactive=False)
    if tenants:
        run(f"Tables of {tenants} tenants", log, "migrate_schemas", tenant=True, interactive=False)


def collect_static(log: TextIO) -> None:
    """Unless nothing has changed: the packages' part of it is as old as the packages are."""
    stamp = settings.STATIC_ROOT / ".collected"
    sources = [*(settings.BASE_DIR / "static").rglob("*"), settings.BASE_DIR / "requirements.txt"]
    newest = max(path.stat().st_mtime_ns for path in sources)
    if stamp.exists() and stamp.read_text(encoding="ascii") == str(newest):
        return
    run("Static files", log, "collectstatic", interactive=False, verbosity=0)
    stamp.write_text(str(newest), encoding="ascii")


def run(title: str, log: TextIO, command: str, **options: Any) -> None:
    # Some commands print past the streams they are given.
    with step(title), contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        call_command(command, stdout=log, stderr=log, **options)


def main(arguments: list[str]) -> int:
    with step("Django"):
        django.setup()
    logs = settings.VAR_DIR / "log"
    logs.mkdir(parents=True, exist_ok=True)
    with open(logs / "prepare.log", "a", encoding="utf-8") as log:
        try:
            migrate(log)
            collect_static(log)
            if "--demo" in arguments:
                run("Demo tenant", log, "demo")
        except Exception as error:
            traceback.print_exc(file=log)
            print(f"{type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
