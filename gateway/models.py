"""The data plane's own tables, in the tenant's schema: cached answers, providers, routes, cache settings."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from pgvector.django import HalfVectorField, HnswIndex

# all-MiniLM-L6-v2's (gateway.cache.embedding.recipe); another model's vectors get a column of their own.
DIMENSIONS = 384


class CacheEntry(models.Model):
    """One complete answer. Entries are compared only within a `scope` (gateway.cache.fingerprint)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    # Digests of 16 bytes, in hexadecimal.
    scope = models.CharField(max_length=32)
    fingerprint = models.CharField(max_length=32, unique=True)
    prompt = models.TextField(help_text="The last user text: what is compared.")
    embedding = HalfVectorField(dimensions=DIMENSIONS)
    answer = models.BinaryField(help_text="The answer as the provider gave it, OpenAI Chat Completions JSON.")
    meta = models.JSONField(help_text="Provider, model, usage: see analytics.events.META_FIELDS.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            HnswIndex(
                name="cache_by_meaning",
                fields=["embedding"],
                m=16,
                ef_construction=64,
                opclasses=["halfvec_cosine_ops"],
            ),
            models.Index(fields=["scope"], name="cache_by_scope"),
            models.Index(fields=["expires_at"], name="cache_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.prompt[:60]}"


class Provider(models.Model):
    """An upstream API of the tenant's own. Without one, the platform's provider answers."""

    class Kind(models.TextChoices):
        OPENAI = "openai", "OpenAI-compatible"
        SIMULATED = "simulated", "Simulated"

    name = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    base_url = models.URLField(max_length=400, blank=True)
    credential = models.BinaryField(blank=True, default=bytes, help_text="The API key, encrypted (tenants.secretbox).")
    catalog = models.CharField(max_length=60, default="openai", help_text="Whose prices apply, in the price catalog.")
    settings = models.JSONField(default=dict, blank=True, help_text="Of the kind's own: latency_ms, failure_rate …")
    enabled = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower ones are asked first.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Sends a model name to a provider, perhaps under another name; several rows are a fallback chain."""

    model = models.CharField(max_length=120, help_text="The name that apps ask for.")
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="routes")
    upstream_model = models.CharField(max_length=120)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["model", "provider", "upstream_model"], name="one_route_each")]

    def __str__(self) -> str:
        return f"{self.model} → {self.provider}/{self.upstream_model}"


class CacheSettings(models.Model):
    """The tenant's cache policy: one row, id 1; no row means these defaults."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    exact = models.BooleanField(default=True)
    semantic = models.BooleanField(default=True)
    threshold = models.FloatField(default=0.85, validators=[MinValueValidator(0.5), MaxValueValidator(1.0)])
    ttl_s = models.PositiveIntegerField(default=7 * 86400, help_text="Longest time an answer is kept.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_row_of_cache_settings")]
        verbose_name_plural = "cache settings"

    def __str__(self) -> str:
        return f"threshold {self.threshold}"
