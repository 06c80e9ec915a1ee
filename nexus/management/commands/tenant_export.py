"""`manage.py tenant_export SLUG --to FILE --key FILE`: a workspace as one file, for tenant_import elsewhere."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from nexus.moving import export, quiet
from nexus.moving.archive import TransferKey
from tenants import audit, freezing, secretbox
from tenants.models import Tenant

BY = audit.By(actor_label="manage.py tenant_export")


class Command(BaseCommand):
    help = (
        "Writes a workspace to a file. With --freeze nothing is lost: its apps are told to try again, what they used is"
        " booked, and it stays frozen, until --unfreeze gives up the move. docs/moving.md tells all steps."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--to", type=Path, metavar="FILE", help="the file to write; it must not be there yet")
        parser.add_argument(
            "--key",
            type=Path,
            metavar="FILE",
            help="the transfer key, which is made where there is none",
        )
        parser.add_argument("--freeze", action="store_true", help="before the export, and for good")
        parser.add_argument("--unfreeze", action="store_true", help="only serve it again; nothing is written")
        parser.add_argument(
            "--with-stripe", action="store_true", help="the subscription, too: the target has the same Stripe account"
        )
        parser.add_argument(
            "--patience",
            type=float,
            default=quiet.PATIENCE_S,
            metavar="S",
            help="how long to wait for calls",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["slug"]).first()
        if tenant is None:
            raise CommandError(f"There is no workspace “{options['slug']}”.")
        if options["unfreeze"]:
            done = freezing.unfreeze(tenant, **BY)
            self.stdout.write(f"{tenant.slug} {'is served again' if done else 'was not frozen'}.")
            return
        if options["to"] is None or options["key"] is None:
            raise CommandError("Say where to: --to FILE --key FILE.")
        if options["to"].exists():
            raise CommandError(f"{options['to']} is there already.")
        key = self._key(options["key"])
        if options["freeze"]:
            freezing.freeze(tenant, **BY)
            self.stdout.write(f"{tenant.slug} is frozen; waiting for what is under way …")
        frozen = tenant.moving_since is not None
        try:
            if frozen:
                quiet.wait(tenant, patience_s=options["patience"])
            rows = self._write(tenant, options["to"], key, with_stripe=options["with_stripe"])
        except (quiet.Restless, secretbox.Unreadable, RedisError, OSError) as error:
            raise CommandError(str(error)) from error
        audit.record("tenant.exported", tenant=tenant, target=tenant.slug, after={"frozen": frozen, "rows": rows}, **BY)
        self._report(tenant, options["to"], rows, frozen=frozen)

    def _key(self, path: Path) -> TransferKey:
        try:
            if path.exists():
                return TransferKey(path.read_bytes())
            key = TransferKey.make(path)
        except (OSError, ValueError) as error:
            raise CommandError(f"{path} is no transfer key: {error}") from error
        self.stdout.write(f"A transfer key is in {path}. Send it on another way than the file.")
        return key

    def _write(self, tenant: Tenant, path: Path, key: TransferKey, *, with_stripe: bool) -> dict[str, int]:
        """The file has its name once it is whole. Raises Restless."""
        draft = path.with_name(f"{path.name}.part")
        before = quiet.booked(tenant)
        try:
            # What people asked is in it, in clear.
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                rows = export.write(tenant, file, key, with_stripe=with_stripe)
                file.flush()
                os.fsync(file.fileno())
            if tenant.moving_since is not None and (quiet.why_not(tenant) or quiet.booked(tenant) != before):
                raise quiet.Restless("Calls came in while it was written: it is not whole. Export again.")
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
        return rows

    def _report(self, tenant: Tenant, path: Path, rows: dict[str, int], *, frozen: bool) -> None:
        size = path.stat().st_size / 1e6
        self.stdout.write(f"{sum(rows.values()):,} rows of {len(rows)} tables are in {path}, {size:,.1f} MB.")
        if not frozen:
            self.stdout.write(
                f"{tenant.slug} was not frozen: the file is a copy of this moment, without what is used from now on."
            )
