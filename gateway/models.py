"""The data plane's own tables, in the tenant's schema: cached answers, providers, routes, cache settings."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, HnswIndex

# Vectors of these lengths have an index; those of another length are compared one by one.
INDEXED_DIMENSIONS = (384, 768, 1024, 1536)


class CacheEntry(models.Model):
    """One complete answer. Entries are compared only within a `scope` (gateway.cache.fingerprint)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    # Digests of 16 bytes, in hexadecimal.
    scope = models.CharField(max_length=32, blank=True, help_text="Empty: never compared by meaning.")
    fingerprint = models.CharField(max_length=32, unique=True)
    namespace = models.CharField(max_length=64, blank=True, default="")
    tags = ArrayField(models.CharField(max_length=64), default=list)
    # A digest: enough to delete by, and nobody's name.
    end_user = models.CharField(max_length=32, blank=True, default="")
    model = models.CharField(max_length=120, help_text="As the app asked for it.")
    prompt = models.TextField(help_text="The last user text: what is compared.")
    embedder = models.CharField(max_length=120, blank=True, default="", help_text="Whose vector there is of it.")
    answer = models.BinaryField(help_text="The answer as the provider gave it, OpenAI Chat Completions JSON.")
    meta = models.JSONField(help_text="Provider, model, usage: see analytics.events.META_FIELDS.")
    pinned = models.BooleanField(default=False, help_text="Put there by people: never expires, never replaced.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    # Until then it may stand in for a provider that fails.
    stale_until = models.DateTimeField()
    # Counted from usage records, seconds after the hit.
    hits = models.BigIntegerField(default=0)
    saved_usd = models.DecimalField(max_digits=20, decimal_places=10, default=0)
    last_hit_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["stale_until"], name="cache_by_end"),
            models.Index(fields=["-created_at"], name="cache_by_age"),
            models.Index(fields=["namespace"], name="cache_by_namespace", condition=~models.Q(namespace="")),
            models.Index(fields=["end_user"], name="cache_by_end_user", condition=~models.Q(end_user="")),
            GinIndex(fields=["tags"], name="cache_by_tags"),
            # Who has no vector of today's model, or of any.
            models.Index(fields=["embedder"], name="cache_by_embedder", condition=~models.Q(scope="")),
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.prompt[:60]}"


class CacheVector(models.Model):
    """An entry's prompt as one embedding model sees it. Two models' vectors of one entry may lie side by side.

    Without a foreign key, which would cost at every insert: gateway.cache.entries writes and deletes both together.
    """

    entry_id = models.UUIDField()
    scope = models.CharField(max_length=32)
    embedder = models.CharField(max_length=120)
    dimensions = models.PositiveSmallIntegerField()
    embedding = HalfVectorField()
    # The entry's own, so that a search need not look at entries.
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    stale_until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry_id", "embedder"], name="one_vector_of_a_model")]
        indexes = [
            # To count.
            models.Index(fields=["scope", "embedder"], name="vector_by_scope"),
            # To compare: a scope's vectors lie side by side here. Longer ones do not fit into an index's row.
            models.Index(
                fields=["scope", "embedder"],
                include=["dimensions", "entry_id", "embedding", "created_at", "expires_at", "stale_until"],
                name="vector_in_scope",
                condition=models.Q(dimensions__lte=768),
            ),
            models.Index(fields=["stale_until"], name="vector_by_end"),
            *(
                HnswIndex(
                    OpClass(Cast("embedding", HalfVectorField(dimensions=dimensions)), name="halfvec_cosine_ops"),
                    name=f"vector_by_meaning_{dimensions}",
                    m=16,
                    ef_construction=64,
                    condition=models.Q(dimensions=dimensions),
                )
                for dimensions in INDEXED_DIMENSIONS
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entry_id} by {self.embedder}"


class Provider(models.Model):
    """An upstream API of the tenant's own. Without one, the platform's provider answers."""

    class Kind(models.TextChoices):
        OPENAI = "openai", _("OpenAI, or any other API that is compatible with it")
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
        SIMULATED = "simulated", _("Simulated")

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
        FIXED = "fixed", _("The first target, and no other")
        FALLBACK = "fallback", _("In order, the next when one fails")
        WEIGHTED = "weighted", _("By weight, the same for one user or conversation (A/B)")
        FASTEST = "fastest", _("The one that answered fastest of late")
        CHEAPEST = "cheapest", _("The one with the lowest price for this request")
        COMPLEXITY = (
            "complexity",
            _("Simple requests to targets for simple ones, complex ones to those for complex ones"),
        )

    model = models.CharField(max_length=120, unique=True, help_text="The name that apps ask for.")
    strategy = models.CharField(max_length=16, choices=Strategy.choices, default=Strategy.FALLBACK)
    hedge_after_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="Ask the next target, too, when the first has not begun to answer by then."
    )

    # Which of the tenant's cache settings are others here: exact, semantic, shadow, threshold, ttl_s.
    cache = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["model"]

    def __str__(self) -> str:
        return f"{self.model} ({self.strategy})"


