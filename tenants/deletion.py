"""Deletes a workspace for good: keys, people, schema, all that Redis has. Its row stays for the ledger, without a name.

Every step may be taken again, so whoever was cut off calls again. Late usage events of its last calls find no
workspace, and go to the dead letters.
"""

from __future__ import annotations

import itertools
import secrets
from typing import Unpack

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import connection, transaction
from django.db.models import F, Func, QuerySet, Value
from django.utils import timezone
from psycopg import sql

from tenants import audit, keyspace, members
from tenants.audit import By
from tenants.db import find_keys, open_redis
from tenants.models import ApiKey, AuditEvent, Invitation, Membership, Tenant, User
from tenants.roles import Action
from tenants.signals import tenant_ending


class StillBound(Exception):
    """Something outside keeps the workspace from being deleted now; the words are for its owner."""


LOCK_TIMEOUT_S, REDIS_TIMEOUT_S = 10, 5.0
REDIS_BATCH = 500
SOMEBODY = "deleted user"


def delete(tenant: Tenant, *, owner: User | None = None, **by: Unpack[By]) -> None:
    """Raises OperationalError, RedisError; what has been done by then stays done. `owner`: only while they are one;
    raises Refused.
    """
    _close(tenant, by, owner)
    _drop_schema(tenant)
    _forget_redis(tenant)
    _finish(tenant, by)


def end(tenant: Tenant, owner: User, *, ip: str | None) -> None:
    """As its owner wants it: what others would go on charging for ends first. Raises StillBound, Refused for who is no
    owner any more, and as `delete`.
    """
    by: By = {"actor": owner, "ip": ip}
    # Before the charging ends, and, as that takes seconds, once more when there is no way back.
    with members.changing(tenant):
        members.check_reach(owner, tenant, Action.OWNERSHIP)
    tenant_ending.send(Tenant, tenant=tenant, by=by)
    delete(tenant, owner=owner, **by)


def is_finished(tenant: Tenant) -> bool:
    return tenant.status == Tenant.Status.DELETED and not tenant.email


def _close(tenant: Tenant, by: By, owner: User | None) -> None:
    """Nobody gets in any more, and nobody's name is kept. Raises Refused unless that one still is an owner."""
    with transaction.atomic(), audit.forgetting():
        current = Tenant.everyone.select_for_update().get(pk=tenant.pk)
        if owner is not None:
            members.check_reach(owner, current, Action.OWNERSHIP)
        if current.status != Tenant.Status.DELETED:
            current.status = Tenant.Status.DELETED
            current.save(update_fields=["status"])
            audit.record("tenant.deletion_begun", tenant=current, target=_name(current), **by)
        keys = ApiKey.objects.filter(tenant=current)
        keys.filter(revoked_at=None).update(revoked_at=timezone.now())
        keys.update(name=SOMEBODY)
        memberships = Membership.objects.filter(tenant=current)
        leaving = User.objects.filter(pk__in=list(memberships.values_list("user_id", flat=True)))
        memberships.delete()
        Invitation.objects.filter(tenant=current).delete()
        _forget_people(leaving.filter(memberships=None, is_staff=False, is_superuser=False))
        _forget_acts(current)
    tenant.status = current.status


def _forget_people(leaving: QuerySet[User]) -> None:
    """Those who were members nowhere else."""
    for user in list(leaving.select_for_update(of=("self",))):
        Invitation.objects.filter(email=user.email).delete()
        for of_account in (EmailAddress, Authenticator, SocialAccount, UserSession):
            of_account.objects.filter(user=user).delete()
        AuditEvent.objects.filter(actor=user).update(actor_label=SOMEBODY, ip_address=None)
        AuditEvent.objects.filter(target=user.email).update(target=SOMEBODY)
        # Former addresses.
        acts = AuditEvent.objects.filter(actor=user, action__startswith="account.")
        acts.update(target=SOMEBODY, before=None, after=None)
        user.email, user.name, user.is_active = f"deleted-{user.pk}@deleted.invalid", "", False
        user.set_unusable_password()
        user.save(update_fields=["email", "name", "is_active", "password"])


def _forget_acts(tenant: Tenant) -> None:
    """What was done in the workspace stays in the audit log; values, addresses and names do not."""
    acts = AuditEvent.objects.filter(tenant=tenant).exclude(action__startswith="tenant.deletion")
    acts.update(before=None, after=None, ip_address=None)
    acts.filter(target=tenant.slug).update(target=_name(tenant))
    # Keys are called as people like.
    for field in ("actor_label", "target"):
        nameless = Func(F(field), Value(r" \(.*"), Value(""), function="regexp_replace")
        acts.filter(**{f"{field}__startswith": "nk-"}).update(**{field: nameless})


def nowhere_else(tenant: Tenant) -> QuerySet[User]:
    """Members of this workspace alone, whose accounts end with it. Operators' do not."""
    elsewhere = Membership.objects.exclude(tenant=tenant)
    people = User.objects.filter(memberships__tenant=tenant, is_staff=False, is_superuser=False)
    return people.exclude(memberships__in=elsewhere)


def _drop_schema(tenant: Tenant) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        # Whoever reads there holds this up; and this, waiting, everybody who comes after.
        cursor.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_TIMEOUT_S}s")))
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(tenant.schema_name)))


def _forget_redis(tenant: Tenant) -> None:
    with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
        found = find_keys(client, keyspace.tenant_pattern(tenant.pk))
        while some := list(itertools.islice(found, REDIS_BATCH)):
            client.unlink(*some)


def _finish(tenant: Tenant, by: By) -> None:
    with transaction.atomic():
        current = Tenant.everyone.select_for_update().get(pk=tenant.pk)
        if not is_finished(current):
            current.name = current.email = ""
            current.slug = f"deleted-{current.pk}-{secrets.token_hex(4)}"
            current.save(update_fields=["name", "email", "slug"])
            audit.record("tenant.deleted", tenant=current, target=_name(current), **_nameless(by))
    tenant.name, tenant.email, tenant.slug = current.name, current.email, current.slug


def _nameless(by: By) -> By:
    """Who deleted their only workspace, has been forgotten with it."""
    actor = by.get("actor")
    if actor is None or User.objects.filter(pk=actor.pk, is_active=True).exists():
        return by
    return {"actor": actor, "actor_label": SOMEBODY}


def _name(tenant: Tenant) -> str:
    return f"tenant {tenant.pk}"
