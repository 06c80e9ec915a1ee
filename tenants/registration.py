"""Signs people up: a user, a workspace, a first key; all of it or nothing."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from tenants import apikeys, provisioning
from tenants.apikeys import Issued
from tenants.models import Tenant, User
from tenants.roles import ADMIN_SCOPE


class EmailTaken(ValueError):
    gettext("There is an account with this address.")


class Joined(NamedTuple):
    user: User
    tenant: Tenant


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
    with transaction.atomic():
        user, tenant = join(email, password=password, name=name, ip=ip)
        issued = apikeys.issue(tenant, created_by=user, scopes=[ADMIN_SCOPE] if admin else [], ip=ip)
    return Registered(user, tenant, issued)


def join(email: str, *, password: str | None = None, name: str = "", ip: str | None = None) -> Joined:
    """As `register`, without a key: for people who are not shown one at once. Raises EmailTaken."""
    email = email.strip().lower()
    with transaction.atomic():
        try:
            with transaction.atomic():
                user = User.objects.create_user(email, password)
        except IntegrityError:
            raise EmailTaken(
                gettext("There is an account for %(email)s already. Log in to create another key.") % {"email": email}
            ) from None
        tenant = open_workspace(user, name=name, ip=ip)
    return Joined(user, tenant)


def open_workspace(user: User, *, name: str = "", ip: str | None = None) -> Tenant:
    """Of their own, called as they like, or as their address begins."""
    workspace = name.strip() or user.email.partition("@")[0]
    return provisioning.create_tenant(name=workspace[:120], email=user.email, owner=user, ip=ip)
