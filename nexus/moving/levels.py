"""Whether a tenant of another version's tables fits into ours: of the same, or of an older one as long as nothing but
additions came since. Everything else is refused, with what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader

APPS = frozenset({"tenants", "billing", "analytics", "gateway"})
# After these the older rows are right as they are: a new column has its default.
ADDITIONS = (
    operations.AddField,
    operations.CreateModel,
    operations.AddIndex,
    operations.RemoveIndex,
    operations.RenameIndex,
    operations.AddConstraint,
    operations.AlterModelOptions,
)

Level = frozenset[tuple[str, str]]


class Unfit(Exception):
    """The words are for an operator."""


def applied() -> Level:
    """Those of this database."""
    loader = MigrationLoader(connection)
    return frozenset(name for name in loader.applied_migrations if name[0] in APPS)


def check(theirs: Iterable[Iterable[str]]) -> None:
    """Raises Unfit."""
    loader = MigrationLoader(connection)
    given = {(app, name) for app, name in theirs}
    here = {name for name in loader.applied_migrations if name[0] in APPS}
    if missing := sorted(given - here):
        raise Unfit(
            f"The file comes from a newer version, with {_names(missing)}. Upgrade this installation, then try again."
        )
    for name in sorted(here - given):
        for operation in loader.disk_migrations[name].operations:
            if not isinstance(operation, ADDITIONS):
                raise Unfit(
                    f"The file comes from an older version, and {_names([name])} changes what is there"
                    f" ({operation.describe()}). Upgrade the source, then export again."
                )


def _names(migrations: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{app}.{name}" for app, name in migrations)
