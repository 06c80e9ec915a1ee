"""A workspace that moves to another database: all that is its own arrives, or nothing does."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client

from analytics.models import UsageRecord, WebhookEndpoint
from billing.models import LedgerEntry, Subscription
from gateway import setups
from gateway.models import CacheEntry, Provider
from nexus.bench import pages_asked
from nexus.moving import arrival, tables
from nexus.moving.archive import Reader, TransferKey
from tenants import freezing, secretbox
from tenants.db import schema_of
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User
from tests import moving
from tests.cached import ask, keep
from tests.calls import chat, records
from tests.conftest import Workspace
from tests.moving import Elsewhere

QUESTION = "How do I return a pair of shoes that I bought last week?"


@pytest.fixture(scope="module")
def there(database: None) -> Iterator[Elsewhere]:
    with moving.elsewhere() as other:
        yield other


@pytest.fixture
def filled(server: str, alice: Workspace, make_member: Callable[[Workspace, str], Any]) -> Workspace:
    """With answers in its cache, usage, a provider and a webhook with secrets, and a member."""
    EmailAddress.objects.create(user=alice.owner, email=alice.owner.email, verified=True, primary=True)
    keep(server, alice, QUESTION)
    assert ask(server, alice, QUESTION).headers["x-cache"] == "HIT-EXACT"
    records(alice, 2)
    make_member(alice, "finance")
    setups.configure_provider(alice.tenant, name="own", kind="openai", base_url="", api_key="sk-very-own")
    with schema_of(alice.tenant):
        Provider.objects.update(enabled=False)
        WebhookEndpoint.objects.create(url="https://hooks.example.com/\t\\tab", secret=secretbox.seal("whsec"))
    AuditEvent.objects.create(tenant=alice.tenant, actor_label="a\\b\n", action="test.it", target="tab\t")
    return alice


class Exported:
    def __init__(self, tenant: Tenant, folder: Path, *options: str) -> None:
        self.file, self.key = folder / f"{tenant.slug}.nexus", folder / "transfer.key"
        call_command("tenant_export", tenant.slug, "--to", str(self.file), "--key", str(self.key), *options)

    def arrive(self, *options: str) -> None:
        call_command("tenant_import", str(self.file), "--key", str(self.key), *options)


def tables_of(schema: str) -> dict[str, list[Any]]:
    with connection.cursor() as cursor:
        found = {}
        for table in tables.moved(tables.TENANTS_OWN):
            cursor.execute(f"SELECT * FROM {schema}.{table} ORDER BY 1")
            found[table] = cursor.fetchall()
        return found


def test_a_workspace_works_at_another_database_as_it_did(
    server: str, there: Elsewhere, filled: Workspace, mallory: Workspace, tmp_path: Path
) -> None:
    chat(server, mallory.key)
    before = tables_of(mallory.tenant.schema_name)
    exported = Exported(filled.tenant, tmp_path, "--freeze")
    assert b"sk-very-own" not in exported.file.read_bytes() and exported.file.stat().st_mode & 0o777 == 0o600
    told = there.manage("tenant_import", str(exported.file), "--key", str(exported.key))
    assert f"{filled.tenant.slug} is here" in told and "0 have an account here, and 2 get in" in told
    (tenant_id, status) = there.ask(
        "SELECT id, status FROM tenants_tenant WHERE slug = %(slug)s AND moving_since IS NULL",
        {"slug": filled.tenant.slug},
    )[0]
    assert status == "active"
    ledger = "SELECT sum(requests), sum(tokens), sum(cost_usd) FROM billing_ledgerentry WHERE tenant_id = %(id)s"
    with connection.cursor() as cursor:
        cursor.execute(ledger, {"id": filled.tenant.pk})
        assert there.ask(ledger, {"id": tenant_id}) == [cursor.fetchone()]
    with there.serving() as elsewhere:
        near = ask(elsewhere.url, filled, "How do I return a pair of shoes I bought last week?")
        assert near.headers["x-cache"] == "HIT-SEMANTIC"
    assert tables_of(mallory.tenant.schema_name) == before
    actions = AuditEvent.objects.filter(tenant=filled.tenant, action__startswith="tenant.").values_list(
        "action", flat=True
    )
    assert {"tenant.frozen", "tenant.exported"} <= set(actions)
    imported = there.ask("SELECT after FROM tenants_auditevent WHERE action = 'tenant.imported'")
    assert imported[-1][0]["slug"] == filled.tenant.slug


def test_a_copy_beside_the_original_has_all_rows_and_no_working_key(filled: Workspace, tmp_path: Path) -> None:
    exported = Exported(filled.tenant, tmp_path)
    slug = f"{filled.tenant.slug}-copy"
    exported.arrive("--as", slug)
    copy = Tenant.objects.get(slug=slug)
    (key,) = ApiKey.objects.filter(tenant=copy)
    assert key.revoked_at is not None and key.public_id != filled.api_key.public_id
    assert set(Membership.objects.filter(tenant=copy).values_list("user_id", "role")) == set(
        Membership.objects.filter(tenant=filled.tenant).values_list("user_id", "role")
    )
    assert Subscription.objects.get(tenant=copy).plan_id == "scale"
    (row,) = AuditEvent.objects.filter(tenant=copy, action="test.it")
    assert (row.actor_label, row.target) == ("a\\b\n", "tab\t")
    assert set(LedgerEntry.objects.filter(tenant=copy).values_list("key_id", flat=True)) == {key.pk}
    before, after = tables_of(filled.tenant.schema_name), tables_of(copy.schema_name)
    # They wait: the original sends them.
    assert before.pop("analytics_delivery") and not after["analytics_delivery"]
    for table, moved in tables.moved(tables.TENANTS_OWN).items():
        if table not in before:
            continue
        assert len(before[table]) == len(after[table])
        if not moved.secrets and not moved.keys:
            assert before[table] == after[table]
    with schema_of(copy):
        assert set(UsageRecord.objects.values_list("key_id", flat=True)) == {key.pk}
        assert secretbox.open_sealed(bytes(Provider.objects.get().credential)) == "sk-very-own"
        hook = WebhookEndpoint.objects.get()
        assert secretbox.open_sealed(bytes(hook.secret)) == "whsec" and hook.url.endswith("/\t\\tab")
        # What is made next has a number that nobody has.
        Provider.objects.create(name="next", kind="openai")
        assert CacheEntry.objects.count() == 1


def test_every_page_of_an_arrived_workspace_opens(
    server: str, filled: Workspace, client: Client, tmp_path: Path
) -> None:
    Exported(filled.tenant, tmp_path).arrive("--as", f"{filled.tenant.slug}-p")
    client.force_login(filled.owner)
    cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}
    opened = 0
    for page in pages_asked.workspace_pages():
        if not page.arguments:
            path = pages_asked.address(page, f"{filled.tenant.slug}-p", {})
            answer = httpx2.get(f"{server}{path}", headers=cookie, timeout=30)
            # Some are only to be sent to, others lead on.
            assert answer.status_code in {200, 302, 404, 405}, page
            opened += answer.status_code == 200
    assert opened > 25


def test_indexes_and_constraints_are_those_of_a_new_workspace(filled: Workspace, tmp_path: Path) -> None:
    from tests.flow.test_provisioning import facts_of

    Exported(filled.tenant, tmp_path).arrive("--as", f"{filled.tenant.slug}-c")
    copy = Tenant.objects.get(slug=f"{filled.tenant.slug}-c")
    ours, theirs = facts_of(filled.tenant.schema_name), facts_of(copy.schema_name)
    for fact in set(ours) - {"rows"}:
        assert ours[fact] == theirs[fact]


def test_a_workspace_comes_back_to_where_it_was_deleted(server: str, filled: Workspace, tmp_path: Path) -> None:
    exported = Exported(filled.tenant, tmp_path, "--freeze")
    slug = filled.tenant.slug
    with pytest.raises(CommandError, match="already"):
        exported.arrive()
    call_command("tenant_delete", slug, "--yes-slug", slug, "--moved")
    assert not Tenant.objects.filter(slug=slug).exists()
    exported.arrive()
    assert ask(server, filled, QUESTION).headers["x-cache"] in {"HIT-SEMANTIC", "HIT-EXACT"}
    assert User.objects.get(email=filled.owner.email).memberships.get().tenant.slug == slug


@pytest.mark.parametrize("part", ["manifest.json", "tenants_apikey/000000.gz", "contents.json"])
def test_a_damaged_or_cut_file_is_refused(alice: Workspace, tmp_path: Path, part: str) -> None:
    exported = Exported(alice.tenant, tmp_path)
    tenants = Tenant.everyone.count()
    at = moving.middle_of(exported.file, part)
    for file in (moving.damaged(exported.file, at), moving.cut(exported.file, at), moving.cut(exported.file, 0)):
        with pytest.raises(CommandError, match="Nothing was imported"):
            call_command("tenant_import", str(file), "--key", str(exported.key), "--as", f"{alice.tenant.slug}-x")
    assert Tenant.everyone.count() == tenants


def test_a_file_that_somebody_has_made_up_is_refused(alice: Workspace, tmp_path: Path) -> None:
    exported = Exported(alice.tenant, tmp_path)
    other = tmp_path / "other.key"
    TransferKey.make(other)
    with pytest.raises(CommandError, match="not sealed with this transfer key"):
        call_command("tenant_import", str(exported.file), "--key", str(other), "--as", "made-up")


def test_a_file_of_a_newer_version_is_refused(alice: Workspace, tmp_path: Path, monkeypatch: Any) -> None:
    from nexus.moving import levels

    monkeypatch.setattr(levels, "applied", lambda: {("gateway", "9999_later")})
    exported = Exported(alice.tenant, tmp_path)
    monkeypatch.undo()
    with pytest.raises(CommandError, match="gateway.9999_later. Upgrade this installation"):
        exported.arrive("--as", f"{alice.tenant.slug}-new")


def test_a_file_of_an_older_version_fits_when_only_additions_came_since(
    alice: Workspace, tmp_path: Path, monkeypatch: Any
) -> None:
    from nexus.moving import export

    whole = export.columns_of
    dropped = {"on_disconnect", "priority"}
    monkeypatch.setattr(export, "columns_of", lambda model: [name for name in whole(model) if name not in dropped])
    exported = Exported(alice.tenant, tmp_path)
    monkeypatch.undo()
    exported.arrive("--as", f"{alice.tenant.slug}-old")
    assert ApiKey.objects.get(tenant__slug=f"{alice.tenant.slug}-old").priority == "default"


def test_an_import_that_fails_in_the_middle_leaves_nothing(
    filled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = Exported(filled.tenant, tmp_path)
    slug = f"{filled.tenant.slug}-again"

    def fail(self: arrival.Arrival) -> None:
        raise arrival.Refused("It does not add up.")

    monkeypatch.setattr(arrival.Arrival, "_check", fail)
    schemas = schemas_here()
    with pytest.raises(CommandError, match="does not add up"):
        exported.arrive("--as", slug)
    assert schemas_here() == schemas and not Tenant.everyone.filter(slug=slug).exists()
    monkeypatch.undo()
    exported.arrive("--as", slug)


def schemas_here() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace")
        return {name for (name,) in cursor.fetchall()}


def test_an_import_that_is_killed_leaves_nothing(there: Elsewhere, filled: Workspace, tmp_path: Path) -> None:
    exported = Exported(filled.tenant, tmp_path)
    words = ("tenant_import", str(exported.file), "--key", str(exported.key), "--as", f"{filled.tenant.slug}-k")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with there.connected() as blocking:
        # Its schema is filled by the time that it comes to the ledger.
        blocking.execute("BEGIN; LOCK TABLE billing_ledgerentry IN ACCESS EXCLUSIVE MODE")
        running = there.begin(*words)
        until = time.monotonic() + 120
        while there.ask(waits) == [(0,)]:
            assert running.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        running.kill()
        running.wait()
        blocking.execute("ROLLBACK")
    rows = "SELECT count(*) FROM tenants_tenant WHERE slug = %(slug)s"
    while there.ask(waits) != [(0,)]:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert there.ask(rows, {"slug": words[-1]}) == [(0,)]
    schemas = """SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%%'
        AND nspname NOT IN (SELECT schema_name FROM tenants_tenant)"""
    assert there.ask(schemas, {}) == [(0,)]
    there.manage(*words)
    assert there.ask(rows, {"slug": words[-1]}) == [(1,)]


def test_an_account_whose_address_nobody_confirmed_is_left_to_the_mailbox(filled: Workspace, tmp_path: Path) -> None:
    """Else a stranger who signed up there with a member's address would be let into the workspace."""
    exported = Exported(filled.tenant, tmp_path)
    EmailAddress.objects.filter(user=filled.owner).update(verified=False)
    exported.arrive("--as", f"{filled.tenant.slug}-m")
    assert not User.objects.get(pk=filled.owner.pk).has_usable_password()


