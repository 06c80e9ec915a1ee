"""`bin/check-migrations`: refuses migrations with which the release before cannot live, or that stall its traffic.

While a release is rolled out both run on one database. What takes something away waits for the release after the one
that stopped using it, and says so in its file: `# after-release: RemoveField entry.kind: unused since 0.2`.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import django

RELEASED = Path(__file__).with_name("released_migrations.toml")
OWN_APPS = ("analytics", "billing", "gateway", "tenants")
# Tables with a row for each request, entry or change: what scans one of them under a lock is noticed.
BIG = frozenset(
    {
        ("analytics", "usagerecord"),
        ("analytics", "usagerollup"),
        ("billing", "ledgerentry"),
        ("gateway", "cacheentry"),
        ("gateway", "cachevector"),
        ("gateway", "verdict"),
        ("tenants", "auditevent"),
    }
)
_MARK = re.compile(r"#\s*after-release:\s*(\w+ [\w.-]+):\s*(\S.*)")
_IN_BATCHES = re.compile(r"batch|chunk", re.IGNORECASE)


class Finding(NamedTuple):
    migration: str
    operation: str
    why: str

    def __str__(self) -> str:
        return f"{self.migration}: {self.operation}: {self.why}"


def label(operation: Any) -> str:
    """As a mark names it: “RemoveField entry.kind”."""
    model = getattr(operation, "model_name", "") or getattr(operation, "model_name_lower", "")
    made = getattr(operation, "index", None) or getattr(operation, "constraint", None)
    own = getattr(operation, "name", "") or getattr(operation, "old_name", "") or getattr(made, "name", "")
    parts = [part.lower() for part in (model, own) if part]
    return f"{type(operation).__name__} {'.'.join(parts) or '-'}"


def refusal(app: str, operation: Any, state: Any) -> str:
    """Why this operation may not be; empty when it may. `state` is the project's before it."""
    return _Rules(app, operation, state).refusal()


class _Rules:
    def __init__(self, app: str, operation: Any, state: Any) -> None:
        self.app, self.operation, self.state = app, operation, state
        self.model = (getattr(operation, "model_name", None) or "").lower()

    def refusal(self) -> str:
        rule = getattr(self, f"_{type(self.operation).__name__}", None)
        return rule() if rule else ""

    @property
    def _is_big(self) -> bool:
        return (self.app, self.model) in BIG

    def _taken_away(self) -> str:
        return "the release before still uses it; mark it “after-release” once that one no longer does."

    _RemoveField = _RenameField = _DeleteModel = _RenameModel = _AlterModelTable = _taken_away

    def _AddField(self) -> str:  # noqa: N802
        field = self.operation.field
        if field.many_to_many:
            return ""
        if not field.null and not field.has_db_default() and not field.primary_key:
            return "rows of the release before lack it: give it null=True or db_default."
        return self._index_of(field)

    def _AlterField(self) -> str:  # noqa: N802
        new = self.operation.field
        old = self.state.models[self.app, self.model].fields[self.operation.name]
        if old.null and not new.null:
            return "the release before may write NULL: fill it in the release after, then mark it “after-release”."
        if not _holds_all(old, new):
            return "its type changes, which rewrites the table: add another column, fill it, and read that one."
        return "" if _is_indexed(old) else self._index_of(new)

    def _index_of(self, field: Any) -> str:
        if self._is_big and _is_indexed(field):
            return "its index locks a big table: add it without one, and then the index concurrently."
        return ""

    def _AddIndex(self) -> str:  # noqa: N802
        return "it locks a big table: use AddIndexConcurrently and atomic = False." if self._is_big else ""

    def _RemoveIndex(self) -> str:  # noqa: N802
        return "it locks a big table: use RemoveIndexConcurrently and atomic = False." if self._is_big else ""

    def _AddConstraint(self) -> str:  # noqa: N802
        return "it scans a big table under a lock: use AddConstraintNotValid, then ValidateConstraint." * self._is_big

    def _AlterUniqueTogether(self) -> str:  # noqa: N802
        self.model = self.operation.name.lower()
        return "it locks a big table: make a unique index concurrently." if self._is_big else ""

    def _RunPython(self) -> str:  # noqa: N802
        if self.operation.reverse_code is None:
            return "it has no way back: give it reverse_code, if only RunPython.noop."
        if not _IN_BATCHES.search(inspect.getsource(self.operation.code)):
            return "it does not say that it works in batches, and one transaction over a table stalls who writes."
        return ""

    def _RunSQL(self) -> str:  # noqa: N802
        return "" if self.operation.reversible else "it has no way back: give it reverse_sql, if only RunSQL.noop."

    def _SeparateDatabaseAndState(self) -> str:  # noqa: N802
        refused = (refusal(self.app, each, self.state) for each in self.operation.database_operations)
        return next((why for why in refused if why), "")


