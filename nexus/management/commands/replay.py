"""`manage.py replay FILE`: plays questions through the gateway and prints what the cache did."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from nexus.instance import read_env_file
from nexus.jsonlines import BadFile
from nexus.replay.player import Player, Target, read
from nexus.replay.report import Report

BAR = 40


class Command(BaseCommand):
    help = (
        'Plays the questions of a JSONL file ({"q": …, "cluster": …}) through /v1/chat/completions and prints hits by'
        " tier, wrong hits, latencies, tokens and dollars. With a concurrency above 1 their order is kept only roughly."
    )
    # Speaks HTTP only: no database is needed where it runs.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--concurrency", type=positive, default=8, help="questions in flight (8)")
        parser.add_argument("--url", help="the gateway's address; default: that of var/demo.env")
        parser.add_argument("--key", help="an API key; default: that of var/demo.env")
        parser.add_argument("--model", default=settings.DEFAULT_MODEL)
        parser.add_argument("--limit", type=positive, help="play the first questions only")
        parser.add_argument("--stream", action="store_true", help="ask for streams")
        parser.add_argument(
            "--namespace",
            help="cache namespace; default: a new, empty one; “shared” is that of ordinary requests",
        )
        parser.add_argument("--json", type=Path, help="write the figures to this file, too")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            questions = read(options["file"], options["limit"])
        except BadFile as error:
            raise CommandError(str(error)) from error
        report, progress = Report(len(questions)), Progress(len(questions))
        player = Player(target(options), report, progress.add)
        # Who interrupts gets what was seen so far.
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(player.play(questions, options["concurrency"]))
        progress.end()
        self.stdout.write(report.table())
        if options["json"]:
            write_json(options["json"], report)
        if not report.answered:
            raise CommandError("Nothing was answered. Is the gateway up at this address, and the key valid?")


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more.")
    return number


def write_json(path: Path, report: Report) -> None:
    try:
        path.write_text(json.dumps(report.summary(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error


def target(options: dict[str, Any]) -> Target:
    path = settings.VAR_DIR / "demo.env"
    demo = read_env_file(path) if path.exists() else {}
    url, key = options["url"] or demo.get("NEXUS_URL"), options["key"] or demo.get("NEXUS_API_KEY")
    if not url or not key:
        raise CommandError("Name a gateway with --url and --key, or start one with bin/up.")
    namespace = options["namespace"] or f"replay-{secrets.token_hex(4)}"
    namespace = "" if namespace == "shared" else namespace
    return Target(url.rstrip("/"), key, options["model"], namespace, options["stream"])


class Progress:
    """A bar on a terminal; elsewhere a line for every twentieth part."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._began = self._drawn = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def add(self, count: int) -> None:
        before, self._done = self._done, self._done + count
        now = time.monotonic()
        if self._is_terminal:
            if now - self._drawn >= 0.1 or self._done == self._total:
                self._drawn = now
                filled = BAR * self._done // self._total
                speed = self._done / max(now - self._began, 0.001)
                bar = "█" * filled + "·" * (BAR - filled)
                print(f"\r{bar} {self._done:,}/{self._total:,} {speed:.0f}/s ", end="", file=sys.stderr, flush=True)
        elif self._done * 20 // self._total > before * 20 // self._total:
            print(f"{self._done:,} of {self._total:,}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_terminal:
            print(file=sys.stderr)
