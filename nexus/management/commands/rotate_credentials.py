"""Encrypts every provider credential again, with the first of NEXUS_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from gateway.models import Provider
from tenants import secretbox
from tenants.db import schema_of
from tenants.models import Tenant


class Command(BaseCommand):
    help = (
        "Encrypts all credentials with the first of NEXUS_ENCRYPTION_KEYS. Put the new key first, restart, run this,"
        " then take the old key away: nothing is refused meanwhile."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done, unreadable = 0, []
        for tenant in Tenant.objects.order_by("pk"):
            with schema_of(tenant), transaction.atomic():
                for provider in Provider.objects.select_for_update().exclude(credential=b""):
                    try:
                        provider.credential = secretbox.reseal(bytes(provider.credential))
                    except secretbox.Unreadable:
                        unreadable.append(f"{tenant.slug}/{provider.name}")
                        continue
                    provider.save(update_fields=["credential"])
                    done += 1
        self.stdout.write(f"{done:,} credentials are encrypted with the first key.")
        if unreadable:
            raise CommandError(f"Not readable with any of the keys, and left as they are: {', '.join(unreadable)}.")
