"""Entries and their vectors part; what a tenant can say about its cache; verdicts, and what they say."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.functions.comparison
import django.utils.timezone
import pgvector.django.halfvec
import pgvector.django.indexes
import uuid
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0002_routes_and_targets"),
    ]

    operations = [
        # Entries are made anew, without a vector of their own: a cache may start empty.
        migrations.DeleteModel(name="CacheEntry"),
        migrations.AddField(
            model_name="cachesettings",
            name="judge_budget_usd",
            field=models.DecimalField(
                decimal_places=2, default=Decimal("1.00"), help_text="A calendar month.", max_digits=10
            ),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="judge_model",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Of a provider of the tenant's own; empty: nobody judges.",
                max_length=120,
            ),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="learn",
            field=models.BooleanField(
                default=True, help_text="Verdicts move the threshold, and may switch the tier off."
            ),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="per_end_user",
            field=models.BooleanField(default=False, help_text="One end user's answers are not given to another."),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="rules",
            field=models.JSONField(blank=True, default=list, help_text="Cacheability of the tenant's own words."),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="shadow",
            field=models.BooleanField(
                default=False, help_text="The semantic tier looks and reports, and does not answer."
            ),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="stale_if_error_s",
            field=models.PositiveIntegerField(
                default=0, help_text="This long after that, it may stand in for a provider that fails."
            ),
        ),
        migrations.AddField(
            model_name="cachesettings",
            name="wrong_budget",
            field=models.FloatField(
                default=0.02,
                help_text="Wrong answers among semantic hits, at most.",
                validators=[
                    django.core.validators.MinValueValidator(0.001),
                    django.core.validators.MaxValueValidator(0.5),
                ],
            ),
        ),
        migrations.AddField(
            model_name="route",
            name="cache",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.CreateModel(
            name="CacheEntry",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("scope", models.CharField(blank=True, help_text="Empty: never compared by meaning.", max_length=32)),
                ("fingerprint", models.CharField(max_length=32, unique=True)),
                ("namespace", models.CharField(blank=True, default="", max_length=64)),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64), default=list, size=None
                    ),
                ),
                ("end_user", models.CharField(blank=True, default="", max_length=32)),
                ("model", models.CharField(help_text="As the app asked for it.", max_length=120)),
                ("prompt", models.TextField(help_text="The last user text: what is compared.")),
                (
                    "embedder",
                    models.CharField(blank=True, default="", help_text="Whose vector there is of it.", max_length=120),
                ),
                (
                    "answer",
                    models.BinaryField(help_text="The answer as the provider gave it, OpenAI Chat Completions JSON."),
                ),
                ("meta", models.JSONField(help_text="Provider, model, usage: see analytics.events.META_FIELDS.")),
                (
                    "pinned",
                    models.BooleanField(default=False, help_text="Put there by people: never expires, never replaced."),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("stale_until", models.DateTimeField()),
                ("hits", models.BigIntegerField(default=0)),
                ("saved_usd", models.DecimalField(decimal_places=10, default=0, max_digits=20)),
                ("last_hit_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["stale_until"], name="cache_by_end"),
                    models.Index(fields=["-created_at"], name="cache_by_age"),
                    models.Index(
                        condition=models.Q(("namespace", ""), _negated=True),
                        fields=["namespace"],
                        name="cache_by_namespace",
                    ),
                    models.Index(
                        condition=models.Q(("end_user", ""), _negated=True),
                        fields=["end_user"],
                        name="cache_by_end_user",
                    ),
                    django.contrib.postgres.indexes.GinIndex(fields=["tags"], name="cache_by_tags"),
                    models.Index(
                        condition=models.Q(("scope", ""), _negated=True),
                        fields=["embedder"],
                        name="cache_by_embedder",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CacheTuning",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                (
                    "threshold",
                    models.FloatField(help_text="Instead of the tenant's own; empty: too few verdicts.", null=True),
                ),
                (
                    "off",
                    models.BooleanField(
                        default=False, help_text="No threshold keeps the budget: the tier does not answer."
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=400)),
                ("figures", models.JSONField(default=dict, help_text="By gateway.cache.learning, as of `updated_at`.")),
                ("since", models.DateTimeField(help_text="Older verdicts do not count.", null=True)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_row_of_cache_tuning")],
            },
        ),
        migrations.CreateModel(
            name="CacheVector",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("entry_id", models.UUIDField()),
                ("scope", models.CharField(max_length=32)),
                ("embedder", models.CharField(max_length=120)),
                ("dimensions", models.PositiveSmallIntegerField()),
                ("embedding", pgvector.django.halfvec.HalfVectorField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("stale_until", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["scope", "embedder"], name="vector_by_scope"),
                    models.Index(
                        condition=models.Q(("dimensions__lte", 768)),
                        fields=["scope", "embedder"],
                        include=("dimensions", "entry_id", "embedding", "created_at", "expires_at", "stale_until"),
                        name="vector_in_scope",
                    ),
                    models.Index(fields=["stale_until"], name="vector_by_end"),
                    pgvector.django.indexes.HnswIndex(
                        django.contrib.postgres.indexes.OpClass(
                            django.db.models.functions.comparison.Cast(
                                "embedding", pgvector.django.halfvec.HalfVectorField(dimensions=384)
                            ),
                            name="halfvec_cosine_ops",
                        ),
                        condition=models.Q(("dimensions", 384)),
                        ef_construction=64,
                        m=16,
                        name="vector_by_meaning_384",
                    ),
                    pgvector.django.indexes.HnswIndex(
                        django.contrib.postgres.indexes.OpClass(
                            django.db.models.functions.comparison.Cast(
                                "embedding", pgvector.django.halfvec.HalfVectorField(dimensions=768)
                            ),
                            name="halfvec_cosine_ops",
                        ),
                        condition=models.Q(("dimensions", 768)),
                        ef_construction=64,
                        m=16,
                        name="vector_by_meaning_768",
                    ),
                    pgvector.django.indexes.HnswIndex(
                        django.contrib.postgres.indexes.OpClass(
                            django.db.models.functions.comparison.Cast(
                                "embedding", pgvector.django.halfvec.HalfVectorField(dimensions=1024)
                            ),
                            name="halfvec_cosine_ops",
                        ),
                        condition=models.Q(("dimensions", 1024)),
                        ef_construction=64,
                        m=16,
                        name="vector_by_meaning_1024",
                    ),
                    pgvector.django.indexes.HnswIndex(
                        django.contrib.postgres.indexes.OpClass(
                            django.db.models.functions.comparison.Cast(
                                "embedding", pgvector.django.halfvec.HalfVectorField(dimensions=1536)
                            ),
                            name="halfvec_cosine_ops",
                        ),
                        condition=models.Q(("dimensions", 1536)),
                        ef_construction=64,
                        m=16,
                        name="vector_by_meaning_1536",
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("entry_id", "embedder"), name="one_vector_of_a_model")],
            },
        ),
        migrations.CreateModel(
            name="Verdict",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("hit", "It was served"),
                            ("near_miss", "It was similar, and not served"),
                            ("shadow", "It would have been served"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "similarity",
                    models.FloatField(help_text="Empty: the person who told did not say of which hit.", null=True),
                ),
                ("weight", models.FloatField(default=1.0)),
                ("entry_id", models.UUIDField()),
                ("question", models.TextField()),
                ("prompt", models.TextField(help_text="The question that the cached answer was given to.")),
                ("cached_answer", models.TextField()),
                ("fresh_answer", models.TextField(blank=True, default="")),
                ("right", models.BooleanField(null=True)),
                (
                    "source",
                    models.CharField(
                        blank=True,
                        choices=[("", "Nobody yet"), ("model", "The tenant's judging model"), ("person", "A person")],
                        default="",
                        max_length=8,
                    ),
                ),
                ("note", models.CharField(blank=True, default="", max_length=400)),
                ("judged_at", models.DateTimeField(null=True)),
                ("cost_usd", models.DecimalField(decimal_places=10, max_digits=20, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("right", None)), fields=["at"], name="verdict_to_judge"),
                    models.Index(fields=["-judged_at"], name="verdict_by_time"),
                ],
            },
        ),
    ]
