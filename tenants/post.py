"""Sends mails by a worker, so that no request waits for a mail server. What lies in the queue meanwhile is encrypted: a
mail may hold a link that lets somebody in.

Without the queue a mail is sent in its request. One that comes twice is sent once, but for a worker that dies between
the two steps; both then have the same Message-ID.
"""

from __future__ import annotations

import logging
import smtplib
import urllib.parse
import uuid
from typing import Any, cast

import orjson
import redis
from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from tenants import keyspace, secretbox
from tenants.db import open_redis
from tenants.handover import Away, hand_over

logger = logging.getLogger(__name__)

SEND = "tenants.tasks.send_letter"
NOT_SENT = (smtplib.SMTPException, OSError)
# Longer than any task is tried again.
KNOWN_S = 86_400
REDIS_TIMEOUT_S = 2.0


def post(letter: EmailMultiAlternatives) -> None:
    """One without a receiver goes the same way, and is thrown away at its end. Raises NOT_SENT."""
    sealed = _seal(letter)
    try:
        hand_over(SEND, sealed)
    except Away as error:
        logger.warning("the queue is away: a mail is sent in its request: %s", error)
        deliver(sealed)


def deliver(sealed: str) -> None:
    """Raises NOT_SENT; Unreadable."""
    known = orjson.loads(secretbox.open_sealed(sealed.encode()))
    key = keyspace.letter(known.pop("id"))
    letter = EmailMultiAlternatives(**known)
    if letter.recipients() and not _was_sent(key):
        letter.send()
        _note(key)


def _seal(letter: EmailMultiAlternatives) -> str:
    letter_id = uuid.uuid4().hex
    headers = {"Message-ID": f"<{letter_id}@{urllib.parse.urlsplit(settings.PUBLIC_URL).hostname}>"}
    known: dict[str, Any] = {
        "id": letter_id,
        "subject": letter.subject,
        "body": letter.body,
        "from_email": letter.from_email,
        "to": letter.recipients(),
        "alternatives": [tuple(part) for part in letter.alternatives],
        "headers": {**letter.extra_headers, **headers},
    }
    return secretbox.seal(orjson.dumps(known).decode()).decode()


def _was_sent(key: str) -> bool:
    try:
        with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
            return bool(cast(int, client.exists(key)))
    except redis.RedisError as error:
        logger.warning("nobody knows whether a mail was sent: %s", error)
        return False


def _note(key: str) -> None:
    try:
        with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
            client.set(key, 1, ex=KNOWN_S)
    except redis.RedisError as error:
        logger.warning("that a mail was sent is not kept: %s", error)
