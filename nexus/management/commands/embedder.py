"""`manage.py embedder`: the embedding model as a gRPC service, for gateways with NEXUS_EMBEDDER=grpc://…."""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway import runtime
from gateway.cache.embedding import choose
from gateway.cache.embedding.base import ModelUnavailable

MAX_THREADS = 256


class Command(BaseCommand):
    help = "Serves the local embedding model over gRPC, with gRPC's health service, until SIGTERM."
    # A model and a port: no database is needed.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--listen", type=address, default="127.0.0.1:50051", help="host:port, or unix:///path (127.0.0.1:50051)"
        )
        parser.add_argument(
            "--threads", type=threads, default=os.cpu_count() or 1, help="texts computed at a time (one a core)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Here, because the other commands need no gRPC.
        from gateway.cache.embedding import service

        try:
            model = runtime.load_model()
            asyncio.run(service.serve(model, options["listen"], threads=options["threads"], report=self._report))
        except (ModelUnavailable, OSError) as error:
            raise CommandError(str(error)) from error

    def _report(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def address(text: str) -> str:
    """Port 0 takes a free one."""
    if text.startswith("unix:///") and len(text) > len("unix:///"):
        return text
    if choose.is_address(text):
        return text
    raise argparse.ArgumentTypeError(f"“{text}” is neither host:port nor unix:///path")


def threads(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_THREADS:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number from 1 to {MAX_THREADS}")
    return int(text)
