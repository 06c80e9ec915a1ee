"""Keys are issued, rotated and revoked; every process hears of it, and the audit log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import transaction
from django.utils import timezone

from billing import subscriptions
from billing.models import Plan, PriceOverride
from tenants import apikeys, keys, keyspace, suspension
from tenants.models import ApiKey, AuditEvent
from tests.conftest import Workspace
from tests.together import at_once

PATIENCE_S = 10.0


class Ear:
    """Hears what is published for all processes, in order."""

    def __init__(self, pubsub: Any) -> None:
        self._pubsub = pubsub

    def next(self) -> str:
        message = self._pubsub.get_message(timeout=PATIENCE_S)
        assert message is not None, "nothing was published"
        return str(message["data"].decode())

    def until(self, wanted: str) -> None:
        while self.next() != wanted:
            pass


@pytest.fixture
def ear(settings: Any) -> Iterator[Ear]:
    with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub() as pubsub:
        pubsub.subscribe(keyspace.REVOCATIONS)
        assert pubsub.get_message(timeout=PATIENCE_S)["type"] == "subscribe"
        yield Ear(pubsub)


def actions(workspace: Workspace) -> list[str]:
    return list(AuditEvent.objects.filter(tenant=workspace.tenant).order_by("pk").values_list("action", flat=True))


def test_only_the_digest_of_a_secret_is_kept(alice: Workspace) -> None:
    secret = alice.key.split("-", 2)[2]
    row = ApiKey.objects.values().get(pk=alice.api_key.pk)
    assert bytes(row["secret_sha256"]) == keys.digest(secret)
    assert not any(secret in str(value) for value in row.values())
    assert not AuditEvent.objects.filter(target__contains=secret).exists()


def test_a_rotated_key_goes_on_for_the_overlap_with_its_rights_on_the_new_one(alice: Workspace) -> None:
    old = apikeys.issue(alice.tenant, name="app", requests_per_minute=7, monthly_tokens=9).key
    ApiKey.objects.filter(pk=old.pk).update(scopes=["admin"], allowed_models=["gpt-4o-mini"])
    before = timezone.now()
    new, text = apikeys.rotate(old, overlap_s=60, actor=alice.owner, ip="192.0.2.7")
    old.refresh_from_db()
    assert old.expires_at is not None and old.revoked_at is None
    assert dt.timedelta(seconds=60) <= old.expires_at - before < dt.timedelta(seconds=90)
    assert (new.name, new.scopes, new.allowed_models) == ("app", ["admin"], ["gpt-4o-mini"])
    assert (new.requests_per_minute, new.monthly_tokens, new.expires_at) == (7, 9, None)
    assert keys.parse(text) == (new.public_id, bytes(new.secret_sha256))
    event = AuditEvent.objects.filter(tenant=alice.tenant, action="key.rotated").get()
    assert (event.actor, event.ip_address) == (alice.owner, "192.0.2.7")
    assert event.after is not None and event.after["new_key"] == new.public_id


def test_rotation_does_not_lengthen_a_keys_life(alice: Workspace) -> None:
    soon = timezone.now() + dt.timedelta(seconds=30)
    key = apikeys.issue(alice.tenant).key
    ApiKey.objects.filter(pk=key.pk).update(expires_at=soon)
    new = apikeys.rotate(key).key
    key.refresh_from_db()
    assert (key.expires_at, new.expires_at) == (soon, soon)


def test_rotation_does_not_bring_back_a_dead_key(alice: Workspace) -> None:
    revoked, expired = apikeys.issue(alice.tenant).key, apikeys.issue(alice.tenant).key
    apikeys.revoke(revoked)
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    count = ApiKey.objects.filter(tenant=alice.tenant).count()
    for key in (revoked, expired):
        with pytest.raises(apikeys.KeyIsDead, match="issue a new key"):
            apikeys.rotate(key)
    assert ApiKey.objects.filter(tenant=alice.tenant).count() == count


def test_a_second_revocation_changes_nothing(alice: Workspace) -> None:
    apikeys.revoke(alice.api_key)
    first = alice.api_key.revoked_at
    apikeys.revoke(ApiKey.objects.get(pk=alice.api_key.pk))
    alice.api_key.refresh_from_db()
    assert alice.api_key.revoked_at == first
    assert actions(alice).count("key.revoked") == 1


def test_two_revocations_at_once_are_one(alice: Workspace) -> None:
    at_once(*[lambda: apikeys.revoke(ApiKey.objects.get(pk=alice.api_key.pk))] * 4)
    assert actions(alice).count("key.revoked") == 1


def test_every_process_hears_of_what_changes(alice: Workspace, ear: Ear) -> None:
    new = apikeys.rotate(alice.api_key).key
    assert {ear.next(), ear.next()} == {f"key:{alice.api_key.public_id}", f"key:{new.public_id}"}
    apikeys.revoke(new)
    assert ear.next() == f"key:{new.public_id}"
    suspension.suspend(alice.tenant)
    assert ear.next() == f"tenant:{alice.tenant.pk}"
    subscriptions.change_plan(alice.tenant, "pro")
    assert ear.next() == f"tenant:{alice.tenant.pk}"
    Plan.objects.get(code="pro").save()
    assert ear.next() == "*"
    PriceOverride.objects.create(catalog="test", model=alice.tenant.slug, input_usd_per_mtok=1, output_usd_per_mtok=2)
    assert ear.next() == "prices"


def test_what_is_rolled_back_is_not_told(alice: Workspace, ear: Ear) -> None:
    with transaction.atomic():
        apikeys.revoke(alice.api_key)
        transaction.set_rollback(True)
    suspension.suspend(alice.tenant)
    assert ear.next() == f"tenant:{alice.tenant.pk}"


def test_a_key_is_revoked_though_redis_is_away(
    alice: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    monkeypatch.setattr("tenants.revocations._client", lambda: nowhere)
    apikeys.revoke(alice.api_key)
    assert ApiKey.objects.get(pk=alice.api_key.pk).revoked_at is not None
    assert f"key:{alice.api_key.public_id} was not published" in caplog.text


@pytest.mark.parametrize(
    "overrides", [{"requests": 5}, {"monthly_requests": "many"}, {"monthly_tokens": -1}, {"monthly_tokens": True}]
)
def test_an_override_that_the_data_plane_could_not_apply_is_refused(alice: Workspace, overrides: Any) -> None:
    with pytest.raises(ValueError, match="limit|whole number"):
        subscriptions.change_plan(alice.tenant, "pro", overrides=overrides)
    alice.tenant.subscription.refresh_from_db()
    assert alice.tenant.subscription.plan_id == "scale"
