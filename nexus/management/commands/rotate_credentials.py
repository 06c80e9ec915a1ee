"""Encrypts all that is kept encrypted again, with the first of NEXUS_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nexus import resealing


class Command(BaseCommand):
    help = (
        "Encrypts providers' credentials, webhooks' secrets and second factors with the first of NEXUS_ENCRYPTION_KEYS."
        " Put the new key first, restart, run this, then take the old key away: nothing is refused meanwhile."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = resealing.reseal_all()
        self.stdout.write(f"{done.resealed:,} secrets are encrypted with the first key.")
        if done.unreadable:
            raise CommandError(
                f"Not readable with any of the keys, and left as they are: {', '.join(done.unreadable)}."
            )
