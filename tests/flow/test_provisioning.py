"""A tenant from template DDL is what the migrations would have made."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from gateway.models import Provider
from tenants import provisioning
from tenants.db import schema_of
from tenants.models import Tenant
from tests.database import current_schema
from tests.together import at_once

FACTS = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, is_identity,
               character_maximum_length, numeric_precision, numeric_scale
        FROM information_schema.columns WHERE table_schema = %s""",
    "types": """
        SELECT relname, attname, format_type(atttypid, atttypmod) FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = %s AND attnum > 0 AND NOT attisdropped AND relkind = 'r'""",
    "indexes": "SELECT indexname, replace(indexdef, schemaname || '.', '') FROM pg_indexes WHERE schemaname = %s",
    "constraints": """
        SELECT conname, replace(pg_get_constraintdef(c.oid), nspname || '.', '') FROM pg_constraint c
        JOIN pg_namespace n ON n.oid = c.connamespace WHERE nspname = %s""",
    "triggers": "SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = %s",
    "routines": "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s",
    "relations": """
        SELECT relname, relkind::text FROM pg_class
        JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s""",
    "sequences": "SELECT sequence_name, data_type FROM information_schema.sequences WHERE sequence_schema = %s",
}


def facts_of(schema: str) -> dict[str, set[Any]]:
    with connection.cursor() as cursor:
        facts = {}
        for name, query in FACTS.items():
            cursor.execute(query, [schema])
            facts[name] = set(cursor.fetchall())
        cursor.execute(f"SELECT app, name FROM {schema}.django_migrations")
        facts["migrations"] = set(cursor.fetchall())
        # What a data migration would have put there.
        facts["rows"] = set()
        for table, kind in facts["relations"]:
            if kind == "r" and table != "django_migrations":
                cursor.execute(f'SELECT %s, t::text FROM {schema}."{table}" t', [table])
                facts["rows"] |= set(cursor.fetchall())
        return facts


def test_template_and_migrations_make_the_same_schema() -> None:
    name = uuid.uuid4().hex[:8]
    provisioned = provisioning.create_tenant(name=name, email="a@example.com")
    migrated = Tenant(name=name, email="a@example.com", slug=f"m-{name}", schema_name=f"m_{name}")
    migrated.save()
    migrated.create_schema(check_if_exists=True, verbosity=0)
    ours, theirs = facts_of(provisioned.schema_name), facts_of(migrated.schema_name)
    for what, facts in ours.items():
        assert facts == theirs[what], what
    assert len(ours["indexes"]) > 10
    assert any("hnsw" in definition and "halfvec_cosine_ops" in definition for _, definition in ours["indexes"])


def test_migrating_a_new_tenant_finds_nothing_to_do() -> None:
    tenant = provisioning.create_tenant(name="Nothing to do", email="a@example.com")
    with schema_of(tenant):
        executor = MigrationExecutor(connection)
        assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
    assert current_schema() == "public"


def test_a_schemas_name_holds_nothing_that_a_person_wrote() -> None:
    tenant = provisioning.create_tenant(name='x"; DROP SCHEMA public CASCADE; --', email="a@example.com")
    assert tenant.schema_name == f"t_{tenant.pk}"
    assert re.fullmatch(r"[a-z0-9-]+", tenant.slug)


def test_what_follows_in_the_same_transaction_is_in_public() -> None:
    with transaction.atomic():
        tenant = provisioning.create_tenant(name="And then", email="a@example.com")
        assert Tenant.objects.get(pk=tenant.pk).slug == tenant.slug
        with schema_of(tenant):
            Provider.objects.create(name="mine", kind="simulated")
        assert Tenant.objects.filter(pk=tenant.pk).exists()
    with schema_of(tenant):
        assert Provider.objects.count() == 1


def test_a_failure_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise LookupError("no subscription")

    monkeypatch.setattr("billing.signals.Subscription.objects.create", fail)
    slug = f"half-{uuid.uuid4().hex[:8]}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace")
        before = set(cursor.fetchall())
        with pytest.raises(LookupError):
            provisioning.create_tenant(name="Half", email="a@example.com", slug=slug)
        cursor.execute("SELECT nspname FROM pg_namespace")
        assert set(cursor.fetchall()) == before
    assert not Tenant.objects.filter(slug=slug).exists()


def create_at_once(count: int, name: str, slug: str | None = None) -> list[Tenant | provisioning.SlugTaken]:
    def create() -> Tenant | provisioning.SlugTaken:
        try:
            return provisioning.create_tenant(email="a@example.com", name=name, slug=slug)
        except provisioning.SlugTaken as error:
            return error

    return at_once(*[create] * count)


def test_of_two_who_want_one_slug_at_once_one_gets_it() -> None:
    results = create_at_once(3, "Wanted", f"wanted-{uuid.uuid4().hex[:8]}")
    assert sum(isinstance(result, Tenant) for result in results) == 1
    assert sum(isinstance(result, provisioning.SlugTaken) for result in results) == 2


def test_of_two_with_one_name_at_once_each_gets_a_slug() -> None:
    results = create_at_once(3, f"Twin {uuid.uuid4().hex[:8]}")
    assert len({result.slug for result in results if isinstance(result, Tenant)}) == 3, results
