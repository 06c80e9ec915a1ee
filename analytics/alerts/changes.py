"""Changes of alerts, by API and on pages: each is one transaction under the workspace's lock, and in the audit log.

Values have been checked (analytics.alerts.bodies). Raises Conflict, NotFound, TooOften.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from analytics.alerts import rules, signing, standing
from analytics.alerts.bodies import WebhookBody, check_thresholds
from analytics.alerts.kinds import Kind
from analytics.alerts.models import AlertEvent, AlertRule, Delivery, WebhookEndpoint
from analytics.alerts.raising import announce, raise_test
from analytics.alerts.rules import Rule
from tenants import audit, keyspace, pace, secretbox
from tenants.audit import By
from tenants.management_views import Conflict, changing, missing
from tenants.models import Tenant

MAX_ENDPOINTS = 20
OVERLAP = dt.timedelta(hours=24)
TESTS_PER_MINUTE, REPLAYS_PER_MINUTE = 10, 60
TESTED = gettext_lazy("Webhooks can be tested %(times)s times a minute. Try again in %(seconds)s s.")
REPLAYED = gettext_lazy("Webhooks can be replayed %(times)s times a minute. Try again in %(seconds)s s.")
# Of alerts that are marked as read at once.
READ_AT_ONCE = 10_000


def mark_read(tenant: Tenant, id: uuid.UUID, by: By) -> AlertEvent:
    """A second time changes nothing."""
    with changing(tenant, affects_calls=False):
        event = AlertEvent.objects.filter(pk=id).first()
        if event is None:
            raise missing("alert", str(id))
        if event.read_at is None:
            event.read_at = timezone.now()
            event.save(update_fields=["read_at"])
            _record(tenant, "alert.read", str(id), by, after={"kind": event.kind})
    return event


def mark_all_read(tenant: Tenant, until: dt.datetime, by: By) -> int:
    """Those that were raised by `until`; what came after the page was made stays unread."""
    with changing(tenant, affects_calls=False):
        unread = AlertEvent.objects.filter(read_at=None, at__lte=until).order_by("-at", "-id")[:READ_AT_ONCE]
        number = AlertEvent.objects.filter(pk__in=unread.values("pk")).update(read_at=timezone.now())
        if number:
            _record(tenant, "alert.read", "all", by, after={"number": number})
    return number


def set_rule(tenant: Tenant, kind: Kind, values: dict[str, Any], by: By) -> Rule:
    """What is left out of AlertRuleBody's values goes back to its default."""
    set_to = {
        "enabled": values["enabled"],
        "thresholds": kind.defaults() | check_thresholds(kind, values.get("thresholds", {})),
        "channels": values.get("channels", list(kind.channels)),
        "roles": values.get("roles", list(kind.roles)),
    }
    with changing(tenant, affects_calls=False):
        before = rules.shown(rules.read(kind.name))
        AlertRule.objects.update_or_create(kind=kind.name, defaults=set_to)
        rule = rules.read(kind.name)
        _record(tenant, "alert_rule.changed", kind.name, by, before=before, after=rules.shown(rule))
    return rule


def shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """As the API and the audit log show it: without its secret."""
    return dict(WebhookBody(endpoint).data)


def make_endpoint(tenant: Tenant, values: dict[str, Any], by: By) -> tuple[WebhookEndpoint, str]:
    """With its secret, which nobody is shown again."""
    secret = signing.make_secret()
    with changing(tenant, affects_calls=False):
        if WebhookEndpoint.objects.count() >= MAX_ENDPOINTS:
            text = gettext("A workspace has %(most)s endpoints at most.")
            raise Conflict(text % {"most": MAX_ENDPOINTS}, "limit_reached")
        endpoint = WebhookEndpoint.objects.create(secret=secretbox.seal(secret), **values)
        _record(tenant, "webhook.created", str(endpoint.pk), by, after=shown(endpoint))
    return endpoint, secret


