"""Writes down how a message went, and what follows: another try, the end of it, or of its endpoint."""

from __future__ import annotations

import datetime as dt
import random
import urllib.parse

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from analytics.alerts import rules
from analytics.alerts.kinds import TEST
from analytics.alerts.models import Delivery, WebhookEndpoint
from analytics.alerts.posting import Answer
from analytics.alerts.raising import raise_alert
from tenants import audit, kept
from tenants.models import Tenant

# After the first try. All of them take 31 h and 36 min, and a little more for the jitter.
RETRY_AFTER_S = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400)
JITTER = 0.25
ATTEMPTS_KEPT = 10
SWITCHED_OFF_AFTER = dt.timedelta(days=3)
# A single message that fails at once after three quiet days says too little: it gets half an hour.
TRIES_AT_LEAST = 4
GONE = 410
NOBODY_THERE = gettext_noop("It answered 410: nobody listens there any more.")
FAILED_FOR = gettext_noop("It failed for {days} days.")
WILL_BE_OFF = gettext_noop("It is switched off after {days} days.")
IS_OFF = gettext_noop("It is switched off now.")
kept.keep(NOBODY_THERE, FAILED_FOR, WILL_BE_OFF, IS_OFF)


def note(tenant: Tenant, sent: Delivery, answer: Answer) -> None:
    """Within the tenant's schema."""
    now = timezone.now()
    with transaction.atomic():
        # The endpoint first, as whoever changes one does: else two could wait for each other.
        endpoint = None
        if sent.endpoint_id is not None:
            endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=sent.endpoint_id).first()
        delivery = Delivery.objects.select_for_update().filter(pk=sent.pk).first()
        if delivery is None:
            # Its endpoint was deleted meanwhile.
            return
        attempt = {"at": now.isoformat(), "status": answer.status, "error": answer.error, "took_ms": answer.took_ms}
        delivery.attempts = [*delivery.attempts, attempt][-ATTEMPTS_KEPT:]
        delivery.response = answer.response
        delivery.tries += 1
        is_test = sent.event.kind == TEST
        if not answer.error:
            delivery.status, delivery.next_at = Delivery.Status.DELIVERED, None
        elif (
            is_test
            or answer.status == GONE
            or delivery.tries > len(RETRY_AFTER_S)
            # Its endpoint was switched off meanwhile.
            or delivery.status != Delivery.Status.WAITING
        ):
            delivery.status, delivery.next_at = Delivery.Status.FAILED, None
        else:
            delivery.next_at = now + _pause(delivery.tries, answer)
        delivery.save()
        # A test that fails says nothing of what the endpoint takes from day to day.
        if endpoint is not None and (not is_test or not answer.error or answer.status == GONE):
            _note_endpoint(tenant, endpoint, delivery, answer, now)


def _pause(tries: int, answer: Answer) -> dt.timedelta:
    """Longer by chance, so that what failed together does not come back together."""
    seconds = RETRY_AFTER_S[tries - 1] * (1 + random.random() * JITTER)
    return dt.timedelta(seconds=max(seconds, answer.retry_after_s))


def _note_endpoint(
    tenant: Tenant, endpoint: WebhookEndpoint, delivery: Delivery, answer: Answer, now: dt.datetime
) -> None:
    since = (endpoint.failing_since or now) if answer.error else None
    if since != endpoint.failing_since:
        endpoint.failing_since = since
        endpoint.save(update_fields=["failing_since"])
    if since is None:
        return
    failing = now - since
    if not endpoint.enabled:
        return
    if answer.status == GONE:
        switch_off(tenant, endpoint, answer, NOBODY_THERE)
    elif failing >= SWITCHED_OFF_AFTER and delivery.tries >= TRIES_AT_LEAST:
        switch_off(tenant, endpoint, answer, FAILED_FOR.format(days=SWITCHED_OFF_AFTER.days))
    elif failing >= dt.timedelta(hours=rules.read("webhook_failing").thresholds["hours"]):
        _tell(tenant, endpoint, answer, "failing", WILL_BE_OFF.format(days=SWITCHED_OFF_AFTER.days))


def switch_off(tenant: Tenant, endpoint: WebhookEndpoint, answer: Answer, reason: str) -> None:
    endpoint.enabled, endpoint.off_reason = False, reason
    endpoint.save(update_fields=["enabled", "off_reason"])
    give_up(endpoint)
    after = {"enabled": False, "reason": reason}
    audit.record(
        "webhook.switched_off", tenant=tenant, actor_label="alerts", target=str(endpoint.pk), before=None, after=after
    )
    _tell(tenant, endpoint, answer, "off", IS_OFF)


def give_up(endpoint: WebhookEndpoint) -> None:
    """What waits for an endpoint that is switched off; it can be replayed."""
    waiting = endpoint.deliveries.filter(status=Delivery.Status.WAITING)
    waiting.update(status=Delivery.Status.FAILED, next_at=None)


def _tell(tenant: Tenant, endpoint: WebhookEndpoint, answer: Answer, stage: str, consequence: str) -> None:
    """Once for each time that it began to fail."""
    since = endpoint.failing_since or timezone.now()
    facts = {
        "endpoint": str(endpoint.pk),
        "url": origin(endpoint.url),
        "failing_since": since.isoformat(timespec="seconds"),
        "error": answer.error,
        "consequence": consequence,
    }
    key = f"webhook_failing:{endpoint.pk}:{since.isoformat()}:{stage}"
    raise_alert(tenant, "webhook_failing", endpoint.description or facts["url"], facts, key)


def origin(url: str) -> str:
    """Without what may be a secret of the receiver's."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
