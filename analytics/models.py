"""What happened in one tenant: usage records and their rollups. These tables live in the tenant's schema."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from analytics.alerts.models import AlertEvent as AlertEvent
from analytics.alerts.models import AlertRule as AlertRule
from analytics.alerts.models import Delivery as Delivery
from analytics.alerts.models import WebhookEndpoint as WebhookEndpoint

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


class UsageRecord(models.Model):
    """One answered or failed request (see `analytics.events`). Kept for the plan's retention."""

    # Given by the gateway, not by the client: who repeats a request id does not hide a request.
    id = models.UUIDField(primary_key=True)
    request_id = models.CharField(max_length=128)
    key_id = models.BigIntegerField()
    at = models.DateTimeField()
    period_start = models.DateTimeField()
    dialect = models.CharField(max_length=24)
    stream = models.BooleanField()
    outcome = models.CharField(max_length=16)
    coalesced = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField()
    error = models.CharField(max_length=64, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    simulated = models.BooleanField(default=False)
    model = models.CharField(max_length=120, help_text="As the app asked for it.")
    upstream_model = models.CharField(max_length=120, blank=True, default="", help_text="As the provider was asked.")
    variant = models.CharField(max_length=200, blank=True, default="", help_text="What an A/B route chose.")
    prompt_tokens = models.IntegerField()
    completion_tokens = models.IntegerField()
    billed_tokens = models.IntegerField()
    # Those priced apart, by name (gateway.types.Usage): {"cached": 1024, "reasoning": 320}. Empty where there are none.
    token_details = models.JSONField(null=True)
    tags = models.JSONField(null=True, help_text="As the app named them, to add costs up by.")
    paid_by_platform = models.BooleanField(default=False, help_text="On the platform's own provider account.")
    # Empty: the model has no known price. It is not free.
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    saved_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    latency_ms = models.FloatField()
    first_token_ms = models.FloatField(null=True)
    provider_ms = models.FloatField(null=True)
    similarity = models.FloatField(null=True)
    entry_id = models.UUIDField(
        null=True, help_text="The cached answer that was given, or in shadow mode would have been."
    )
    stale = models.BooleanField(default=False, help_text="Past its time, in place of a provider that failed.")
    shadow_saved_usd = models.DecimalField(
        max_digits=20,
        decimal_places=10,
        null=True,
        help_text="What the answer would have saved that shadow mode found.",
    )

    class Meta:
        indexes = [
            models.Index(fields=["-at"], name="record_by_time"),
            models.Index(fields=["request_id"], name="record_by_request_id"),
            # Few: looked for among all, and added up by kind.
            models.Index(
                fields=["-at"],
                include=["status", "error", "billed_tokens"],
                condition=models.Q(status__gte=400),
                name="failed_record_by_time",
            ),
            # Of an entry, those that it answered. Each hit pays some 5 µs for it.
            models.Index(
                fields=["entry_id", "-at"], condition=models.Q(entry_id__isnull=False), name="record_by_entry"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.outcome} {self.model} {self.request_id}"


class UsageRollup(models.Model):
    """Sums of the records of one minute, hour or day of UTC, by what they can be asked for."""

    bucket = models.DateTimeField()
    width_s = models.PositiveIntegerField()
    outcome = models.CharField(max_length=16)
    model = models.CharField(max_length=120)
    provider = models.CharField(max_length=64, blank=True)
    key_id = models.BigIntegerField()
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    billed_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10)
    saved_usd = models.DecimalField(max_digits=20, decimal_places=10)
    unpriced = models.BigIntegerField(help_text="Requests whose model has no known price.")
    latency_ms_sum = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bucket", "width_s", "outcome", "model", "provider", "key_id"], name="one_rollup_per_slice"
            )
        ]
        # Of the last two days there are far more minutes than hours.
        indexes = [models.Index(fields=["width_s", "bucket"], name="rollup_by_width_and_time")]

    def __str__(self) -> str:
        return f"{self.bucket:%Y-%m-%d %H:%M} {self.outcome} {self.model}: {self.requests}"


class SavingsShare(models.Model):
    """A link that shows a workspace's savings to who has it (analytics.shares). Kept when it is over, for the list."""

    token_sha256 = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=80, blank=True)
    # One of analytics.spans.RANGES, which moves on with the days; empty: the two days, and those between.
    range = models.CharField(max_length=16, blank=True)
    first_day = models.DateField(null=True)
    last_day = models.DateField(null=True)
    shows_keys = models.BooleanField(default=False)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True, help_text="Last, to the minute.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.label or self.pk} until {self.expires_at:%Y-%m-%d}"
