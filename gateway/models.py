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
        OPENAI = "openai", "OpenAI, or any other API that is compatible with it"
        ANTHROPIC = "anthropic", "Anthropic"
        GEMINI = "gemini", "Google Gemini"
        COHERE = "cohere", "Cohere"
        AZURE = "azure", "Azure OpenAI"
        GROQ = "groq", "Groq"
        MISTRAL = "mistral", "Mistral"
        TOGETHER = "together", "Together"
        OPENROUTER = "openrouter", "OpenRouter"
        DEEPSEEK = "deepseek", "DeepSeek"
        VLLM = "vllm", "vLLM"
        OLLAMA = "ollama", "Ollama"
        SIMULATED = "simulated", "Simulated"

    name = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    base_url = models.URLField(max_length=400, blank=True, help_text="Empty: the vendor's own.")
    credential = models.BinaryField(blank=True, default=bytes, help_text="The API key, encrypted (tenants.secretbox).")
    catalog = models.CharField(
        max_length=60, blank=True, default="", help_text="Whose prices apply; empty: the kind's."
    )
    settings = models.JSONField(default=dict, blank=True, help_text="Of the kind's own: latency_ms, api_version …")
    max_concurrency = models.PositiveIntegerField(null=True, blank=True, help_text="Calls at the same time, at most.")
    enabled = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower ones are asked first.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """A name that apps ask for, and how one of its targets is chosen."""

    class Strategy(models.TextChoices):
        FIXED = "fixed", "The first target, and no other"
        FALLBACK = "fallback", "In order, the next when one fails"
        WEIGHTED = "weighted", "By weight, the same for one user or conversation (A/B)"
        FASTEST = "fastest", "The one that answered fastest of late"
        CHEAPEST = "cheapest", "The one with the lowest price for this request"
        COMPLEXITY = "complexity", "Simple requests to targets for simple ones, complex ones to those for complex ones"

    model = models.CharField(max_length=120, unique=True, help_text="The name that apps ask for.")
    strategy = models.CharField(max_length=16, choices=Strategy.choices, default=Strategy.FALLBACK)
    hedge_after_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="Ask the next target, too, when the first has not begun to answer by then."
    )

    class Meta:
        ordering = ["model"]

    def __str__(self) -> str:
        return f"{self.model} ({self.strategy})"


class Target(models.Model):
    """One way that a route can go."""

    class Tier(models.TextChoices):
        ANY = "", "Any"
        SIMPLE = "simple", "Simple requests"
        COMPLEX = "complex", "Complex requests"

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="targets")
    provider = models.ForeignKey(
        Provider,
        on_delete=models.CASCADE,
        related_name="targets",
        null=True,
        blank=True,
        help_text="Empty: whoever has the model.",
    )
    upstream_model = models.CharField(max_length=120)
    weight = models.PositiveIntegerField(default=1, help_text="Share of the traffic; 0: only when others fail.")
    tier = models.CharField(max_length=8, choices=Tier.choices, blank=True, default=Tier.ANY)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["route", "provider", "upstream_model"], name="one_target_each", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'any'}/{self.upstream_model}"


class CallSettings(models.Model):
    """What happens to calls: one row, id 1; no row means these defaults."""

    class OnDisconnect(models.TextChoices):
        DRAIN = "drain", "Go on, account for it and keep the answer"
        CANCEL = "cancel", "Stop the provider, and account for what came"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    on_disconnect = models.CharField(max_length=8, choices=OnDisconnect.choices, default=OnDisconnect.DRAIN)
    drain_limit_s = models.PositiveIntegerField(default=60, help_text="A drained answer is stopped after this.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_row_of_call_settings")]
        verbose_name_plural = "call settings"

    def __str__(self) -> str:
        return f"when the client leaves: {self.on_disconnect}"


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