def test_what_is_moved_is_read_in_one_snapshot_and_counted(filled: Workspace, tmp_path: Path) -> None:
    exported = Exported(filled.tenant, tmp_path)
    reader = Reader(exported.file, TransferKey(exported.key.read_bytes()))
    rows: dict[str, int] = {}
    for part in reader.parts():
        assert part.content.count(b"\n") == part.rows
        rows[part.table] = rows.get(part.table, 0) + part.rows
    assert rows["analytics_usagerecord"] == 2 and rows["gateway_cacheentry"] == 1
    with tarfile.open(exported.file) as tar:
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert manifest["ledger"]["requests"] == "2" and not manifest["frozen"]


def test_a_frozen_workspace_with_calls_under_way_is_not_exported(filled: Workspace, tmp_path: Path) -> None:
    import redis
    from django.utils import timezone

    from tenants import keyspace

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.zadd(keyspace.in_flight(filled.tenant.pk), {"one": timezone.now().timestamp() + 60})
    with pytest.raises(CommandError, match="1 calls are under way"):
        Exported(filled.tenant, tmp_path, "--freeze", "--patience", "0")
    assert not (tmp_path / f"{filled.tenant.slug}.nexus").exists()
    call_command("tenant_export", filled.tenant.slug, "--unfreeze")
    assert not freezing.unfreeze(filled.tenant)


