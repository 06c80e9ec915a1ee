"""Provider credentials change their encryption key without downtime."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from gateway import setups
from gateway.models import Provider
from tenants import secretbox
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


def test_what_no_key_opens_is_named_and_left(alice: Workspace, keys: Any) -> None:
    setups.configure_provider(alice.tenant, name="mine", kind="openai", api_key="sk-mine")
    before = sealed(alice)
    use(keys, Fernet.generate_key().decode())
    with pytest.raises(CommandError, match=f"{alice.tenant.slug}/mine"):
        call_command("rotate_credentials", stdout=StringIO())
    assert sealed(alice) == before
