"""Writes a tenant to a file, as one snapshot of the database has it, in constant memory. Changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone
from psycopg import sql

from nexus.moving import copytext, levels, tables
from nexus.moving.archive import PART_BYTES, TransferKey, Writer
from nexus.moving.tables import Moved
from tenants import secretbox
from tenants.models import Tenant


class Source(NamedTuple):
    """One table of the tenant's: where it is, and what of it travels."""

    schema: str
    table: str
    columns: tuple[str, ...]
    moved: Moved


def write(tenant: Tenant, file: IO[bytes], key: TransferKey, *, with_stripe: bool = False) -> dict[str, int]:
    """How many rows of each table. Raises secretbox.Unreadable."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL bytea_output = 'hex'")
        # As it is in this snapshot.
        tenant = Tenant.objects.get(pk=tenant.pk)
        sources = list(_sources(tenant, with_stripe=with_stripe))
        writer = Writer(file, key, _manifest(tenant, sources, with_stripe=with_stripe))
        for source in sources:
            for rows, block in _blocks(cursor, source, tenant):
                writer.part(source.table, rows, _sealed(block, source, key))
    return writer.close()


def _manifest(tenant: Tenant, sources: Sequence[Source], *, with_stripe: bool) -> dict[str, Any]:
    return {
        "made_at": timezone.now().isoformat(timespec="seconds"),
        "source": settings.PUBLIC_URL,
        "tenant": {"id": tenant.pk, "slug": tenant.slug, "name": tenant.name},
        "frozen": tenant.moving_since is not None,
        "stripe": with_stripe,
        "migrations": sorted(levels.applied()),
        "tables": {source.table: source.columns for source in sources},
        "ledger": ledger_sums(tenant.pk),
    }


def ledger_sums(tenant_id: int) -> dict[str, str]:
    """What must be the same where the tenant arrives."""
    names = ("requests", "tokens", "cost_usd", "saved_usd")
    with connection.cursor() as cursor:
        sums = ", ".join(f"COALESCE(sum({name}), 0)::text" for name in names)
        cursor.execute(f"SELECT {sums} FROM public.billing_ledgerentry WHERE tenant_id = %s", [tenant_id])
        return dict(zip(names, cursor.fetchone(), strict=True))


def _sources(tenant: Tenant, *, with_stripe: bool) -> Iterator[Source]:
    """Those with numbers that others name come first, then the tenant's own, then the rest of `public`."""
    public = tables.moved(tables.PUBLIC)
    rest = [table for table in public if table not in tables.FIRST]
    for table in (*tables.FIRST, *tables.moved(tables.TENANTS_OWN), *rest):
        moved = public.get(table)
        schema = tenant.schema_name if moved is None else "public"
        moved = moved or tables.moved(tables.TENANTS_OWN)[table]
        left = set(moved.without)
        if not with_stripe:
            if table == tables.METER_REPORTS:
                continue
            left |= set(tables.STRIPE_COLUMNS if table == tables.SUBSCRIPTION else ())
        columns = tuple(name for name in columns_of(model_of(table)) if name not in left)
        yield Source(schema, table, columns, moved)


def model_of(table: str) -> type[Model]:
    return next(model for model in apps.get_models() if model._meta.db_table == table)


def columns_of(model: type[Model]) -> list[str]:
    return [str(field.column) for field in model._meta.local_concrete_fields]


def _blocks(cursor: Any, source: Source, tenant: Tenant) -> Iterator[tuple[int, bytes]]:
    """Whole rows, some megabytes at a time, and how many."""
    query = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, source.columns)),
        sql.Identifier(source.schema, source.table),
        # A condition of ours, in which only the number is not ours.
        sql.SQL(f" WHERE {source.moved.where}" % {"tenant": tenant.pk} if source.moved.where else ""),
    )
    rows, size, lines = 0, 0, list[bytes]()
    with cursor.copy(query) as copy:
        # One row at a time, as Postgres sends them.
        for line in copy:
            rows, size = rows + 1, size + len(line)
            lines.append(bytes(line))
            if size >= PART_BYTES:
                yield rows, b"".join(lines)
                rows, size, lines = 0, 0, []
    if rows:
        yield rows, b"".join(lines)


def _sealed(block: bytes, source: Source, key: TransferKey) -> bytes:
    """With what this installation's keys have encrypted encrypted for the way."""

    def for_the_way(field: bytes) -> bytes:
        sealed = bytes.fromhex(copytext.read(field).removeprefix("\\x"))
        return copytext.field(key.encrypt(secretbox.open_sealed(sealed))) if sealed else b""

    return copytext.replaced(block, {source.columns.index(name): for_the_way for name in source.moved.secrets})


def file_name(tenant: Tenant, now: dt.datetime) -> str:
    return f"{tenant.slug}-{now:%Y%m%dT%H%M%SZ}.nexus"
