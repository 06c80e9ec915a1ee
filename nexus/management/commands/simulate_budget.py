"""`manage.py simulate_budget FILE…`: what the wrong-answer budget does to streams whose right answers are known."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.cache.embedding.base import EmbeddingError
from gateway.cache.learning import NEAR_MISS
from gateway.types import CacheRules
from nexus.evaluation import budget, trace
from nexus.evaluation.budget import Counts, Found, Part, Terms
from nexus.evaluation.figures import wilson
from nexus.evaluation.files import Labelled, read
from nexus.evaluation.play import GuardSet
from nexus.jsonlines import BadFile
from nexus.management.commands.evaluate_cache import counted, embed_all, guard_set, threshold

GUARD_SET = "all+policy"
MAX_RUNS, MAX_DRAWN = 100, 1_000_000


class Command(BaseCommand):
    help = (
        'Plays JSONL files of labelled questions ({"q", "cluster"}) through the semantic cache with a wrong-answer'
        " budget: samples are judged, and the threshold follows. Nothing is sent to a provider."
    )
    # Needs the embedder only.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        often = "may be given several times"
        parser.add_argument("--budget", action="append", type=share, help=f"wrong among hits, at most (0.02); {often}")
        parser.add_argument("--judge-error", action="append", type=error, help=f"share of its opinions (0); {often}")
        own = CacheRules().threshold
        parser.add_argument("--threshold", type=threshold, default=own, help=f"the workspace's own ({own})")
        parser.add_argument("--guards", type=guard_set, default=GUARD_SET, help=f"as of evaluate_cache ({GUARD_SET})")
        parser.add_argument(
            "--draw",
            type=drawn,
            metavar="N",
            help="draw as many of the file's questions by lot, each as often as it comes: longer traffic of one kind",
        )
        parser.add_argument("--seed", type=int, default=1, help="of the lots that are drawn (1)")
        parser.add_argument("--runs", type=runs, default=1, help="play as often, each with the next seed (1)")

    def handle(self, *args: Any, **options: Any) -> None:
        own, seeds = options["threshold"], range(options["seed"], options["seed"] + options["runs"])
        for path in options["files"]:
            labelled = questions_of(path)
            stream = stream_of(labelled, options["guards"], min(own, NEAR_MISS))
            for allowed, errs in itertools.product(options["budget"] or [0.02], options["judge_error"] or [0.0]):
                played = [
                    budget.play(lots(stream, options["draw"], seed), Terms(own, allowed, errs), seed) for seed in seeds
                ]
                asked = options["draw"] or len(stream)
                title = f"{path.name}: {asked:,} questions, budget {allowed:.1%}, the judge errs in {errs:.0%}"
                self.stdout.write(self.style.MIGRATE_HEADING(title))
                for line in (*table(played[0]), *summary(played)):
                    self.stdout.write(f"  {line}")
                self.stdout.write("")


def share(text: str) -> float:
    """What a tenant may set."""
    value = float(text)
    if not 0.001 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.001 and 0.5.")
    return value


def error(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1.")
    return value


def runs(text: str) -> int:
    value = int(text)
    if not 1 <= value <= MAX_RUNS:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MAX_RUNS}.")
    return value


def drawn(text: str) -> int:
    value = int(text)
    if not budget.PARTS <= value <= MAX_DRAWN:
        raise argparse.ArgumentTypeError(f"{text} is not between {budget.PARTS} and {MAX_DRAWN}.")
    return value


def lots(stream: list[Found | None], count: int | None, seed: int) -> list[Found | None]:
    return stream if count is None else random.Random(seed).choices(stream, k=count)


def questions_of(path: Path) -> Labelled:
    try:
        labelled = read(path)
    except BadFile as bad:
        raise CommandError(str(bad)) from bad
    if not labelled.questions:
        raise CommandError(f"{path} holds pairs; a budget is kept over questions in the order in which they are asked.")
    return labelled


def stream_of(labelled: Labelled, guards: str, floor: float) -> list[Found | None]:
    try:
        embedded = asyncio.run(embed_all(labelled))
    except EmbeddingError as failure:
        raise CommandError(f"{labelled.path} cannot be embedded: {failure}") from failure
    lookups = trace.of_stream(labelled.questions, labelled.texts, embedded.vectors, floor)
    traced = list(counted(lookups, f"{labelled.path.name}: comparing", len(labelled.questions)))
    chosen = GuardSet.named(guards, trace.guards_of(traced))
    return [budget.found(lookup, chosen) for lookup in traced]


def table(parts: Sequence[Part]) -> Iterator[str]:
    yield f"{'tenth':<7}{'threshold':>10}{'hits':>8}{'wrong':>7}{'wrong/hits [95 %]':>22}{'verdicts':>10}{'calls':>7}"
    for number, (counts, held, off) in enumerate(parts, 1):
        yield (
            f"{number:<7}{'off' if off else f'{held:.2f}':>10}{counts.hits / max(1, counts.asked):>8.1%}"
            f"{counts.wrong:>7}{shown(counts):>22}{counts.verdicts:>10}{counts.calls:>7}"
        )


def shown(counts: Counts) -> str:
    return str(wilson(counts.wrong, counts.hits) or "–")


def summary(played: Sequence[Sequence[Part]]) -> Iterator[str]:
    """Of all runs together; the second half shows what was learned. Runs share their questions: no interval here."""
    yield f"{len(played)} {'run' if len(played) == 1 else 'runs'} together:"
    for name, first in (("whole stream", 0), ("second half", budget.PARTS // 2)):
        total = Counts.total(part.counts for run in played for part in run[first:])
        wrong = f"{total.wrong / total.hits:.2%}" if total.hits else "–"
        yield (
            f"{name:<13} hits {total.hits / max(1, total.asked):.1%}, wrong/hits {wrong},"
            f" verdicts {total.verdicts / len(played):,.0f} a run, calls of the judge {total.calls / len(played):,.0f}"
        )
    ends = sorted("off" if run[-1].off else f"{run[-1].threshold:.2f}" for run in played)
    yield f"at the end    {', '.join(ends)}"
