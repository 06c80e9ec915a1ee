"""Canaries ask for one workspace's answers from another: they get nothing, and say so when they do."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from analytics.backlog import Backlog
from gateway.canaries import door, probes, watch, workspaces
from gateway.canaries.door import Answer
from gateway.canaries.watch import Report
from nexus.ports import free_port
from tenants.models import ApiKey, AuditEvent, Tenant, User
from tests import servers
from tests.cached import entries_of
from tests.conftest import Workspace
from tests.sockets import session_of

EVERYTHING = {*probes.PROBES, "still_there"}


@pytest.fixture(autouse=True)
def own_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has two workspaces of its own."""
    for name in ("KEEPER", "ASKER"):
        monkeypatch.setattr(workspaces, name, f"canary-{uuid.uuid4().hex[:10]}")


def run(settings: Any, url: str) -> Report:
    settings.CANARY_URL = url
    report = watch.run()
    assert report is not None
    return report


def test_every_probe_is_held_off(server: str, settings: Any) -> None:
    report = run(settings, server)
    assert (report.leaks, report.failed) == ({}, {})
    assert set(report.held) == EVERYTHING
    assert report.exit_code == 0


def test_between_runs_nothing_is_kept(server: str, settings: Any) -> None:
    run(settings, server)
    for slug in (workspaces.KEEPER, workspaces.ASKER):
        party = workspaces.prepare(slug)
        workspace = Workspace(party.tenant, None, None, party.key)
        assert entries_of(workspace) == []


def test_a_second_run_uses_the_same_workspaces_and_keys(server: str, settings: Any) -> None:
    first = [workspaces.prepare(slug) for slug in (workspaces.KEEPER, workspaces.ASKER)]
    run(settings, server)
    for party in first:
        again = workspaces.prepare(party.tenant.slug)
        assert (again.tenant.pk, again.public_id) == (party.tenant.pk, party.public_id)
        assert again.key != party.key
        assert ApiKey.objects.filter(tenant=party.tenant).count() == 1
        assert AuditEvent.objects.filter(tenant=party.tenant, action="key.issued").count() == 1


def test_whoever_is_away_is_no_leak(settings: Any) -> None:
    report = run(settings, f"http://127.0.0.1:{free_port()}")
    assert (report.leaks, report.exit_code) == ({}, 3)
    assert set(report.failed) == set(probes.PROBES)


# --- a gateway without walls -----------------------------------------------------------------------------------------

_BROKEN = '''
"""The gateway with one mistake in it, which a test chooses by its name."""

import os

from tenants import keyspace

wrong = os.environ["NEXUS_TEST_MISTAKE"]
if wrong == "answers":
    # Exact answers of all workspaces lie side by side.
    keyspace.answer = lambda tenant_id, fingerprint: "{p0}:x:" + fingerprint
if wrong == "replays":
    keyspace.idempotent = lambda tenant_id, digest: "{p0}:i:same"

from nexus.asgi import application  # noqa: E402, F401

if wrong == "schemas":
    # Entries of all workspaces are looked for in one schema: that of the newest keeper.
    from gateway.cache import search
    from gateway.cache.search import table

    schema = os.environ["NEXUS_TEST_SCHEMA"]
    search.table = lambda _, name: table(schema, name)
'''


@pytest.fixture
def broken(tmp_path: Path) -> Callable[..., Any]:
    """`broken("answers")`: a gateway with that mistake."""
    (tmp_path / "broken_gateway.py").write_text(_BROKEN)

    def make(mistake: str, **environment: Any) -> Any:
        values: dict[str, Any] = {
            "DATABASE_URL": servers.test_database_url(),
            "PYTHONPATH": f"{tmp_path}:{servers.ROOT}",
            "NEXUS_TEST_MISTAKE": mistake,
            "NEXUS_SIMULATED_LATENCY_MS": "0",
            "NEXUS_REDIS_TIMEOUT_MS": "2000",
            "NEXUS_EMBEDDING_DEADLINE_MS": "5000",
            "NEXUS_ACCESS_LOG": "off",
        }
        return servers.running("broken_gateway:application", ready="/readyz", **values, **environment)

    return make


