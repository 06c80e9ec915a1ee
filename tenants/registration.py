"""Signs people up: a user, a workspace, a first key; all of it or nothing."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction

from tenants import apikeys, provisioning
from tenants.apikeys import Issued
from tenants.models import Tenant, User
from tenants.roles import ADMIN_SCOPE


class EmailTaken(ValueError):
    """There is an account with this address."""


class Registered(NamedTuple):
    user: User
    tenant: Tenant
    issued: Issued


def check_password(password: str, email: str) -> None:
    """Raises Django's ValidationError with every reason."""
    validate_password(password, User(email=email))


def register(
    email: str, *, password: str | None = None, name: str = "", admin: bool = False, ip: str | None = None
) -> Registered:
    """Raises EmailTaken. Email and password must have been validated. Without a password nobody can log in yet.

    `admin`: the key may manage the workspace, too.
    """
    email = email.strip().lower()
    with transaction.atomic():
        try:
            with transaction.atomic():
                user = User.objects.create_user(email, password)
        except IntegrityError:
            raise EmailTaken(f"There is an account for {email} already. Log in to create another key.") from None
        workspace = name.strip() or email.partition("@")[0]
        tenant = provisioning.create_tenant(name=workspace[:120], email=email, owner=user, ip=ip)
        issued = apikeys.issue(tenant, created_by=user, scopes=[ADMIN_SCOPE] if admin else [], ip=ip)
    return Registered(user, tenant, issued)
