"""`bin/bench --month N`: N calls of a month, by a hundred tenants, settled and booked while processes are killed; then
whether all books say the same, how fast that was, and what it takes to look at it. docs/bench.md says how to read it.

On throw-away services that keep what they promise: Postgres with fsync, Redis with its append-only file.
"""

from __future__ import annotations

import os

import django

from nexus.bench import installation
from nexus.bench.month_play import Keepers, Month
from nexus.instance import Instance
from nexus.preflight import require_disk, say
from nexus.supervisor import Supervisor

NEEDS_MB, NEEDS_MB_A_MILLION = 1_000, 8_000
CALLS_A_KILL = 50_000
# Where all share a few cores, what is late is not lost; and a line for each settlement that waits is too much of a log.
PATIENCE = {"NEXUS_REDIS_TIMEOUT_MS": "3000", "NEXUS_LOG_LEVEL": "ERROR"}


async def run(instance: Instance, calls: int) -> bool:
    """Whether nothing was lost, counted twice, or differs. Raises Trouble."""
    require_disk(instance.var, NEEDS_MB + NEEDS_MB_A_MILLION * calls // 1_000_000)
    async with installation.running(instance, keeps=True, model=False, patience=PATIENCE) as installed:
        os.environ |= installed.environment
        django.setup()
        # It needs Django's models.
        from nexus.bench import month_report

        month = Month(calls, kills=calls // CALLS_A_KILL)
        keepers = Keepers(installed.supervisor, Supervisor(instance.logs, say))
        return await month_report.play(month, keepers, instance.var)