def test_a_gateway_whose_exact_answers_lie_side_by_side_is_found_out(broken: Callable[..., Any], settings: Any) -> None:
    with broken("answers") as gateway:
        report = run(settings, gateway.url)
    assert report.exit_code == 2
    assert {"exact_tier", "dialects", "namespaces"} & set(report.leaks)
    assert "the secret came back" in str(report.leaks)


def test_a_gateway_that_compares_with_anothers_questions_is_found_out(
    broken: Callable[..., Any], settings: Any
) -> None:
    keeper = workspaces.prepare(workspaces.KEEPER).tenant
    with broken("schemas", NEXUS_TEST_SCHEMA=keeper.schema_name) as gateway:
        report = run(settings, gateway.url)
    assert report.exit_code == 2
    assert {"semantic_tier", "explain"} <= set(report.leaks)


# --- what is told ----------------------------------------------------------------------------------------------------


def leaked(name: str) -> dict[str, probes.Probe]:
    def finds(_: Any) -> Iterator[str]:
        yield "the secret came back"

    return {**probes.PROBES, name: finds}


def test_the_command_ends_with_what_was_found(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("canary", url=server)
    assert ended.value.code == 0
    assert "0 leaked" in capsys.readouterr().out
    monkeypatch.setattr(watch, "PROBES", leaked("exact_tier"))
    with pytest.raises(SystemExit) as ended:
        call_command("canary", url=server)
    assert ended.value.code == 2
    assert "LEAK    exact_tier: the secret came back" in capsys.readouterr().out


def test_metrics_have_the_last_run(server: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PROBES", leaked("exact_tier"))
    report = run(settings, server)
    told = {sample.name: sample.value for metric in Backlog().collect() for sample in metric.samples}
    assert {name: value for name, value in told.items() if name.startswith("nexus_canary")} == {
        "nexus_canary_leaks": 1,
        "nexus_canary_failed": 0,
        "nexus_canary_last_run_timestamp_seconds": report.at,
    }


def test_an_answer_with_the_secret_anywhere_is_a_leak(server: str) -> None:
    from gateway.canaries.site import Site

    site = Site(door.Door(server), workspaces.prepare(workspaces.KEEPER), workspaces.prepare(workspaces.ASKER))
    assert site.stolen(Answer(404, {"x-why": site.secret}, "")) == ["the secret came back"]
    assert site.stolen(Answer(200, {"x-cache": "HIT-SEMANTIC"}, "")) == ["it was answered from a cache: HIT-SEMANTIC"]
    assert site.stolen(Answer(200, {"x-cache": "MISS"}, "")) == []
    assert site.stolen(Answer(200, {}, ""), refused=True) == ["it was not refused but answered 200"]


# --- internal workspaces ---------------------------------------------------------------------------------------------


def test_operators_lists_and_sums_leave_them_out() -> None:
    tenant = workspaces.prepare(workspaces.KEEPER).tenant
    operator = User.objects.create_superuser(f"{uuid.uuid4().hex}@example.com", "x" * 20)
    listed = session_of(operator).get(f"/{settings_admin()}tenants/tenant/?q={tenant.slug}")
    assert listed.status_code == 200
    assert f">{tenant.slug}<" not in listed.content.decode()
    from nexus import operations

    assert tenant not in operations.newest_workspaces()


def settings_admin() -> str:
    from django.urls import reverse

    return reverse("admin:index").lstrip("/")


def test_nobody_is_a_member_of_them() -> None:
    tenant = workspaces.prepare(workspaces.ASKER).tenant
    assert tenant.internal
    assert not tenant.memberships.exists()


def test_what_somebody_called_the_same_is_not_taken_for_one(alice: Workspace, settings: Any) -> None:
    Tenant.objects.filter(pk=alice.tenant.pk).update(slug=workspaces.KEEPER)
    report = run(settings, "http://127.0.0.1:9")
    assert report.exit_code == 3
    assert "taken" in str(report.failed)
