"""Hands work to the workers' queue from a request, and says at once when the queue is away."""

from __future__ import annotations

from typing import Any

import redis
from celery import current_app
from kombu.exceptions import KombuError

# Celery's own way waits for six seconds, and for a host that does not answer much longer.
_IMPATIENT = {"max_retries": 0, "socket_connect_timeout": 1.0, "socket_timeout": 2.0}


class Away(Exception):
    """Nobody has taken the work."""


def hand_over(task: str, *arguments: Any) -> None:
    """Raises Away."""
    try:
        with current_app.connection_for_write(transport_options=_IMPATIENT) as connection:
            current_app.send_task(task, arguments, connection=connection, retry=False)
    except (KombuError, redis.RedisError, OSError) as error:
        raise Away(str(error)) from error
