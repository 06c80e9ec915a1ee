"""`manage.py reconcile [--tenant SLUG] [--repair]`: whether ledger, Redis, records, rollups and Stripe agree."""

from __future__ import annotations

import argparse
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from analytics import reconciliation, rollups
from analytics.books import Sums
from analytics.reconciliation import Comparison
from billing.bookkeeping import Busy
from billing.periods import Period
from tenants.db import open_redis
from tenants.models import Tenant

REDIS_TIMEOUT_S = 10.0


class Command(BaseCommand):
    help = (
        "Compares the books of each workspace's open and last periods. With --repair, Redis' counters get what they"
        " lack against the ledger, and sums by day what they lack against their hours."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="only this workspace")
        parser.add_argument("--repair", action="store_true", help="correct Redis' counters and sums by day")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = Tenant.objects.order_by("pk")
        if options["tenant"]:
            tenants = tenants.filter(slug=options["tenant"])
            if not tenants.exists():
                raise CommandError(f"There is no workspace “{options['tenant']}”.")
        apart = busy = 0
        try:
            with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
                for tenant in tenants.iterator():
                    for period in reconciliation.periods_of(tenant, timezone.now()):
                        try:
                            apart += self._compare(client, tenant, period, repair=options["repair"])
                        except Busy as error:
                            busy += 1
                            self.stdout.write(f"{_title(tenant, period)}\n  busy: {error}\n")
        except redis.RedisError as error:
            raise CommandError(f"Redis does not answer: {error}") from error
        if apart or busy:
            raise CommandError(f"Periods that differ: {apart}; that could not be compared now: {busy}.")
        self.stdout.write("All books agree.")

    def _compare(self, client: redis.Redis, tenant: Tenant, period: Period, *, repair: bool) -> bool:
        """Whether they differ, after the repair."""
        found = reconciliation.compare(client, tenant, period, ask_stripe=True)
        if repair and (mended := self._repair(client, found)):
            self._print(found)
            self.stdout.write(f"  {' and '.join(mended)} were corrected:\n")
            found = reconciliation.compare(client, tenant, period, ask_stripe=True)
        reconciliation.keep(found)
        self._print(found)
        return found.drift != reconciliation.NOTHING

    def _repair(self, client: redis.Redis, found: Comparison) -> list[str]:
        """What was off, in words."""
        mended = []
        if found.keys:
            reconciliation.repair(client, found.tenant, found.period, actor_label="manage.py reconcile")
            mended.append("Redis' counters")
        if found.books["days"] != found.books["rollups"]:
            rollups.add_up_days(found.tenant.schema_name, found.period.start)
            mended.append("sums by day")
        return mended

    def _print(self, found: Comparison) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(_title(found.tenant, found.period)))
        self.stdout.write(f"  {'':<22}{'requests':>14}{'tokens':>18}{'USD':>22}")
        for name, book in found.books.items():
            agrees = "" if book == found.ledger or isinstance(book, str) else "  differs"
            self.stdout.write(_line(name, book) + agrees)
        for name, part in found.parts.items():
            if part != reconciliation.NOTHING:
                self.stdout.write(_line(f"  of which {name}", part))
        for key_id, apart in found.keys.items():
            if key_id is not None:
                self.stdout.write(_line(f"  key {key_id} is off by", apart))
        self.stdout.write("")


def _title(tenant: Tenant, period: Period) -> str:
    return f"{tenant.slug}, {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC"


def _line(name: str, book: Sums | str) -> str:
    if isinstance(book, str):
        return f"  {name:<22}{book}"
    return f"  {name:<22}{book.requests:>14,}{book.tokens:>18,}{book.cost_usd:>22.10f}"
