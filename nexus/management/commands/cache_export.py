"""`manage.py cache_export FILE --tenant SLUG`: a workspace's kept answers as JSON lines, as GET /api/cache/export."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from gateway.cache import transfer
from tenants.db import make_pool
from tenants.models import Tenant


class Command(BaseCommand):
    help = "Writes what cache_import takes back, into the same workspace."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--tenant", required=True, help="the workspace's slug")
        for name in ("tag", "namespace", "model"):
            parser.add_argument(f"--{name}", help=f"only those of this {name}")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no workspace “{options['tenant']}”.")
        query = {name: options[name] for name in ("tag", "namespace", "model") if options[name] is not None}
        try:
            with options["file"].open("wb") as file:
                count = asyncio.run(_take_out(tenant.schema_name, query, file))
        except OSError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count:,} answers are in {options['file']}.")


async def _take_out(schema: str, query: dict[str, Any], file: BinaryIO) -> int:
    count = 0
    async with make_pool() as pool:
        async for block in transfer.taken_out(pool, schema, query):
            file.write(block)
            count += block.count(b"\n")
    return count
