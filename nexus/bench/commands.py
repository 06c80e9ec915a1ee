"""What can be said to `bin/bench load`, `bin/bench chaos` and `bin/bench observability` on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvloop

from nexus.bench import chaos as chaos_runs
from nexus.bench import chaos_parts, endurance
from nexus.bench import observability as telling
from nexus.instance import Instance


def load(instance: Instance, arguments: list[str]) -> bool:
    parser = argparse.ArgumentParser(prog="bin/bench load", description="Mixed traffic for long, and what it does.")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="as long (10)")
    parser.add_argument("--rate", type=float, default=0.0, metavar="R", help="requests a second, whatever is the most")
    parser.add_argument("--share", type=float, default=0.5, help="of the most, which is looked for first (0.5)")
    parser.add_argument("--tenants", type=int, default=4, metavar="N", help="workspaces (4)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="where figures are written, too")
    options = parser.parse_args(arguments)
    if options.minutes <= 0 or options.rate < 0 or not 0 < options.share <= 1 or options.tenants < 1:
        parser.error("--minutes, --rate and --tenants take positive numbers, --share one up to 1.")
    wanted = endurance.Wanted(
        seconds=options.minutes * 60,
        per_s=options.rate,
        share=options.share,
        workspaces=options.tenants,
        minute_s=min(60.0, options.minutes * 60 / 4),
        report=options.json,
    )
    return uvloop.run(endurance.run(instance, wanted))


def chaos(instance: Instance, arguments: list[str]) -> bool:
    parser = argparse.ArgumentParser(prog="bin/bench chaos", description="Breaks each part in turn, under load.")
    parts, ways = chaos_parts.parts(), (*chaos_parts.WAYS, *chaos_parts.MORE_WAYS)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="which (all)")
    usual = list(chaos_parts.WAYS)
    parser.add_argument("--ways", nargs="+", choices=ways, default=usual, help="how (all but frozen)")
    parser.add_argument("--rate", type=float, default=40.0, metavar="R", help="requests a second (40)")
    parser.add_argument("--fault", type=float, default=8.0, metavar="S", help="seconds that a fault lasts (8)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="where figures are written, too")
    options = parser.parse_args(arguments)
    if options.rate <= 0 or options.fault <= 0:
        parser.error("--rate and --fault take positive numbers.")
    wanted = chaos_runs.Wanted(options.parts, options.ways, options.rate, options.fault, options.json)
    return uvloop.run(chaos_runs.run(instance, wanted))


def observability(instance: Instance, arguments: list[str]) -> bool:
    parser = argparse.ArgumentParser(
        prog="bin/bench observability", description="What metrics, access log and traces cost each request."
    )
    parser.add_argument("--rounds", type=int, default=7, help="of each mode (7)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (2)")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds take positive numbers.")
    return uvloop.run(telling.run(instance, telling.Wanted(options.rounds, options.seconds)))


COMMANDS = {"load": load, "chaos": chaos, "observability": observability}