class Target(models.Model):
    """One way that a route can go."""

    class Tier(models.TextChoices):
        ANY = "", _("Any")
        SIMPLE = "simple", _("Simple requests")
        COMPLEX = "complex", _("Complex requests")

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
        DRAIN = "drain", _("Go on, account for it and keep the answer")
        CANCEL = "cancel", _("Stop the provider, and account for what came")

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
    shadow = models.BooleanField(default=False, help_text="The semantic tier looks and reports, and does not answer.")
    threshold = models.FloatField(default=0.85, validators=[MinValueValidator(0.5), MaxValueValidator(1.0)])
    ttl_s = models.PositiveIntegerField(default=7 * 86400, help_text="Longest time an answer is kept.")
    stale_if_error_s = models.PositiveIntegerField(
        default=0, help_text="This long after that, it may stand in for a provider that fails."
    )
    per_end_user = models.BooleanField(default=False, help_text="One end user's answers are not given to another.")
    rules = models.JSONField(default=list, blank=True, help_text="Cacheability of the tenant's own words.")
    wrong_budget = models.FloatField(
        default=0.02,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.5)],
        help_text="Wrong answers among semantic hits, at most.",
    )
    learn = models.BooleanField(default=True, help_text="Verdicts move the threshold, and may switch the tier off.")
    judge_model = models.CharField(
        max_length=120, blank=True, default="", help_text="Of a provider of the tenant's own; empty: nobody judges."
    )
    judge_budget_usd = models.DecimalField(
        max_digits=10, decimal_places=2, default=Decimal("1.00"), help_text="A calendar month."
    )
    review = models.BooleanField(default=False, help_text="Samples are put aside for people, too.")
    # gateway.redaction: names of rules, and the tenant's own words.
    redact = models.JSONField(default=list, db_default=[], blank=True, help_text="Taken out of what is kept.")
    redact_words = models.JSONField(default=list, db_default=[], blank=True)
    skip_redacted = models.BooleanField(
        default=False, db_default=False, help_text="Answers to what holds any of it are not kept."
    )
    mask_answers = models.BooleanField(
        default=False, db_default=False, help_text="Answers that hold any of it are kept with placeholders."
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_row_of_cache_settings")]
        verbose_name_plural = "cache settings"

    def __str__(self) -> str:
        return f"threshold {self.threshold}"


class CacheTuning(models.Model):
    """What the verdicts say: one row, id 1; no row means that there are none."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    threshold = models.FloatField(null=True, help_text="Instead of the tenant's own; empty: too few verdicts.")
    off = models.BooleanField(default=False, help_text="No threshold keeps the budget: the tier does not answer.")
    reason = models.CharField(max_length=400, blank=True)
    figures = models.JSONField(default=dict, help_text="By gateway.cache.learning, as of `updated_at`.")
    since = models.DateTimeField(null=True, help_text="Older verdicts do not count.")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_row_of_cache_tuning")]

    def __str__(self) -> str:
        return "off" if self.off else f"threshold {self.threshold}"


class Verdict(models.Model):
    """Whether a cached answer was right for another question, or would have been. Without `right`: yet to be judged."""

    class Kind(models.TextChoices):
        HIT = "hit", _("It was served")
        NEAR_MISS = "near_miss", _("It was similar, and not served")
        SHADOW = "shadow", _("It would have been served")

    class Source(models.TextChoices):
        NOBODY = "", _("Nobody yet")
        MODEL = "model", _("The tenant's judging model")
        PERSON = "person", _("A person")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    similarity = models.FloatField(null=True, help_text="Empty: the person who told did not say of which hit.")
    # One in how many was taken: a sampled hit stands for all of its like.
    weight = models.FloatField(default=1.0)
    entry_id = models.UUIDField()
    # A digest of who asked, as an entry has it.
    end_user = models.CharField(max_length=32, blank=True, default="", db_default="")
    question = models.TextField()
    prompt = models.TextField(help_text="The question that the cached answer was given to.")
    cached_answer = models.TextField()
    fresh_answer = models.TextField(blank=True, default="")
    right = models.BooleanField(null=True)
    source = models.CharField(max_length=8, choices=Source.choices, blank=True, default=Source.NOBODY)
    note = models.CharField(max_length=400, blank=True, default="")
    judged_at = models.DateTimeField(null=True)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    # Of a sample that was drawn by lot, and so says as much as the judge does: a user's id, without a foreign key
    # into another schema.
    reviewer_id = models.BigIntegerField(null=True, help_text="Who gave the verdict in the review queue.")

    class Meta:
        indexes = [
            models.Index(fields=["at"], name="verdict_to_judge", condition=models.Q(right=None)),
            models.Index(fields=["-judged_at"], name="verdict_by_time"),
            models.Index(fields=["entry_id"], name="verdict_by_entry"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.entry_id}: {self.right}"
