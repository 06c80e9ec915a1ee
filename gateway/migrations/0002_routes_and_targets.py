"""A route gets a strategy and several targets; until now each row was one target of the name it carried."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

KINDS = [
    ("openai", "OpenAI, or any other API that is compatible with it"),
    ("anthropic", "Anthropic"),
    ("gemini", "Google Gemini"),
    ("cohere", "Cohere"),
    ("azure", "Azure OpenAI"),
    ("groq", "Groq"),
    ("mistral", "Mistral"),
    ("together", "Together"),
    ("openrouter", "OpenRouter"),
    ("deepseek", "DeepSeek"),
    ("vllm", "vLLM"),
    ("ollama", "Ollama"),
    ("simulated", "Simulated"),
]
STRATEGIES = [
    ("fixed", "The first target, and no other"),
    ("fallback", "In order, the next when one fails"),
    ("weighted", "By weight, the same for one user or conversation (A/B)"),
    ("fastest", "The one that answered fastest of late"),
    ("cheapest", "The one with the lowest price for this request"),
    ("complexity", "Simple requests to targets for simple ones, complex ones to those for complex ones"),
]


def copy_targets(apps: Any, schema_editor: Any) -> None:
    Route, Target = apps.get_model("gateway", "Route"), apps.get_model("gateway", "Target")
    for row in Route.objects.order_by("position", "id"):
        Target.objects.create(
            model=row.model, provider=row.provider, upstream_model=row.upstream_model, position=row.position
        )


def make_routes(apps: Any, schema_editor: Any) -> None:
    Route, Target = apps.get_model("gateway", "Route"), apps.get_model("gateway", "Target")
    for target in Target.objects.order_by("id"):
        target.route, _ = Route.objects.get_or_create(model=target.model)
        target.save(update_fields=["route"])


class Migration(migrations.Migration):
    dependencies = [("gateway", "0001_initial")]

    operations = [
        # A table renamed would keep its indexes' names, and new schemas would differ.
        migrations.CreateModel(
            name="Target",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("model", models.CharField(max_length=120)),
                ("upstream_model", models.CharField(max_length=120)),
                ("weight", models.PositiveIntegerField(default=1, help_text="Share of the traffic; 0: only when others fail.")),
                (
                    "tier",
                    models.CharField(
                        blank=True,
                        choices=[("", "Any"), ("simple", "Simple requests"), ("complex", "Complex requests")],
                        default="",
                        max_length=8,
                    ),
                ),
                ("position", models.PositiveSmallIntegerField(default=0)),
                (
                    "provider",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: whoever has the model.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="targets",
                        to="gateway.provider",
                    ),
                ),
            ],
            options={"ordering": ["position", "id"]},
        ),
        migrations.RunPython(copy_targets, migrations.RunPython.noop),
        migrations.DeleteModel("Route"),
        migrations.CreateModel(
            name="Route",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("model", models.CharField(help_text="The name that apps ask for.", max_length=120, unique=True)),
                ("strategy", models.CharField(choices=STRATEGIES, default="fallback", max_length=16)),
                (
                    "hedge_after_ms",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Ask the next target, too, when the first has not begun to answer by then.",
                        null=True,
                    ),
                ),
            ],
            options={"ordering": ["model"]},
        ),
        migrations.AddField(
            "target",
            "route",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.CASCADE, related_name="targets", to="gateway.route"
            ),
        ),
        migrations.RunPython(make_routes, migrations.RunPython.noop),
        migrations.AlterField(
            "target",
            "route",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="targets", to="gateway.route"
            ),
        ),
        migrations.RemoveField("target", "model"),
        migrations.AddConstraint(
            "target",
            models.UniqueConstraint(
                fields=["route", "provider", "upstream_model"], name="one_target_each", nulls_distinct=False
            ),
        ),
        migrations.CreateModel(
            name="CallSettings",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "on_disconnect",
                    models.CharField(
                        choices=[
                            ("drain", "Go on, account for it and keep the answer"),
                            ("cancel", "Stop the provider, and account for what came"),
                        ],
                        default="drain",
                        max_length=8,
                    ),
                ),
                (
                    "drain_limit_s",
                    models.PositiveIntegerField(default=60, help_text="A drained answer is stopped after this."),
                ),
            ],
            options={
                "verbose_name_plural": "call settings",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="one_row_of_call_settings")
                ],
            },
        ),
        migrations.AddField(
            "provider",
            "max_concurrency",
            models.PositiveIntegerField(blank=True, help_text="Calls at the same time, at most.", null=True),
        ),
        migrations.AlterField(
            "provider",
            "kind",
            models.CharField(choices=KINDS, max_length=16),
        ),
        migrations.AlterField(
            "provider",
            "base_url",
            models.URLField(blank=True, help_text="Empty: the vendor's own.", max_length=400),
        ),
        migrations.AlterField(
            "provider",
            "catalog",
            models.CharField(
                blank=True, default="", help_text="Whose prices apply; empty: the kind's.", max_length=60
            ),
        ),
        migrations.AlterField(
            "provider",
            "settings",
            models.JSONField(blank=True, default=dict, help_text="Of the kind's own: latency_ms, api_version …"),
        ),
    ]
