"""Gives each process of a parallel run (`pytest -n`) a Redis and a spool of its own; pytest-django names its database.

A plugin, as this must be before Django reads its settings. Tenants of two databases have the same ids, so they cannot
share a Redis; and what one announces in Redis is heard in all of its databases.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from tests.own_redis import OwnRedis

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    var = Path(os.environ["NEXUS_VAR"]) / worker
    own = OwnRedis(var)
    atexit.register(own.close)
    os.environ |= {"REDIS_URL": own.url, "NEXUS_SPOOL_DIR": str(var / "spool")}
