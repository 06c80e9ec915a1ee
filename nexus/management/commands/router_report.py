"""`manage.py router_report FILE`: how well `model: "auto"` tells requests apart, and what it saves."""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.pricing import PriceBook, UnitPrice, cost
from gateway import complexity
from nexus.jsonlines import BadFile
from nexus.labelled import Confusion, Row, judge, read

CATALOG = "openai"
ROUNDS = 5


class Command(BaseCommand):
    help = (
        'Judges the classifier behind model "auto" by a JSONL file of labelled requests ({"id", "kind", "complex",'
        ' "prompt" or "messages"}): confusion, accuracy by kind, time, and dollars at list prices.'
    )
    # Reads a file and the catalog's prices: no service is needed.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--cheap", default="gpt-4o-mini", help="the model for simple requests (gpt-4o-mini)")
        parser.add_argument("--strong", default="gpt-4o", help="the model for complex requests (gpt-4o)")
        parser.add_argument("--reply-tokens", type=int, default=300, help="assumed length of each reply (300)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows = read(options["file"])
        except BadFile as error:
            raise CommandError(str(error)) from error
        if options["reply_tokens"] < 1:
            raise CommandError("--reply-tokens must be 1 or more.")
        cheap, strong = unit_price(options["cheap"]), unit_price(options["strong"])
        held_out = [row for row in rows if row.held_out]
        self._print("Held out (the weights were fitted without these rows)", confusion_table(judge(held_out)))
        self._print("All rows", confusion_table(judge(rows)))
        self._print("By kind, held out and all", kinds_table(rows))
        self._print("Time per assessment", times_table(rows))
        self._print(
            f"Dollars for all rows, at list prices and {options['reply_tokens']:,} tokens a reply",
            money_table(rows, cheap, strong, options["reply_tokens"]),
        )

    def _print(self, title: str, lines: Iterable[str]) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(title))
        for line in lines:
            self.stdout.write(f"  {line}")
        self.stdout.write("")


def unit_price(model: str) -> UnitPrice:
    price = PriceBook().unit_price(CATALOG, model, dt.datetime.now(dt.UTC))
    if price is None:
        raise CommandError(f"The catalog has no price for “{model}”.")
    return price


def confusion_table(confusion: Confusion) -> list[str]:
    return [
        f"{'':<16}{'→ cheap':>10}{'→ strong':>10}",
        f"{'simple':<16}{confusion.simple:>10,}{confusion.dear:>10,}",
        f"{'complex':<16}{confusion.weak:>10,}{confusion.complex:>10,}",
        f"{'accuracy':<16}{confusion.accuracy:>10.1%}   of {confusion.rows:,} rows",
        f"{'precision':<16}{confusion.precision:>10.1%}   of those sent to the strong model are complex",
        f"{'recall':<16}{confusion.recall:>10.1%}   of the complex ones are sent to the strong model",
    ]


def kinds_table(rows: list[Row]) -> list[str]:
    lines = [f"{'kind':<16}{'held out':>16}{'all':>16}{'complex → cheap':>18}{'simple → strong':>18}"]
    for kind in sorted({row.kind for row in rows}):
        of_kind = [row for row in rows if row.kind == kind]
        held_out, everything = judge(row for row in of_kind if row.held_out), judge(of_kind)
        lines.append(
            f"{kind:<16}{_share(held_out):>16}{_share(everything):>16}{everything.weak:>18,}{everything.dear:>18,}"
        )
    return lines


def _share(confusion: Confusion) -> str:
    return f"{confusion.accuracy:.0%} of {confusion.rows:,}" if confusion.rows else "-"


def times_table(rows: list[Row]) -> list[str]:
    times_us = []
    for _ in range(ROUNDS):
        for row in rows:
            began_ns = time.perf_counter_ns()
            complexity.assess(row.request)
            times_us.append((time.perf_counter_ns() - began_ns) / 1000)
    times_us.sort()
    return [
        f"{name:<16}{times_us[int(len(times_us) * share)]:>10,.0f} µs" for name, share in (("p50", 0.5), ("p99", 0.99))
    ]


def money_table(rows: list[Row], cheap: UnitPrice, strong: UnitPrice, reply_tokens: int) -> list[str]:
    all_strong = all_cheap = routed = Decimal(0)
    weak = 0
    for row in rows:
        cheap_usd, strong_usd = (cost(price, row.request.prompt_tokens, 0, reply_tokens) for price in (cheap, strong))
        is_strong = complexity.assess(row.request).complex
        all_cheap, all_strong = all_cheap + cheap_usd, all_strong + strong_usd
        routed += strong_usd if is_strong else cheap_usd
        weak += row.complex and not is_strong
    saved = 1 - routed / all_strong if all_strong else Decimal(0)
    return [
        f"{'all strong':<16}{all_strong:>10.4f}",
        f"{'auto':<16}{routed:>10.4f}   {saved:.1%} less than all strong",
        f"{'all cheap':<16}{all_cheap:>10.4f}",
        f"Complex requests that auto sends to the cheap model: {weak:,} of {sum(row.complex for row in rows):,}.",
        "Prompts are counted as the gateway counts them before a provider does: on the high side.",
    ]