def _is_indexed(field: Any) -> bool:
    return bool(field.db_index or field.unique)


def _holds_all(old: Any, new: Any) -> bool:
    """Whether the new type takes over the old one's values without rewriting the table."""
    from django.db import connection

    before, after = old.db_type(connection), new.db_type(connection)
    if before == after or ((before or "").startswith("varchar") and after == "text"):
        return True
    lengths = [re.fullmatch(r"varchar\((\d+)\)", kind or "") for kind in (before, after)]
    return all(lengths) and int(lengths[0][1]) <= int(lengths[1][1])  # type: ignore[index]


def marks(source: str) -> dict[str, str]:
    """Operation → reason."""
    return {name: reason.strip() for name, reason in _MARK.findall(source)}


def findings() -> Iterator[Finding]:
    """Of all migrations that are no part of a release yet; and of those of one that were changed after it."""
    from django.db.migrations.loader import MigrationLoader

    released = tomllib.loads(RELEASED.read_text(encoding="utf-8"))["released"]
    loader = MigrationLoader(None)
    for app, name in sorted(loader.disk_migrations):
        if app not in OWN_APPS:
            continue
        key = f"{app}.{name}"
        source = _source(loader.disk_migrations[app, name])
        if key not in released:
            yield from _of_migration(key, loader, (app, name), source)
        elif released[key] != _digest(source):
            yield Finding(key, "-", "it was released and is changed since: put it back, and make another one.")
    known = {f"{app}.{name}" for app, name in loader.disk_migrations}
    yield from (Finding(key, "-", "it was released, and is gone.") for key in sorted(set(released) - known))


def _of_migration(key: str, loader: Any, node: tuple[str, str], source: str) -> Iterator[Finding]:
    migration, state, marked = loader.disk_migrations[node], loader.project_state(node, at_end=False), marks(source)
    made: set[str] = set()
    for operation in migration.operations:
        # On a table that this migration makes nobody waits.
        is_new = (getattr(operation, "model_name", "") or "").lower() in made
        why = "" if is_new else refusal(node[0], operation, state)
        if why and label(operation) not in marked:
            yield Finding(key, label(operation), why)
        if type(operation).__name__ == "CreateModel":
            made.add(operation.name.lower())
        if "Concurrently" in type(operation).__name__ and migration.atomic:
            yield Finding(key, label(operation), "it needs atomic = False.")
        operation.state_forwards(node[0], state)


def _source(migration: Any) -> str:
    return Path(inspect.getfile(type(migration))).read_text(encoding="utf-8")


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def write_release() -> None:
    """All of today's become a release's."""
    from django.db.migrations.loader import MigrationLoader

    migrations = MigrationLoader(None).disk_migrations
    lines = [
        f'"{app}.{name}" = "{_digest(_source(migrations[app, name]))}"'
        for app, name in sorted(migrations)
        if app in OWN_APPS
    ]
    head = "# The migrations of the newest release, and what they hold. Written by `bin/check-migrations --release`.\n"
    RELEASED.write_text(head + "[released]\n" + "\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/check-migrations", description="Checks migrations since the release.")
    parser.add_argument("--release", action="store_true", help="note that today's migrations are released")
    options = parser.parse_args(arguments)
    # Nothing is asked of a database.
    os.environ["DJANGO_SETTINGS_MODULE"] = "nexus.settings_for_types"
    django.setup()
    if options.release:
        write_release()
        return 0
    found = list(findings())
    for finding in found:
        print(finding, file=sys.stderr)
    print(f"{len(found)} findings." if found else "The release before can live with all migrations.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
