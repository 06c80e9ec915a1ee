"""What one process knows of keys and tokens, and when it asks again."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tenants import keys, principal, tokens
from tenants.limits import NO_LIMITS
from tenants.principal import Directory, DirectoryUnavailable, Principal

SECRET = "s" * 43
FAMILY = "f" * 32


class Database:
    """Knows one key, and one family of tokens of it."""

    def __init__(self) -> None:
        self.public_id = "abc123def456"
        self.key = keys.render(self.public_id, SECRET)
        self.asked: Counter[str] = Counter()
        self.is_away = False
        self.family_ended = False

    async def load(self, public_id: str) -> Principal | None:
        self._ask(public_id)
        if public_id != self.public_id:
            return None
        return Principal(7, "s", "s", True, 70, public_id, keys.digest(SECRET), "free", NO_LIMITS)

    async def lives(self, family: str) -> int | None:
        self._ask(family)
        return 70 if family == FAMILY and not self.family_ended else None

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.is_away:
            raise OSError("away")


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def directory(database: Database) -> Directory:
    return Directory(database.load, database.lives)


def token(tenant_id: int = 7, family: str = FAMILY) -> str:
    now = time.time()
    return tokens.signer().sign(tokens.Claims("abc123def456", tenant_id, family, now + 900), now=now)


def unknown() -> str:
    return keys.render("zzz999zzz999", SECRET)


async def test_a_key_that_is_not_there_is_asked_for_once(directory: Directory, database: Database) -> None:
    for _ in range(5):
        assert await directory.find(unknown()) is None
    assert database.asked["zzz999zzz999"] == 1
    # It may be there since.
    directory.forget("key:zzz999zzz999")
    await directory.find(unknown())
    assert database.asked["zzz999zzz999"] == 2


async def test_ids_that_somebody_makes_up_push_no_key_out(
    directory: Directory, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(principal, "MAX_SNAPSHOTS", 3)
    monkeypatch.setattr(principal, "MAX_UNKNOWN", 3)
    assert await directory.find(database.key)
    for number in range(20):
        assert await directory.find(keys.render(f"{number:012d}", SECRET)) is None
    assert directory.known(database.key)
    assert len(directory._unknown) == 3


async def test_a_key_was_heard_of_whatever_has_changed_since(directory: Directory, database: Database) -> None:
    assert not directory.has_heard_of(database.key)
    await directory.find(database.key)
    for message in (f"key:{database.public_id}", "tenant:7", "*"):
        directory.forget(message)
        assert directory.known(database.key) is None and directory.has_heard_of(database.key)
    assert not directory.has_heard_of(unknown())


@pytest.mark.parametrize("message", ["prices", "platform", "breaker:500:{nexus}b:openai/gpt-4o", f"family:{FAMILY}"])
async def test_what_is_about_no_caller_makes_no_key_be_asked_for(
    directory: Directory, database: Database, message: str
) -> None:
    await directory.find(database.key)
    directory.forget(message)
    assert directory.known(database.key)


async def test_a_token_is_known_until_its_family_or_its_key_ends(directory: Directory, database: Database) -> None:
    text = token()
    assert directory.known(text) is None
    assert await directory.find(text) is directory.known(text) is not None
    for message in (f"family:{FAMILY}", f"key:{database.public_id}", "tenant:7", "*"):
        directory.forget(message)
        assert directory.known(text) is None, message
        assert await directory.find(text)
    database.family_ended = True
    directory.forget(f"family:{FAMILY}")
    assert directory.known(text) is None and await directory.find(text) is None


async def test_a_token_of_another_tenant_or_family_is_none(directory: Directory) -> None:
    assert await directory.find(token(tenant_id=8)) is None
    assert await directory.find(token(family="0" * 32)) is None


async def test_known_tokens_go_on_while_the_database_is_away(directory: Directory, database: Database) -> None:
    text = token()
    await directory.find(text)
    database.is_away = True
    directory.age_all()
    assert directory.known(text) is None
    assert await directory.find(text)
    with pytest.raises(DirectoryUnavailable):
        await directory.find(token(family="0" * 32))
