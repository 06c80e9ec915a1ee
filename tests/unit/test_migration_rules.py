"""What the release before cannot live with, or what stalls its traffic, is refused unless a reason is given."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.migrations.state import ModelState, ProjectState

from nexus import migration_rules
from nexus.migration_rules import label, marks, refusal

BIG, SMALL = "usagerecord", "rule"


@pytest.fixture(scope="module")
def state() -> ProjectState:
    made = ProjectState()
    for name in (BIG, SMALL):
        fields: list[tuple[str, models.Field[Any, Any]]] = [
            ("id", models.BigAutoField(primary_key=True)),
            ("word", models.CharField(max_length=40)),
            ("note", models.TextField(null=True)),
            ("count", models.IntegerField(default=0)),
        ]
        made.add_model(ModelState("analytics", name, fields))
    return made


def fill_in_batches(apps: Any, schema_editor: Any) -> None:
    """Would go through the table in batches."""


def fill(apps: Any, schema_editor: Any) -> None:
    """Would go through the table."""


INDEX = models.Index(fields=["count"], name="by_count")
CHECK = models.CheckConstraint(condition=models.Q(count__gte=0), name="positive")
REFUSED = [
    migrations.RemoveField(SMALL, "note"),
    migrations.RenameField(SMALL, "note", "remark"),
    migrations.DeleteModel(SMALL),
    migrations.RenameModel(SMALL, "Ruling"),
    migrations.AlterModelTable(SMALL, "elsewhere"),
    migrations.AddField(SMALL, "kind", models.CharField(max_length=8, default="x")),
    migrations.AddField(BIG, "kind", models.CharField(max_length=8, null=True, db_index=True)),
    migrations.AlterField(SMALL, "note", models.TextField()),
    migrations.AlterField(SMALL, "count", models.BigIntegerField(default=0)),
    migrations.AlterField(SMALL, "word", models.CharField(max_length=20)),
    migrations.AlterField(BIG, "word", models.CharField(max_length=40, db_index=True)),
    migrations.AddIndex(BIG, INDEX),
    migrations.RemoveIndex(BIG, "by_count"),
    migrations.AddConstraint(BIG, CHECK),
    migrations.AlterUniqueTogether(BIG, {("word", "count")}),
    migrations.RunPython(fill_in_batches),
    migrations.RunPython(fill, migrations.RunPython.noop),
    migrations.RunSQL("SELECT 1"),
    migrations.SeparateDatabaseAndState(database_operations=[migrations.RemoveField(SMALL, "note")]),
]
TAKEN = [
    migrations.AddField(SMALL, "kind", models.CharField(max_length=8, null=True)),
    migrations.AddField(SMALL, "kind", models.CharField(max_length=8, db_default="x")),
    migrations.AlterField(SMALL, "word", models.CharField(max_length=80)),
    migrations.AlterField(SMALL, "word", models.TextField()),
    migrations.AlterField(SMALL, "word", models.CharField(max_length=40, null=True)),
    migrations.AddIndex(SMALL, INDEX),
    AddIndexConcurrently(BIG, INDEX),
    RemoveIndexConcurrently(BIG, "by_count"),
    migrations.AddConstraint(SMALL, CHECK),
    migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
    migrations.RunPython(fill_in_batches, migrations.RunPython.noop),
    migrations.RunSQL("SELECT 1", migrations.RunSQL.noop),
    migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField(SMALL, "note")]),
]


@pytest.mark.parametrize("operation", REFUSED, ids=label)
def test_what_the_release_before_cannot_live_with_is_refused(operation: Any, state: ProjectState) -> None:
    assert refusal("analytics", operation, state).endswith(".")


@pytest.mark.parametrize("operation", TAKEN, ids=label)
def test_what_it_does_not_notice_is_taken(operation: Any, state: ProjectState) -> None:
    assert refusal("analytics", operation, state) == ""


def test_a_mark_names_the_operation_and_gives_a_reason() -> None:
    source = "# after-release: RemoveField rule.note: nobody reads it since 0.2\n# after-release: DeleteModel rule:\n"
    assert marks(source) == {label(migrations.RemoveField("Rule", "note")): "nobody reads it since 0.2"}


def test_the_release_before_can_live_with_all_migrations_there_are() -> None:
    assert [str(finding) for finding in migration_rules.findings()] == []


def test_the_big_tables_are_there() -> None:
    from django.apps import apps

    assert all(apps.get_model(app, model) for app, model in migration_rules.BIG)
