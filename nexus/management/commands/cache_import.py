"""`manage.py cache_import FILE --tenant SLUG`: answers into a workspace's cache, as POST /api/cache/import."""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway import runtime
from gateway.api import cache_rows
from gateway.api.cache_transfer import bring_in
from gateway.cache import transfer
from gateway.errors import Unavailable
from tenants.models import Tenant
from tenants.principal import Principal


class Command(BaseCommand):
    help = (
        f"Reads JSON lines, {cache_rows.MAX_ROWS:,} at a time: those are written together, or not at all when one of"
        " them is wrong. The same file may be read again."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--tenant", required=True, help="the workspace's slug")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no workspace “{options['tenant']}”.")
        try:
            with options["file"].open("rb") as file:
                total = asyncio.run(_bring_in(transfer.principal_of(tenant), file))
        except (OSError, cache_rows.BadRows, Unavailable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{total.rows:,} rows read, {total.stored:,} answers kept: {total.embedded:,} with a vector,"
            f" {total.waiting:,} wait for theirs. {total.kept_pinned:,} left to what is pinned,"
            f" {total.expired:,} past their time."
        )


async def _bring_in(principal: Principal, file: Iterable[bytes]) -> transfer.Result:
    total = transfer.Result(*[0] * len(transfer.Result._fields))
    line = 1
    try:
        for lines in iter(lambda: list(itertools.islice(file, cache_rows.MAX_ROWS)), []):
            rows = cache_rows.read(b"".join(lines), line)
            result = await bring_in(principal, rows)
            total = transfer.Result(*map(sum, zip(total, result, strict=True)))
            line += len(lines)
    finally:
        await runtime.close()
    return total
