"""Workers and beat touch the file that NEXUS_SIGN_OF_LIFE names, for `python -m nexus.probe`; where unset, none.

A worker does with each heartbeat, every two seconds; beat with each task that it sends, some each second.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from celery.signals import beat_init, before_task_publish, heartbeat_sent
from django.conf import settings

# More often tells nobody more.
EVERY_S = 1.0
_touched_at = -EVERY_S


def touch(**_: Any) -> None:
    """A disk that takes nothing is found out by the probe, and stops no work."""
    global _touched_at
    now = time.monotonic()
    if not settings.SIGN_OF_LIFE or now - _touched_at < EVERY_S:
        return
    _touched_at = now
    with contextlib.suppress(OSError):
        Path(settings.SIGN_OF_LIFE).touch()


def _follow_beat(**_: Any) -> None:
    # Workers send tasks, too: only beat is known by them.
    before_task_publish.connect(touch)


heartbeat_sent.connect(touch)
beat_init.connect(_follow_beat)
