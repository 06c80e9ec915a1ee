"""The text of API keys."""

from __future__ import annotations

import hashlib

import pytest

from tenants import keys
from tenants.models import new_public_id

PUBLIC_ID, SECRET = "abc123def456", "s" * 43


def test_a_new_key_can_be_read_back() -> None:
    public_id, secret = new_public_id(), keys.new_secret()
    parts = keys.parse(keys.render(public_id, secret))
    assert parts == (public_id, hashlib.sha256(secret.encode()).digest())


def test_secrets_are_long_and_never_alike() -> None:
    secrets = {keys.new_secret() for _ in range(1000)}
    assert len(secrets) == 1000
    assert all(len(secret) >= 43 for secret in secrets)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nk-",
        f"sk-{PUBLIC_ID}-{SECRET}",
        f"nk-{PUBLIC_ID}",
        f"nk-{PUBLIC_ID}-",
        f"nk-{PUBLIC_ID}-short",
        f"nk-{PUBLIC_ID[:-1]}-{SECRET}",
        f"nk-{PUBLIC_ID.upper()}-{SECRET}",
        f"nk-{PUBLIC_ID}-{SECRET}\n",
        f" nk-{PUBLIC_ID}-{SECRET}",
        f"nk-{PUBLIC_ID}-{SECRET}é",
        f"nk-{PUBLIC_ID}-{SECRET}\x00",
        f"nk-{PUBLIC_ID}-{'s' * 129}",
        f"nk-{PUBLIC_ID}-{SECRET} nk-{PUBLIC_ID}-{SECRET}",
    ],
)
def test_what_is_no_key_is_told_without_asking_anybody(text: str) -> None:
    assert keys.parse(text) is None


def test_a_secret_may_hold_dashes() -> None:
    secret = "-" * 20 + "_" * 23
    assert keys.parse(keys.render(PUBLIC_ID, secret)) == (PUBLIC_ID, keys.digest(secret))