def test_deleting_is_asked_for_twice_and_refused_while_money_is_due(alice: Workspace) -> None:
    slug = alice.tenant.slug
    with pytest.raises(CommandError, match="not the same"):
        call_command("tenant_delete", slug, "--yes-slug", "other")
    Subscription.objects.filter(tenant=alice.tenant).update(status="active")
    with pytest.raises(CommandError, match="is active at Stripe"):
        call_command("tenant_delete", slug, "--yes-slug", slug)
    with pytest.raises(CommandError, match="not frozen"):
        call_command("tenant_delete", slug, "--yes-slug", slug, "--moved")
    freezing.freeze(alice.tenant)
    call_command("tenant_delete", slug, "--yes-slug", slug, "--moved")
    assert not Tenant.objects.filter(pk=alice.tenant.pk).exists()
    assert Tenant.everyone.get(pk=alice.tenant.pk).status == "deleted"


def test_every_table_has_a_decision() -> None:
    """A new one: say in nexus/moving/tables.py whether it moves with a tenant, and why not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        public = {name for (name,) in cursor.fetchall()}
    from django.db.models import BinaryField

    from tenants.provisioning import tenant_models

    own = {model._meta.db_table for model in tenant_models()}  # type: ignore[attr-defined]
    assert not {name for name in public - own if tables.decision(name, tables.PUBLIC) is None}
    assert own == {name for name in tables.TENANTS_OWN if name != "django_migrations"}
    plain = {"gateway_cacheentry.answer"}
    for model in tenant_models():
        table = model._meta.db_table  # type: ignore[attr-defined]
        binary = {f.column for f in model._meta.local_fields if isinstance(f, BinaryField)}  # type: ignore[attr-defined]
        moved = tables.TENANTS_OWN[table]
        secrets = set(moved.secrets) if isinstance(moved, tables.Moved) else binary
        assert {name for name in binary if f"{table}.{name}" not in plain} == secrets
