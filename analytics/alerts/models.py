"""A tenant's alerts: its rules, its webhook endpoints, what was raised, and what became of each message."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

URL_LENGTH = 2_000
RESPONSE_LENGTH = 1_024


class AlertRule(models.Model):
    """How one kind of alert differs from its defaults (analytics.alerts.kinds); no row means those."""

    kind = models.CharField(max_length=40, unique=True)
    enabled = models.BooleanField(default=True)
    thresholds = models.JSONField(default=dict)
    channels = models.JSONField(default=list)
    roles = models.JSONField(default=list, help_text="Members with these are written to.")

    def __str__(self) -> str:
        return f"{self.kind}: {'on' if self.enabled else 'off'}"


class WebhookEndpoint(models.Model):
    """A URL of the tenant's that alerts are posted to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    url = models.CharField(max_length=URL_LENGTH)
    description = models.CharField(max_length=200, blank=True, default="")
    kinds = models.JSONField(default=list, help_text="Empty: all.")
    secret = models.BinaryField(help_text="Encrypted (tenants.secretbox).")
    previous_secret = models.BinaryField(null=True)
    previous_until = models.DateTimeField(null=True, help_text="The previous secret signs, too, until then.")
    enabled = models.BooleanField(default=True)
    off_reason = models.CharField(max_length=200, blank=True, default="", help_text="Why it was switched off for them.")
    failing_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.url


class AlertEvent(models.Model):
    """Something that was raised, once for each `dedupe_key`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=200, help_text="What it is about: the workspace, a key, an endpoint.")
    facts = models.JSONField(default=dict)
    dedupe_key = models.CharField(max_length=200, unique=True)
    at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["-at", "-id"], name="alert_by_time")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.kind} of {self.subject}"


class Delivery(models.Model):
    """One alert for one receiver: an outbox row. Until it is `delivered` or `failed`, it is due at `next_at`."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    event = models.ForeignKey(AlertEvent, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, null=True, on_delete=models.CASCADE, related_name="deliveries")
    email = models.EmailField(blank=True, default="", help_text="Without an endpoint: who is written to.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Since it was raised or replayed.")
    attempts = models.JSONField(default=list, help_text="The last ones: at, status, error, took_ms.")
    response = models.CharField(max_length=RESPONSE_LENGTH, blank=True, default="")
    next_at = models.DateTimeField(null=True, default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], name="delivery_due", condition=models.Q(status="waiting")),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_by_endpoint"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["event", "endpoint", "email"], name="one_delivery_a_receiver", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.email or self.endpoint_id}: {self.status}"
