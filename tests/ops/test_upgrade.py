"""An upgrade goes on under load: it waits for nobody long, is resumed where it stopped, and is alone."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from nexus import upgrade
from nexus.upgrade import LOCK
from tests import servers
from tests.conftest import Workspace

QUICK = ["--lock-timeout", "100"]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def behind(alice: Workspace) -> Iterator[str]:
    """The schema of a workspace that lacks the last migration of its cache."""
    schema = str(alice.tenant.schema_name)
    call_command("migrate_schemas", "gateway", "0004", schema_name=schema, interactive=False, verbosity=0)
    connection.set_schema_to_public()  # type: ignore[attr-defined]
    yield schema
    call_command("migrate_schemas", schema_name=schema, interactive=False, verbosity=0)
    connection.set_schema_to_public()  # type: ignore[attr-defined]


def other() -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(servers.test_database_url())


def run(said: list[str], *arguments: str) -> int:
    return upgrade.run(upgrade.parse([*QUICK, *arguments]), said.append)


def test_what_a_workspace_lacks_is_seen_and_made_up_for(behind: str, said: list[str]) -> None:
    assert behind in upgrade.lacking()
    assert run(said, "--check") == 1
    assert run(said) == 0
    assert behind not in upgrade.lacking()
    assert said[-1] == "Done."


def test_a_table_in_use_is_not_waited_for_and_the_next_run_goes_on(behind: str, said: list[str]) -> None:
    with other() as reader:
        reader.execute(f'SELECT count(*) FROM "{behind}".gateway_verdict')
        assert run(said, "--attempts", "2") == 1
        assert any(line.startswith(f"{behind}: its tables were in use") for line in said)
        # Whoever comes meanwhile is not made to wait behind it.
        with other() as another:
            another.execute("SET lock_timeout = '100ms'")
            another.execute(f'SELECT count(*) FROM "{behind}".gateway_verdict')
    assert run(said) == 0
    assert behind not in upgrade.lacking()


def test_a_half_made_index_is_dropped_and_made_again(alice: Workspace) -> None:
    schema = alice.tenant.schema_name
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE INDEX half_made ON "{schema}".gateway_verdict (id)')
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [f'"{schema}".half_made']
        )
        upgrade._drop_half_made_indexes(schema)
        cursor.execute("SELECT to_regclass(%s)", [f'"{schema}".half_made'])
        assert cursor.fetchone() == (None,)


def test_a_second_upgrade_waits_for_the_first(said: list[str]) -> None:
    with other() as first:
        first.execute("SELECT pg_advisory_lock(%s)", [LOCK])

        def say(line: str) -> None:
            said.append(line)
            # Only now: it was seen that somebody else is at it.
            first.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

        assert upgrade.run(upgrade.parse(QUICK), lambda line: say(line) if not said else None) == 0
    assert said == ["Another upgrade is under way: waiting for its end."]
