"""`python -m nexus.bench.month_process gateway FOLDER NUMBER OF`, or `… worker`: one process of the month."""

from __future__ import annotations

import sys
from pathlib import Path

import django


def main(arguments: list[str]) -> None:
    django.setup()
    # They need Django's models.
    if arguments[0] == "worker":
        from nexus.bench import month_worker

        month_worker.run()
    else:
        from nexus.bench import month_gateway

        _, folder, number, of = arguments
        month_gateway.run(Path(folder), int(number), int(of))


if __name__ == "__main__":
    main(sys.argv[1:])
