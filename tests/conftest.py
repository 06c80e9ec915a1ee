"""Real Postgres, Redis and embedding model; nothing is rolled back, so every test makes tenants of its own."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connections
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker

from tests import servers


@pytest.fixture(scope="session", autouse=True)
def database(
    django_test_environment: None,
    django_db_modify_db_settings_parallel_suffix: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """One test database for the whole run, or each process of it. Servers in other processes see what tests write."""
    with django_db_blocker.unblock():
        databases = setup_databases(verbosity=0, interactive=False)
        yield
        connections.close_all()
        teardown_databases(databases, verbosity=0)


PASSWORD = "correct horse 9 battery"


class Workspace(NamedTuple):
    """A tenant with its owner, and a key as the owner was shown it."""

    tenant: Any
    owner: Any
    api_key: Any
    key: str


@functools.cache
def _hashed() -> str:
    """Made once: it takes as long as all else that a workspace needs."""
    return make_password(PASSWORD)


def _give_password(user: Any) -> None:
    user.password = _hashed()
    user.save(update_fields=["password"])


def new_workspace(plan: str = "scale", **overrides: int | None) -> Workspace:
    """Of an owner with PASSWORD. Single limits replace the plan's."""
    from billing import subscriptions
    from tenants import registration

    registered = registration.register(f"{uuid.uuid4().hex[:12]}@example.com")
    _give_password(registered.user)
    subscriptions.change_plan(registered.tenant, plan, overrides=overrides)
    return Workspace(registered.tenant, registered.user, registered.issued.key, registered.issued.text)


@pytest.fixture
def make_workspace() -> Callable[..., Workspace]:
    """`make_workspace(plan="scale", monthly_requests=100)`."""
    return new_workspace


@pytest.fixture
def alice(make_workspace: Callable[..., Workspace]) -> Workspace:
    """Owns a workspace on Scale."""
    return make_workspace()


@pytest.fixture
def mallory(make_workspace: Callable[..., Workspace]) -> Workspace:
    """Owns another workspace, and wants what is Alice's."""
    return make_workspace()


@pytest.fixture
def make_member() -> Callable[[Workspace, str], Any]:
    """`make_member(alice, "finance")`: a user with PASSWORD and that role there."""

    def make(workspace: Workspace, role: str) -> Any:
        from tenants.models import Membership, User

        user = User.objects.create_user(f"{role}-{uuid.uuid4().hex[:12]}@example.com")
        _give_password(user)
        Membership.objects.create(user=user, tenant=workspace.tenant, role=role)
        return user

    return make


@pytest.fixture(scope="session")
def server(database: None) -> Iterator[str]:
    """The URL of a running gateway."""
    with servers.gateway() as gateway:
        yield gateway.url


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """The URL of a provider that does as the model's name says (tests.provider)."""
    with servers.running("tests.provider:application", ready="/calls") as upstream:
        yield upstream.url


@pytest.fixture
def with_provider(provider: str) -> Callable[[Workspace], Workspace]:
    """Gives a workspace that provider, with a key of its own."""

    def configure(workspace: Workspace) -> Workspace:
        from gateway import setups

        setups.configure_provider(
            workspace.tenant, name="fake", kind="openai", base_url=f"{provider}/v1", api_key="sk-upstream"
        )
        return workspace

    return configure
