"""A tenant from template DDL is what the migrations would have made."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection

from tenants import provisioning
from tenants.models import Tenant

FACTS = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, is_identity,
               character_maximum_length, numeric_precision, numeric_scale
        FROM information_schema.columns WHERE table_schema = %s""",
    "types": """
        SELECT relname, attname, format_type(atttypid, atttypmod) FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = %s AND attnum > 0 AND relkind = 'r'""",
    "indexes": "SELECT indexname, replace(indexdef, schemaname || '.', '') FROM pg_indexes WHERE schemaname = %s",
    "constraints": """
        SELECT conname, replace(pg_get_constraintdef(c.oid), nspname || '.', '') FROM pg_constraint c
        JOIN pg_namespace n ON n.oid = c.connamespace WHERE nspname = %s""",
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
