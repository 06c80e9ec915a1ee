"""Makes tenants: the row, its schema from template DDL, its owner; all of it or nothing.

Replaying migrations would take a second a tenant, so the DDL of the tables as the models have them now is made once a
process and run as one batch. A test compares the result with what the migrations make.
"""

from __future__ import annotations

import contextlib
import functools
import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils.text import slugify
from django.utils.translation import gettext
from psycopg import sql
from psycopg.errors import UniqueViolation

from tenants import audit
from tenants.models import Membership, Role, Tenant, User
from tenants.signals import tenant_created

_ATTEMPTS = 5
RESERVED_SLUGS = frozenset({"admin", "api", "new", "public", "showcase", "static", "www"})


class SlugTaken(ValueError):
    """Another tenant has this name in its address."""


def create_tenant(
    *,
    name: str,
    email: str,
    slug: str | None = None,
    owner: User | None = None,
    actor: User | None = None,
    actor_label: str = "",
    ip: str | None = None,
) -> Tenant:
    """Raises SlugTaken when `slug` is given and in use; without one a free one is made from the name.

    `actor`, or `actor_label`, is who the audit log names, when it is not the owner.
    """
    by = audit.By(actor=actor or (None if actor_label else owner), actor_label=actor_label, ip=ip)
    for _ in range(_ATTEMPTS):
        wanted = slug or _free_slug(name)
        try:
            with transaction.atomic():
                tenant = _create(name, email, wanted, owner)
                audit.record("tenant.created", tenant=tenant, target=wanted, **by)
                return tenant
        except IntegrityError as error:
            if not _is_about_the_slug(error):
                raise
            if slug is not None:
                raise SlugTaken(
                    gettext("The address “%(slug)s” is taken; choose another one.") % {"slug": slug}
                ) from None
    raise SlugTaken(gettext("No free address could be made from “%(name)s”; choose one.") % {"name": name})


def _is_about_the_slug(error: IntegrityError) -> bool:
    return isinstance(error.__cause__, UniqueViolation) and "_slug_" in (error.__cause__.diag.constraint_name or "")


def _create(name: str, email: str, slug: str, owner: User | None) -> Tenant:
    # Known only to the row's own id, so never a text that a person chose.
    tenant = Tenant(name=name, email=email, slug=slug, schema_name=f"new_{secrets.token_hex(8)}")
    tenant.save()
    tenant.schema_name = f"t_{tenant.pk}"
    tenant.save(update_fields=["schema_name"])
    create_schema(tenant.schema_name)
    if owner is not None:
        Membership.objects.create(user=owner, tenant=tenant, role=Role.OWNER)
    tenant_created.send(Tenant, tenant=tenant)
    return tenant


def _free_slug(name: str) -> str:
    base = slugify(name)[:40].strip("-") or "workspace"
    taken = Tenant.objects.filter(slug=base).exists() or base in RESERVED_SLUGS
    return f"{base}-{secrets.token_hex(3)}" if taken else base


def create_schema(name: str) -> None:
    """An empty tenant's schema, as if all of its migrations had run."""
    with filled_schema(name):
        pass


@contextlib.contextmanager
def filled_schema(name: str) -> Iterator[None]:
    """The same with tables that are filled within: what looks rows up, and what checks them, is made after that."""
    identifier = sql.Identifier(name)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(identifier))
        _run_in(name, [*template_ddl().tables])
        cursor.executemany(
            sql.SQL("INSERT INTO {}.django_migrations (app, name, applied) VALUES (%s, %s, now())").format(identifier),
            applied_migrations(),
        )
        yield
        _run_in(name, [*template_ddl().rest])


def _run_in(schema: str, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET LOCAL search_path TO {}, public").format(sql.Identifier(schema)))
        cursor.execute("\n".join(statements))
        # django-tenants sets it again when the schema changes next, and believes that it has not changed.
        cursor.execute("SET LOCAL search_path TO public")


class Template(NamedTuple):
    """Every statement that makes a tenant's tables, in the schema that comes first on the search path; and those that
    make their indexes and constraints.
    """

    tables: tuple[str, ...]
    rest: tuple[str, ...]


@functools.cache
def template_ddl() -> Template:
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for model in tenant_models():
            editor.create_model(model)
        tables, rest = list(editor.collected_sql), [f"{statement};" for statement in map(str, editor.deferred_sql)]
        editor.deferred_sql.clear()
    history = (
        "CREATE TABLE django_migrations (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
        " app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied timestamp with time zone NOT NULL);"
    )
    tables, rest = ([re.sub(r";*$", ";", statement) for statement in some] for some in (tables, rest))
    return Template((history, *tables), tuple(rest))


def tenant_models() -> list[type]:
    labels = {app.split(".")[-1] for app in settings.TENANT_APPS}
    return [model for label in sorted(labels) for model in apps.get_app_config(label).get_models()]


@functools.cache
def applied_migrations() -> tuple[tuple[str, str], ...]:
    """All of the project's: django-tenants records those of shared apps in every schema, too."""
    return tuple(sorted(MigrationLoader(None).disk_migrations))
