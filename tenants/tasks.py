"""Celery's part: mails, among them those that invite people, deletions that were cut off, and tokens that are over."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import OperationalError, close_old_connections
from django.utils import timezone
from redis.exceptions import RedisError

from tenants import account_trail, deletion, invitations, letters, post, refreshing
from tenants.models import Invitation, Tenant

logger = logging.getLogger(__name__)


@shared_task(autoretry_for=post.NOT_SENT, retry_backoff=10, retry_backoff_max=600, max_retries=12)
def send_letter(sealed: str) -> None:
    """For an hour and a half, then it is among the failures. `sealed` is of tenants.post."""
    post.deliver(sealed)


@shared_task(autoretry_for=post.NOT_SENT, retry_backoff=10, retry_backoff_max=600, max_retries=6)
def send_invitation(invitation_id: int) -> None:
    """Once. Of two letters, because a worker died between the two steps, the later one's link is good."""
    close_old_connections()
    letter = invitations.letter(invitation_id)
    if letter is not None:
        letters.invitation(letter).send()
        sent = Invitation.objects.filter(pk=invitation_id, token_sha256=letter.invitation.token_sha256)
        sent.update(sent_at=timezone.now())


@shared_task
def note_wrong_passwords(address: str, ip: str | None) -> None:
    """Who has the address is looked up here, where nobody measures the time."""
    close_old_connections()
    account_trail.record_wrong_passwords(address, ip)


@shared_task
def finish_deletions() -> int:
    """Takes the steps that are left for workspaces that were being deleted; how many there were."""
    close_old_connections()
    cut_off = list(Tenant.everyone.filter(status=Tenant.Status.DELETED).exclude(email=""))
    for tenant in cut_off:
        try:
            deletion.delete(tenant)
        except (OperationalError, RedisError) as error:
            logger.error("what is left of tenant %s cannot be deleted now: %s", tenant.pk, error)
    return len(cut_off)


@shared_task
def purge_tokens() -> int:
    """Families of tokens that are over; how many there were."""
    close_old_connections()
    return refreshing.purge()
