"""A worker's part with mails that wait in the queue, in this process: `django.core.mail.outbox` has them then."""

from __future__ import annotations

import base64
from typing import Any, cast

import orjson
import redis
from celery import current_app
from django.conf import settings
from django.core import mail

from tenants import tasks

QUEUE = "nexus.celery.celery"


def waiting(task: Any) -> list[bytes]:
    """As they lie in the queue; the oldest first."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        found = cast(list[bytes], client.lrange(QUEUE, 0, -1))
    return [message for message in reversed(found) if orjson.loads(message)["headers"]["task"] == task.name]


def take_all(task: Any) -> list[Any]:
    """What each one was given."""
    found = waiting(task)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for message in found:
            client.lrem(QUEUE, 1, cast(str, message))
    return [arguments_of(message) for message in found]


def run_waiting(task: Any = tasks.note_wrong_passwords) -> list[Any]:
    """What each one was given."""
    given = take_all(task)
    for arguments in given:
        current_app.tasks[task.name](*arguments)
    return given


def arguments_of(message: bytes) -> Any:
    return orjson.loads(base64.b64decode(orjson.loads(message)["body"]))[0]


def mail_to(address: str) -> list[Any]:
    """All of them, delivered by now."""
    run_waiting(tasks.send_letter)
    return [message for message in mail.outbox if message.to == [address]]
