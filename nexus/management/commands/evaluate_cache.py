"""`manage.py evaluate_cache FILE…`: hits and wrong hits of the semantic cache, on questions whose answers are known."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.cache.embedding.base import EmbeddingError
from gateway.runtime import make_embedder
from gateway.types import CacheRules
from nexus.evaluation import plot, trace
from nexus.evaluation.figures import Evaluation, Grid, evaluate, summary, tables
from nexus.evaluation.files import Labelled, read
from nexus.evaluation.play import GuardSet
from nexus.evaluation.trace import Lookup
from nexus.evaluation.vectors import Embedded, embed
from nexus.jsonlines import BadFile
from nexus.management.commands.replay import Progress

THRESHOLDS = (0.80, 0.82, 0.85, 0.88, 0.90, 0.92, 0.95, 0.97)
# The last is what the gateway does.
GUARD_SETS = ("none", "all", "all+policy")


class Command(BaseCommand):
    help = (
        'Plays JSONL files of labelled questions ({"q", "cluster"}) or pairs ({"a", "b", "same", "kind"}) through the'
        " semantic cache's own rules: hits and wrong hits by threshold and guard set, and what each guard costs and"
        " saves. Nothing is sent to a provider."
    )
    # Needs the embedder only.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "--threshold",
            action="append",
            type=threshold,
            help=f"may be given several times ({', '.join(f'{one:.2f}' for one in THRESHOLDS)})",
        )
        parser.add_argument(
            "--guards",
            action="append",
            type=guard_set,
            help="“none”, “all”, “policy” (the never-cache rules) or guards' names, joined by “+”; may be given"
            f" several times ({', '.join(GUARD_SETS)})",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the figures into this file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            files = [read(path) for path in options["files"]]
        except BadFile as error:
            raise CommandError(str(error)) from error
        evaluations = [self._evaluate(labelled, options) for labelled in files]
        if options["format"] == "json":
            self.stdout.write(json.dumps([summary(evaluation) for evaluation in evaluations], indent=2))
        else:
            for evaluation in evaluations:
                self._print(evaluation)
        if options["plot"]:
            write(options["plot"], plot.svg(evaluations))

    def _evaluate(self, labelled: Labelled, options: dict[str, Any]) -> Evaluation:
        embedded = self._embed(labelled)
        thresholds = sorted(set(options["threshold"] or THRESHOLDS))
        at = CacheRules().threshold
        at = at if at in thresholds else thresholds[0]
        lookups = self._trace(labelled, embedded, floor=thresholds[0])
        known = trace.guards_of(lookups)
        names = dict.fromkeys(options["guards"] or GUARD_SETS)
        guard_sets = [GuardSet.named(name, known) for name in names]
        grid = Grid(thresholds, guard_sets, GuardSet.named(GUARD_SETS[-1], known), at)
        return evaluate(labelled, lookups, embedded.refused, grid)

    def _embed(self, labelled: Labelled) -> Embedded:
        try:
            return asyncio.run(embed_all(labelled))
        except EmbeddingError as error:
            raise CommandError(f"{labelled.path} cannot be embedded: {error}") from error

    def _trace(self, labelled: Labelled, embedded: Embedded, floor: float) -> list[Lookup]:
        found = (
            trace.of_pairs(labelled.pairs, labelled.texts, embedded.vectors, floor)
            if labelled.pairs
            else trace.of_stream(labelled.questions, labelled.texts, embedded.vectors, floor)
        )
        rows = len(labelled.pairs or labelled.questions)
        return list(counted(found, f"{labelled.path.name}: comparing", rows))

    def _print(self, evaluation: Evaluation) -> None:
        for title, lines in tables(evaluation):
            self.stdout.write(self.style.MIGRATE_HEADING(title))
            for line in lines:
                self.stdout.write(f"  {line}")
            self.stdout.write("")


def threshold(text: str) -> float:
    """A tenant can set none outside these bounds."""
    value = float(text)
    if not 0.5 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.5 and 1.")
    return value


def guard_set(text: str) -> str:
    try:
        GuardSet.named(text, trace.guards_of(()))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


async def embed_all(labelled: Labelled) -> Embedded:
    """With the gateway's own embedder; the model is built on first use."""
    embedder = make_embedder()
    try:
        await embedder.start()
        progress = started(f"{labelled.path.name}: embedding", len(labelled.texts))
        embedded = await embed(embedder, labelled.texts, progress.add)
        progress.end()
        return embedded
    finally:
        await embedder.close()


def started(what: str, total: int) -> Progress:
    print(f"{what} {total:,}", file=sys.stderr)
    return Progress(total)


def counted(lookups: Iterable[Lookup], what: str, total: int) -> Iterator[Lookup]:
    progress = started(what, total)
    for lookup in lookups:
        yield lookup
        progress.add(1)
    progress.end()


def write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
