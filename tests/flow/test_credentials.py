"""What is kept encrypted changes its encryption key without downtime."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import BinaryField

from analytics.alerts.models import WebhookEndpoint
from gateway import setups
from gateway.models import Provider
from nexus import resealing
from tenants import secretbox
from tenants.accounts import SecretsAdapter
from tenants.db import schema_of
from tests.conftest import Workspace


@pytest.fixture
def keys(settings: Any) -> Iterator[Any]:
    yield settings
    secretbox._box.cache_clear()


def use(settings: Any, *keys: str) -> None:
    settings.ENCRYPTION_KEYS = list(keys)
    secretbox._box.cache_clear()


def sealed(workspace: Workspace) -> bytes:
    with schema_of(workspace.tenant):
        return bytes(Provider.objects.get(name="mine").credential)


def test_all_are_encrypted_anew_and_the_old_key_can_go(alice: Workspace, keys: Any) -> None:
    given, new = keys.ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    setups.configure_provider(alice.tenant, name="mine", kind="openai", api_key="sk-mine")
    use(keys, new, given)
    assert secretbox.open_sealed(sealed(alice)) == "sk-mine"
    call_command("rotate_credentials", stdout=StringIO())
    use(keys, new)
    assert secretbox.open_sealed(sealed(alice)) == "sk-mine"
    # Back again: other tests' tenants are in this database.
    use(keys, given, new)
    call_command("rotate_credentials", stdout=StringIO())
    use(keys, given)
    assert secretbox.open_sealed(sealed(alice)) == "sk-mine"


def opened(workspace: Workspace) -> list[str]:
    """A webhook's two secrets, and a second factor's."""
    with schema_of(workspace.tenant):
        endpoint = WebhookEndpoint.objects.get()
    app, codes = Authenticator.objects.filter(user=workspace.owner).order_by("type").reverse()
    sealed = [bytes(endpoint.secret), bytes(endpoint.previous_secret or b"")]
    sealed += [text.encode() for text in (app.data["secret"], *codes.data["migrated_codes"])]
    return [secretbox.open_sealed(one) for one in sealed]


def test_webhooks_and_second_factors_change_their_key_too(alice: Workspace, keys: Any) -> None:
    given, new = keys.ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    seal = SecretsAdapter().encrypt
    with schema_of(alice.tenant):
        secrets = {"secret": secretbox.seal("whsec_1"), "previous_secret": secretbox.seal("whsec_0")}
        WebhookEndpoint.objects.create(url="https://hooks.example.com/", **secrets)
    Authenticator.objects.create(user=alice.owner, type="totp", data={"secret": seal("TOTP")})
    codes = {"migrated_codes": [seal("11111111"), seal("22222222")], "used_mask": 0}
    Authenticator.objects.create(user=alice.owner, type="recovery_codes", data=codes)
    expected = ["whsec_1", "whsec_0", "TOTP", "11111111", "22222222"]
    for now, other in ((new, given), (given, new)):
        use(keys, now, other)
        call_command("rotate_credentials", stdout=StringIO())
        use(keys, now)
        assert opened(alice) == expected


def test_all_that_is_encrypted_is_known_to_the_rotation() -> None:
    encrypted = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, BinaryField)
        and ("crypted" in field.help_text or "secret" in field.name)
        # Digests, which nobody can open.
        and not field.name.endswith("_sha256")
    }
    assert encrypted == {(model, name) for model, names in resealing.COLUMNS.items() for name in names}


def test_what_no_key_opens_is_named_and_left(alice: Workspace, keys: Any) -> None:
    setups.configure_provider(alice.tenant, name="mine", kind="openai", api_key="sk-mine")
    before = sealed(alice)
    use(keys, Fernet.generate_key().decode())
    with pytest.raises(CommandError, match=f"{alice.tenant.slug}/mine"):
        call_command("rotate_credentials", stdout=StringIO())
    assert sealed(alice) == before
