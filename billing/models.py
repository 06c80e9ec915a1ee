"""What tenants may spend and have spent: plans, subscriptions, dated prices, and the append-only ledger."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.limits import Budgeted, Limited
from tenants.models import Tenant

# Where everybody begins, and where those who stop paying end.
FREE = "free"


class Plan(Limited):
    """What a subscription includes, and what it costs. An empty limit is no limit."""

    code = models.SlugField(primary_key=True, max_length=32)
    name = models.CharField(max_length=60)
    price_usd = models.DecimalField(_("price, USD a month"), max_digits=10, decimal_places=2, default=Decimal(0))
    trial_days = models.PositiveSmallIntegerField(default=0, help_text=_("Once for each workspace."))
    # A metered plan charges for use beyond its monthly price.
    request_usd = models.DecimalField(
        _("USD a request"), max_digits=14, decimal_places=10, null=True, blank=True, help_text=_("Empty: not metered.")
    )
    included_requests = models.PositiveBigIntegerField(
        default=0, help_text=_("Of a metered plan: requests in a period before any is charged.")
    )
    passes_on_cost = models.BooleanField(
        default=False, help_text=_("Charges what models cost on the platform's own provider account, at cost.")
    )
    is_public = models.BooleanField(default=True, help_text=_("Whether people can choose it themselves."))
    retention_days = models.PositiveIntegerField(default=30, help_text=_("Usage records are kept this long."))
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_metered(self) -> bool:
        return self.request_usd is not None or self.passes_on_cost

    @property
    def keeps_trial(self) -> bool:
        """Whether a trial may go on with it: not with a metered plan, since what a trial uses is on no invoice."""
        return self.trial_days > 0 and not self.is_metered

    @property
    def is_sold(self) -> bool:
        """Whether Stripe has something to charge for it."""
        return self.code != FREE and (self.price_usd > 0 or self.is_metered)


class Subscription(Budgeted):
    """The plan of a tenant. `overrides` replaces single limits of the plan: `{"monthly_requests": null}`. Its budget is
    the tenant's own wish, beside that of the plan: the smaller one counts.
    """

    class Unpriced(models.TextChoices):
        REFUSE = "refuse", _("Refuse them where a budget applies")
        ALLOW = "allow", _("Let them pass uncounted")

    class Status(models.TextChoices):
        NONE = "none", _("never subscribed")
        TRIALING = "trialing", _("Trialing")
        ACTIVE = "active", _("Active")
        PAST_DUE = "past_due", _("Past Due")
        UNPAID = "unpaid", _("Unpaid")
        CANCELED = "canceled", _("Canceled")
        INCOMPLETE = "incomplete", _("first payment not made")
        PAUSED = "paused", _("Paused")

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="subscription")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    anchor_at = models.DateTimeField(
        default=timezone.now, help_text=_("Monthly periods begin on this day and time of the month (UTC).")
    )
    overrides = models.JSONField(default=dict, blank=True)
    unpriced = models.CharField(
        _("models without a known price"), max_length=6, choices=Unpriced.choices, default=Unpriced.REFUSE
    )

    # What Stripe said when it was last asked (billing.stripe.state). Nothing else writes these.
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.NONE)
    stripe_customer_id = models.CharField(max_length=64, null=True, blank=True, unique=True)
    stripe_subscription_id = models.CharField(max_length=64, blank=True, default="")
    stripe_read_at = models.DateTimeField(null=True, blank=True, help_text=_("When Stripe was last asked."))
    grace_until = models.DateTimeField(
        null=True, blank=True, help_text=_("A payment failed: from then on the limits are those of Free.")
    )
    period_start = models.DateTimeField(_("start of the paid period"), null=True, blank=True)
    period_end = models.DateTimeField(_("end of the paid period"), null=True, blank=True)
    trial_end = models.DateTimeField(null=True, blank=True)
    trial_used_at = models.DateTimeField(null=True, blank=True, help_text=_("A workspace gets one trial."))
    trial_told_for = models.DateTimeField(null=True, blank=True, help_text=_("The end of trial that was announced."))
    cancel_at = models.DateTimeField(null=True, blank=True)
    pending_plan = models.CharField(max_length=32, blank=True, default="", help_text=_("The plan it changes to."))
    pending_at = models.DateTimeField(null=True, blank=True)
    card_brand = models.CharField(max_length=32, blank=True, default="")
    card_last4 = models.CharField(max_length=4, blank=True, default="")
    price_usd = models.DecimalField(
        _("price that is paid, USD a month"),
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        help_text=_("That of the plan may have changed since. Empty: nothing is paid, or Stripe was not asked yet."),
    )
    checkout_session_id = models.CharField(max_length=128, blank=True, default="", db_index=True)
    metered_since = models.DateTimeField(
        null=True, blank=True, help_text=_("Usage from then on is reported to Stripe.")
    )

    # Written by analytics.retention.
    records_purged_before = models.DateTimeField(
        null=True, blank=True, help_text=_("Usage records of periods that began before it may be gone.")
    )

    def __str__(self) -> str:
        return f"{self.tenant}: {self.plan}"

    @property
    def is_stripes(self) -> bool:
        """Whether a subscription at Stripe decides on the plan."""
        return self.status not in {self.Status.NONE, self.Status.CANCELED}

    @property
    def monthly_usd(self) -> Decimal:
        """What its plan costs this workspace, without use."""
        return self.plan.price_usd if self.price_usd is None else self.price_usd

    @property
    def retention_days(self) -> int:
        """How long usage records are kept: as long as the plan says, or as the workspace wishes, if that is shorter."""
        own = self.tenant.retention_days
        return self.plan.retention_days if own is None else min(own, self.plan.retention_days)

    def effective_plan(self, now: dt.datetime) -> Plan:
        """Whose limits apply, as the data plane sees it (billing.plans)."""
        is_over = self.grace_until is not None and self.grace_until <= now
        return Plan.objects.get(code=FREE) if is_over else self.plan


def _per_mtok() -> models.DecimalField:
    return models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)


class PriceOverride(models.Model):
    """A price that replaces the catalog's from a date on. Rows are added, never changed."""

    catalog = models.CharField(max_length=60, help_text=_("Provider in the price catalog, for example “openai”."))
    model = models.CharField(max_length=120)
    effective_from = models.DateTimeField(default=timezone.now)
    input_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6)
    output_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6)
    # Empty: as the tokens they are among.
    cached_input_usd_per_mtok = _per_mtok()
    cache_write_usd_per_mtok = _per_mtok()
    reasoning_usd_per_mtok = _per_mtok()
    input_audio_usd_per_mtok = _per_mtok()
    output_audio_usd_per_mtok = _per_mtok()
    input_image_usd_per_mtok = _per_mtok()
    output_image_usd_per_mtok = _per_mtok()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["catalog", "model", "effective_from"], name="one_price_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.catalog}/{self.model} from {self.effective_from:%Y-%m-%d}"


