"""`manage.py tenant_import FILE --key FILE`: the workspace that tenant_export wrote, whole or not at all."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug
from django.db import DatabaseError

from nexus.moving import arrival
from nexus.moving.archive import Damaged, Reader, TransferKey
from nexus.moving.levels import Unfit
from tenants import audit

BY = audit.By(actor_label="manage.py tenant_import")


class Command(BaseCommand):
    help = (
        "Brings a workspace in, in one transaction: cut off at any point, nothing of it is there, and the same command"
        " may be given again. docs/moving.md tells all steps."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the transfer key of the export")
        parser.add_argument("--as", dest="slug", metavar="SLUG", help="under another address: /t/SLUG/")

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["slug"]
        if slug is not None:
            self._check(slug)
        try:
            key = TransferKey(options["key"].read_bytes())
        except (OSError, ValueError) as error:
            raise CommandError(f"{options['key']} is no transfer key: {error}") from error
        try:
            arrived = arrival.read(Reader(options["file"], key), key, slug=slug, by=BY)
        except (Damaged, Unfit, arrival.Refused, OSError) as error:
            raise CommandError(f"{error} Nothing was imported.") from error
        except DatabaseError as error:
            raise CommandError(f"The database refused: {error} Nothing was imported.") from error
        self._report(arrived)

    def _check(self, slug: str) -> None:
        try:
            validate_slug(slug)
        except ValidationError:
            raise CommandError(f"“{slug}” cannot be in an address: use a-z, 0-9 and “-”.") from None
        if len(slug) > 48:
            raise CommandError("An address has 48 characters at most.")

    def _report(self, arrived: arrival.Arrived) -> None:
        rows = arrived.rows
        self.stdout.write(
            f"{arrived.tenant.slug} is here, with {sum(rows.values()):,} rows of {len(rows)} tables. Of its people"
            f" {arrived.matched} have an account here, and {arrived.made} get in by “Forgot your password?”."
        )
        if arrived.revoked:
            self.stdout.write(
                f"{arrived.revoked} of its keys lead to a workspace here already: in this copy they are revoked."
            )
        self.stdout.write("Exact answers come back with traffic; limits count on from the ledger.")