def change_endpoint(tenant: Tenant, id: uuid.UUID, values: dict[str, Any], by: By) -> WebhookEndpoint:
    """Switched on, it begins anew, without its failures; what waits for one that is switched off is given up."""
    with changing(tenant, affects_calls=False):
        endpoint = find_endpoint(id, changing=True)
        before = shown(endpoint)
        for name, value in values.items():
            setattr(endpoint, name, value)
        if endpoint.enabled:
            endpoint.off_reason = ""
        if endpoint.enabled and not before["enabled"]:
            endpoint.failing_since = None
        endpoint.save()
        if not endpoint.enabled:
            standing.give_up(endpoint)
        _record(tenant, "webhook.changed", str(id), by, before=before, after=shown(endpoint))
    return endpoint


def delete_endpoint(tenant: Tenant, id: uuid.UUID, by: By) -> None:
    """With the log of what was sent there."""
    with changing(tenant, affects_calls=False):
        endpoint = find_endpoint(id, changing=True)
        _record(tenant, "webhook.deleted", str(id), by, before=shown(endpoint))
        endpoint.delete()


def rotate_secret(tenant: Tenant, id: uuid.UUID, by: By) -> tuple[WebhookEndpoint, str]:
    """For `OVERLAP` both sign. Again within it, the oldest of three is forgotten at once."""
    secret = signing.make_secret()
    with changing(tenant, affects_calls=False):
        endpoint = find_endpoint(id, changing=True)
        endpoint.previous_secret, endpoint.previous_until = endpoint.secret, timezone.now() + OVERLAP
        endpoint.secret = secretbox.seal(secret)
        endpoint.save(update_fields=["secret", "previous_secret", "previous_until"])
        after = {"previous_secret_until": shown(endpoint)["previous_secret_until"]}
        _record(tenant, "webhook.secret_rotated", str(id), by, after=after)
    return endpoint, secret


def send_test(tenant: Tenant, id: uuid.UUID, by: By) -> Delivery:
    """Within seconds, and once."""
    pace.count(keyspace.alert_acts(tenant.pk, "test"), TESTS_PER_MINUTE, TESTED)
    with changing(tenant, affects_calls=False):
        endpoint = find_endpoint(id)
        _check_on(endpoint)
        delivery = raise_test(tenant, endpoint)
        _record(tenant, "webhook.tested", str(endpoint.pk), by, after={"delivery": str(delivery.pk)})
    return delivery


def replay(tenant: Tenant, id: uuid.UUID, by: By) -> Delivery:
    """Once more with its own id, and if need be again as often as a new one."""
    pace.count(keyspace.alert_acts(tenant.pk, "replay"), REPLAYS_PER_MINUTE, REPLAYED)
    with changing(tenant, affects_calls=False):
        rows = Delivery.objects.select_for_update(of=("self",)).select_related("event", "endpoint")
        delivery = rows.filter(pk=id, endpoint__isnull=False).first()
        if delivery is None or delivery.endpoint is None:
            raise missing("delivery", str(id))
        _check_on(delivery.endpoint)
        before = {"status": delivery.status}
        delivery.status, delivery.tries, delivery.next_at = Delivery.Status.WAITING, 0, timezone.now()
        delivery.save(update_fields=["status", "tries", "next_at"])
        announce(tenant)
        after = {"status": "waiting", "webhook": str(delivery.endpoint_id)}
        _record(tenant, "webhook.replayed", str(id), by, before=before, after=after)
    return delivery


def find_endpoint(id: uuid.UUID, *, changing: bool = False) -> WebhookEndpoint:
    """For a change, the row is locked: the outbox writes to it, too."""
    rows = WebhookEndpoint.objects.select_for_update(no_key=True) if changing else WebhookEndpoint.objects.all()
    endpoint = rows.filter(pk=id).first()
    if endpoint is None:
        raise missing("webhook endpoint", str(id))
    return endpoint


def _check_on(endpoint: WebhookEndpoint) -> None:
    if not endpoint.enabled:
        raise Conflict(
            gettext("This endpoint is switched off. Switch it on first: PATCH it with “enabled”: true."), "switched_off"
        )


def _record(tenant: Tenant, action: str, target: str, by: By, *, before: Any = None, after: Any = None) -> None:
    audit.record_change(action, tenant=tenant, target=target, before=before, after=after, **by)
