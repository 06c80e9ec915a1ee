"""What tenants may spend and have spent: plans, subscriptions, dated prices, and the append-only ledger."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils import timezone

from tenants.models import Tenant


class Plan(models.Model):
    """What a subscription includes. An empty limit is no limit."""

    code = models.SlugField(primary_key=True, max_length=32)
    name = models.CharField(max_length=60)
    price_usd = models.DecimalField("price, USD a month", max_digits=10, decimal_places=2, default=Decimal(0))
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    monthly_requests = models.PositiveBigIntegerField(null=True, blank=True)
    monthly_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    retention_days = models.PositiveIntegerField(default=30, help_text="Usage records are kept this long.")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """The plan of a tenant. `overrides` replaces single limits of the plan: `{"monthly_requests": null}`."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="subscription")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    anchor_at = models.DateTimeField(
        default=timezone.now, help_text="Monthly periods begin on this day and time of the month (UTC)."
    )
    overrides = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"{self.tenant}: {self.plan}"


class PriceOverride(models.Model):
    """A price that replaces the catalog's from a date on. Rows are added, never changed."""

    catalog = models.CharField(max_length=60, help_text="Provider in the price catalog, for example “openai”.")
    model = models.CharField(max_length=120)
    effective_from = models.DateTimeField(default=timezone.now)
    input_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6)
    output_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6)
    cached_input_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["catalog", "model", "effective_from"], name="one_price_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.catalog}/{self.model} from {self.effective_from:%Y-%m-%d}"


class LedgerEntry(models.Model):
    """One settled batch of one key's requests in one period. Postgres refuses to change or delete a row."""

    class Kind(models.TextChoices):
        USAGE = "usage"
        ADJUSTMENT = "adjustment"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="ledger")
    # Not a foreign key: a key may be deleted, the ledger stays.
    key_id = models.BigIntegerField(null=True)
    batch = models.UUIDField(help_text="The transaction that wrote it, together with its usage records.")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.USAGE)
    period_start = models.DateTimeField()
    requests = models.BigIntegerField()
    tokens = models.BigIntegerField(help_text="Tokens that count against the quota; hits cost none.")
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10)
    saved_usd = models.DecimalField(max_digits=20, decimal_places=10)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["batch", "tenant", "key_id", "period_start"], name="a_batch_is_booked_once")
        ]
        indexes = [models.Index(fields=["tenant", "period_start"], name="ledger_by_period")]

    def __str__(self) -> str:
        return f"{self.tenant} {self.period_start:%Y-%m-%d}: {self.requests} requests, {self.tokens} tokens"
