"""`bin/bench load` and `bin/bench chaos`: what can be said to them, read from the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvloop

from nexus.bench import endurance
from nexus.bench.endurance import Wanted
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
    wanted = Wanted(
        seconds=options.minutes * 60,
        per_s=options.rate,
        share=options.share,
        workspaces=options.tenants,
        minute_s=min(60.0, options.minutes * 60 / 4),
        report=options.json,
    )
    return uvloop.run(endurance.run(instance, wanted))


COMMANDS = {"load": load}
