"""`manage.py demo`: a workspace to look around in, and what to log in with, in `demo.env`."""

from __future__ import annotations

import os
import secrets
import urllib.parse
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from billing import subscriptions
from nexus.instance import read_env_file
from tenants import apikeys, keys, provisioning
from tenants.models import ApiKey, Membership, Role, Tenant, User
from tenants.roles import ADMIN_SCOPE

EMAIL, SLUG = "demo@example.com", "demo"
# Room for replays and benchmarks.
NO_RATE = {"requests_per_minute": None}


class Command(BaseCommand):
    help = "Makes the demo workspace, or leaves it as it is, and writes var/demo.env."

    def handle(self, *args: Any, **options: Any) -> None:
        host = urllib.parse.urlsplit(settings.PUBLIC_URL).hostname
        if host not in {"localhost", "127.0.0.1", "::1"}:
            raise CommandError(f"The demo's login is an operator's: it is not made on {host}, which others can reach.")
        path = settings.VAR_DIR / "demo.env"
        known = read_env_file(path) if path.exists() else {}
        with transaction.atomic():
            password = self._user(known.get("NEXUS_LOGIN_PASSWORD"))
            tenant = self._tenant()
            key = self._key(tenant, known.get("NEXUS_API_KEY", ""))
        write_private(
            path,
            {
                "NEXUS_URL": settings.PUBLIC_URL,
                "NEXUS_API_KEY": key,
                "NEXUS_LOGIN_EMAIL": EMAIL,
                "NEXUS_LOGIN_PASSWORD": password,
            },
        )
        call_command("showcase")

    def _user(self, password: str | None) -> str:
        user, _ = User.objects.get_or_create(
            email=EMAIL, defaults={"name": "Demo", "is_staff": True, "is_superuser": True}
        )
        if password is None or not user.check_password(password):
            password = secrets.token_urlsafe(12)
            user.set_password(password)
            user.save()
        return password

    def _tenant(self) -> Tenant:
        user = User.objects.get(email=EMAIL)
        tenant: Tenant | None = Tenant.objects.filter(slug=SLUG, email=EMAIL).first()
        if tenant is None:
            try:
                tenant = provisioning.create_tenant(name="Demo", email=EMAIL, slug=SLUG, owner=user)
            except provisioning.SlugTaken:
                raise CommandError(f"Somebody's workspace is called “{SLUG}”: there is no room for a demo.") from None
            subscriptions.change_plan(tenant, "scale", overrides=NO_RATE)
        Membership.objects.get_or_create(user=user, tenant=tenant, defaults={"role": Role.OWNER})
        return tenant

    def _key(self, tenant: Tenant, text: str) -> str:
        parts = keys.parse(text)
        if parts is not None:
            # One that expires has been rotated, and would end while the demo runs.
            known = ApiKey.objects.filter(
                tenant=tenant,
                public_id=parts.public_id,
                secret_sha256=parts.secret_sha256,
                revoked_at=None,
                expires_at=None,
            )
            if known.exists():
                return text
        return apikeys.issue(tenant, name="demo", scopes=[ADMIN_SCOPE]).text


def write_private(path: Path, values: dict[str, str]) -> None:
    """All of it or nothing, readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    draft.replace(path)