class LedgerEntry(models.Model):
    """One settled batch of one key's requests in one period. Postgres refuses to change or delete a row."""

    class Kind(models.TextChoices):
        USAGE = "usage", _("Usage")
        LATE = "late", _("usage, after its period was closed")
        ADJUSTMENT = "adjustment", _("Adjustment")

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="ledger")
    # Not a foreign key: a key may be deleted, the ledger stays.
    key_id = models.BigIntegerField(null=True)
    batch = models.UUIDField(help_text=_("The transaction that wrote it, together with its usage records."))
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.USAGE)
    period_start = models.DateTimeField()
    day = models.DateField(help_text=_("UTC day on which the requests came in."))
    requests = models.BigIntegerField()
    tokens = models.BigIntegerField(help_text=_("Tokens that count against the quota; hits cost none."))
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10)
    saved_usd = models.DecimalField(max_digits=20, decimal_places=10)
    platform_cost_usd = models.DecimalField(
        max_digits=20, decimal_places=10, default=Decimal(0), help_text=_("The part that the platform's account paid.")
    )
    unpriced = models.BigIntegerField(default=0, help_text=_("Requests whose model has no known price."))
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = _("ledger entries")
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "tenant", "key_id", "period_start", "day"], name="a_batch_is_booked_once"
            )
        ]
        indexes = [models.Index(fields=["tenant", "period_start"], name="ledger_by_period")]

    def __str__(self) -> str:
        return f"{self.tenant} {self.period_start:%Y-%m-%d}: {self.requests} requests, {self.tokens} tokens"


class ClosedPeriod(models.Model):
    """What a tenant's ledger said when a period was over and all its usage was booked. Never changed; what comes later
    is booked as late, beside it.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="closed_periods")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    closed_at = models.DateTimeField(default=timezone.now)
    plan_code = models.CharField(max_length=32)
    requests = models.BigIntegerField()
    tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10)
    saved_usd = models.DecimalField(max_digits=20, decimal_places=10)
    platform_cost_usd = models.DecimalField(max_digits=20, decimal_places=10)
    unpriced = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "period_start"], name="a_period_is_closed_once")]

    def __str__(self) -> str:
        return f"{self.tenant} {self.period_start:%Y-%m-%d}"


class MeterReport(models.Model):
    """A part of a tenant's usage in a period, as one event for a meter of Stripe's. Written before it is sent, and sent
    under the same identifier until Stripe has it.
    """

    class Meter(models.TextChoices):
        REQUESTS = "nexus_requests", _("requests")
        MODEL_COST = "nexus_model_cost", _("model cost, micro-USD")

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="meter_reports")
    meter = models.CharField(max_length=24, choices=Meter.choices)
    period_start = models.DateTimeField()
    value = models.BigIntegerField()
    billable = models.BooleanField(
        default=True, help_text=_("Not: used before the plan was a metered one; never sent.")
    )
    identifier = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    at = models.DateTimeField(_("Stripe's timestamp"))
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(value__gt=0), name="a_report_adds")]
        indexes = [
            models.Index(fields=["tenant", "meter", "period_start"], name="reports_by_period"),
            models.Index(
                fields=["tenant"], name="reports_to_send", condition=models.Q(billable=True, sent_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} {self.period_start:%Y-%m-%d}: {self.value} {self.get_meter_display()}"


class Reconciliation(models.Model):
    """The last comparison of one period's books: what each of them says, and by how much they differ."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="reconciliations")
    period_start = models.DateTimeField()
    compared_at = models.DateTimeField()
    # By source (ledger, redis, records, rollups, days, stripe, closed): {"requests": …, "tokens": …, "cost_usd": "…"}.
    books = models.JSONField()
    # The largest difference from the ledger, each in its own unit; 0 when all agree.
    drift_requests = models.BigIntegerField(default=0)
    drift_tokens = models.BigIntegerField(default=0)
    drift_usd = models.DecimalField(max_digits=20, decimal_places=10, default=Decimal(0))
    drifting_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "period_start"], name="one_comparison_per_period")]

    def __str__(self) -> str:
        return f"{self.tenant} {self.period_start:%Y-%m-%d}: {self.drift_requests} requests apart"


class PlatformLimits(models.Model):
    """What all tenants together may ask for in a minute. One row; empty is no limit."""

    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = _("platform limits")
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_row_of_platform_limits")]

    def __str__(self) -> str:
        return "The platform's limits"
