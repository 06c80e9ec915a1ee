"""Brings a tenant in from a file: in one transaction, so that it is there whole, or not at all, whatever happens.

Its number is a new one, and so are those of its keys and people; what names them is rewritten on the way in. Refuses
what is taken here, what this version cannot hold, and what does not add up to what was sent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import NOT_PROVIDED, Field
from psycopg import sql

from billing.models import Plan
from nexus.moving import copytext, keys, levels, tables
from nexus.moving.archive import Part, Reader, TransferKey
from nexus.moving.copytext import Replace
from nexus.moving.export import columns_of, ledger_sums, model_of
from nexus.moving.numbers import Numbers
from nexus.moving.people import People
from tenants import audit, provisioning, secretbox
from tenants.audit import By
from tenants.models import Domain, Tenant

# For the indexes; of Postgres' own 64 MB a large one is built slowly.
_INDEX_MEMORY = "256MB"
_TENANT = "tenant_id"


class Refused(Exception):
    """Nothing was changed; the words are for an operator."""


@dataclasses.dataclass(frozen=True)
class Arrived:
    tenant: Tenant
    rows: dict[str, int]
    made: int
    matched: int
    # Keys of a copy beside the original: revoked, as one key cannot lead to two workspaces.
    revoked: int


def read(reader: Reader, key: TransferKey, *, slug: str | None, by: By) -> Arrived:
    """Raises Refused, levels.Unfit, archive.Damaged, IntegrityError."""
    manifest = reader.manifest
    levels.check(manifest["migrations"])
    slug = slug or manifest["tenant"]["slug"]
    _check_slug(slug)
    try:
        with transaction.atomic(durable=True):
            return Arrival(reader, key, slug).run(by)
    except IntegrityError as error:
        raise Refused(f"Something of it is here already, or does not fit: {error}") from error


def _check_slug(slug: str) -> None:
    if slug in provisioning.RESERVED_SLUGS or Tenant.everyone.filter(slug=slug).exists():
        raise Refused(f"There is a workspace “{slug}” here already; give it another name with --as.")


class Arrival:
    """`run` once, in a transaction."""

    def __init__(self, reader: Reader, key: TransferKey, slug: str) -> None:
        self._reader, self._key, self._slug = reader, key, slug
        self._tables: dict[str, list[str]] = reader.manifest["tables"]
        (self._id,) = Numbers.next(tables.TENANT, 1)
        self._schema = f"t_{self._id}"
        self._keys = Numbers(tables.KEY)
        self._first: dict[str, list[dict[str, str | None]]] = {table: [] for table in tables.FIRST}
        self._rows: dict[str, int] = {}

    def run(self, by: By) -> Arrived:
        parts = self._reader.parts()
        part = self._read_first(parts)
        people = People(self._first[tables.USER], self._first[tables.ADDRESS])
        self._people = people.numbers
        settled = keys.settle(self._first[tables.KEY], self._keys)
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL maintenance_work_mem = '{_INDEX_MEMORY}'")
            # Helpers share that memory, of which a container has 64 MB.
            cursor.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        with provisioning.filled_schema(self._schema):
            while part is not None and part.table in tables.TENANTS_OWN:
                self._copy(part)
                part = next(parts, None)
            self._set_sequences()
        tenant = self._write_tenant(people)
        self._write_keys()
        while part is not None:
            self._copy(part)
            part = next(parts, None)
        self._check()
        self._analyze()
        audit.record("tenant.imported", tenant=tenant, target=tenant.slug, after=self._facts(), **by)
        return Arrived(tenant, self._rows, len(people.made), people.matched, settled.revoked)

    def _read_first(self, parts: Iterator[Part]) -> Part | None:
        """Keeps what others name; the first part that is none of it."""
        for part in parts:
            if part.table not in self._first:
                return part
            self._rows[part.table] = self._rows.get(part.table, 0) + part.rows
            self._first[part.table] += copytext.rows(part.content, self._tables[part.table])
        return None

    def _write_tenant(self, people: People) -> Tenant:
        (row,) = self._first[tables.TENANT]
        # Two imports of one file at once: the second finds the first one's.
        _check_slug(self._slug)
        row |= {"id": str(self._id), "slug": self._slug, "schema_name": self._schema}
        columns = [*self._tables[tables.TENANT]]
        self._send("public", tables.TENANT, columns, copytext.block([row], columns))
        people.write()
        return Tenant.objects.get(pk=self._id)

    def _write_keys(self) -> None:
        found, columns = self._first[tables.KEY], self._tables[tables.KEY]
        for row in found:
            row["id"] = str(self._keys[int(row["id"] or 0)])
            created_by = self._people.get(int(row["created_by_id"] or 0))
            row["created_by_id"] = None if created_by is None else str(created_by)
        self._send("public", tables.KEY, [*columns], copytext.block(found, columns))
        keys.announce(found)

    def _copy(self, part: Part) -> None:
        own = part.table in tables.TENANTS_OWN
        moved = (tables.TENANTS_OWN if own else tables.PUBLIC).get(part.table)
        if not isinstance(moved, tables.Moved):
            raise Refused(f"The file has {part.table}, which is not moved to this version.")
        if part.table == tables.DOMAIN and self._slug != self._reader.manifest["tenant"]["slug"]:
            return
        columns = self._tables[part.table]
        if part.table == tables.SUBSCRIPTION:
            self._check_plan(copytext.rows(part.content, columns)[0]["plan_id"])
        if part.table == tables.DOMAIN:
            self._check_domains([row["domain"] for row in copytext.rows(part.content, columns)])
        content = copytext.replaced(part.content, self._replaces(columns, moved))
        rows = self._send(self._schema if own else "public", part.table, [*columns], content)
        if rows != part.rows:
            raise Refused(f"{part.table} has {rows} rows of a part with {part.rows}.")
        self._rows[part.table] = self._rows.get(part.table, 0) + rows

    def _replaces(self, columns: Sequence[str], moved: tables.Moved) -> Mapping[int, Replace]:
        """By place: how a number of a key or person is written here, and how a secret is encrypted here."""

        def key(field: bytes) -> bytes:
            return b"%d" % self._keys[int(field)]

        def person(field: bytes) -> bytes:
            # Who is no member: an operator there, or somebody who has left.
            return b"%d" % self._people[int(field)] if int(field) in self._people else copytext.NONE

        def secret(field: bytes) -> bytes:
            sealed = secretbox.seal(self._key.decrypt(copytext.read(field))) if field else b""
            return copytext.field(f"\\x{sealed.hex()}")

        of = {**dict.fromkeys(moved.keys, key), **dict.fromkeys(moved.people, person)}
        of |= dict.fromkeys(moved.secrets, secret)
        return {columns.index(name): replace for name, replace in of.items() if name in columns}

    def _send(self, schema: str, table: str, columns: list[str], content: bytes) -> int:
        """With what the table has and the file has not. How many rows there were."""
        more = _missing(table, columns)
        if _TENANT in columns_of(model_of(table)):
            more[_TENANT] = b"%d" % self._id
        appended = b"".join(b"\t" + value for value in more.values())
        query = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, [*columns, *more]))
        )
        with connection.cursor() as cursor:
            with cursor.copy(query) as copy:
                copy.write(copytext.replaced(content, {}, appended))
            return int(cursor.rowcount)

    def _check_plan(self, code: str | None) -> None:
        if not Plan.objects.filter(code=code).exists():
            raise Refused(f"There is no plan “{code}” here. Make it in the admin first, then try again.")

    def _check_domains(self, domains: Sequence[str | None]) -> None:
        if taken := Domain.objects.filter(domain__in=domains).values_list("domain", flat=True):
            raise Refused(f"Another workspace has {', '.join(taken)} here.")

    def _set_sequences(self) -> None:
        """Rows keep their numbers within the schema; the next ones come after them."""
        with connection.cursor() as cursor:
            for model in map(model_of, tables.moved(tables.TENANTS_OWN)):
                if model._meta.pk is not None and model._meta.pk.get_internal_type() == "BigAutoField":
                    table = sql.Identifier(self._schema, model._meta.db_table)
                    place = sql.Literal(f"{self._schema}.{model._meta.db_table}")
                    query = "SELECT setval(pg_get_serial_sequence({}, 'id'), COALESCE(max(id), 0) + 1, false) FROM {}"
                    cursor.execute(sql.SQL(query).format(place, table))

    def _check(self) -> None:
        """That all is this tenant's, and the money, to the last digit."""
        for table in tables.moved(tables.PUBLIC):
            if table in self._rows and _TENANT in columns_of(model_of(table)):
                here = model_of(table)._default_manager.filter(tenant=self._id).count()
                if here != self._rows[table]:
                    raise Refused(f"{table} has {here} rows of {self._rows[table]}.")
        sent, arrived = self._reader.manifest["ledger"], ledger_sums(self._id)
        if sent != arrived:
            raise Refused(f"The ledger does not add up: sent {sent}, arrived {arrived}.")

    def _analyze(self) -> None:
        """Searches choose their way by what is known of the tables."""
        with connection.cursor() as cursor:
            for table in tables.moved(tables.TENANTS_OWN):
                cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(self._schema, table)))

    def _facts(self) -> dict[str, Any]:
        manifest = self._reader.manifest
        facts = {name: manifest[name] for name in ("source", "made_at", "frozen", "stripe", "ledger")}
        return {**facts, "slug": manifest["tenant"]["slug"], "rows": self._rows}


def _missing(table: str, columns: Sequence[str]) -> dict[str, bytes]:
    """The columns that a row must have and the file does not give, with their defaults."""
    there = {*columns, "id", _TENANT}
    fields = [field for field in model_of(table)._meta.local_concrete_fields if field.column not in there]
    return {str(field.column): _default(field) for field in fields if not _may_lack(field)}


def _may_lack(field: Field[Any, Any]) -> bool:
    return field.null or field.db_default is not NOT_PROVIDED


def _default(field: Field[Any, Any]) -> bytes:
    value = field.get_db_prep_save(field.get_default(), connection)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT CAST(%s AS {field.rel_db_type(connection)})::text", [value])
        (text,) = cursor.fetchone()
    return copytext.field(text)
