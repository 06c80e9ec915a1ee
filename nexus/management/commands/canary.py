"""`manage.py canary [--url URL]`: tries to get one workspace's answers from another. 0: held; 2: leak; 3: not tried."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.canaries import watch


class Command(BaseCommand):
    help = "Plants a secret in one internal workspace and asks for it from another. Exit code 2: it was got."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--url", help="the gateway to ask; else NEXUS_CANARY_URL, or NEXUS_PUBLIC_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["url"]:
            settings.CANARY_URL = options["url"]
        report = watch.run()
        if report is None:
            self.stderr.write("Another run is under way.")
            sys.exit(3)
        for name in report.held:
            self.stdout.write(f"held    {name}")
        for name, why in report.failed.items():
            self.stdout.write(f"failed  {name}: {why}")
        for name, got in report.leaks.items():
            self.stdout.write(f"LEAK    {name}: {'; '.join(got)}")
        self.stdout.write(
            f"{len(report.held)} held, {len(report.failed)} could not be tried, {len(report.leaks)} leaked;"
            f" {report.url}, {report.seconds:g} s"
        )
        sys.exit(report.exit_code)
