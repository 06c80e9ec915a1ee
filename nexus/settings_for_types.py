"""The settings as mypy reads them: of a copy that has no services, and needs none."""

import os

os.environ.setdefault("DATABASE_URL", "postgresql://nobody@localhost/none")
os.environ.setdefault("REDIS_URL", "redis://localhost/0")
os.environ.setdefault("NEXUS_SECRET_KEY", "only-for-reading-types-never-for-serving")
os.environ.setdefault("NEXUS_ENCRYPTION_KEYS", "none")

from nexus.settings import *  # noqa: F403
