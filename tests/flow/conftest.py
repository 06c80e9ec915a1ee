"""Who manages a workspace, and whom it pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tenants import keyspace
from tests import usage
from tests.alerts import forget_letters, forget_marks
from tests.conftest import Workspace
from tests.management import manages
from tests.paying import Payments, payments


@pytest.fixture
def admin(alice: Workspace) -> Workspace:
    """Alice, whose key may manage."""
    return manages(alice)


@pytest.fixture(scope="module")
def paid(database: None) -> Iterator[Payments]:
    """A Stripe of the module's own, and a gateway that it tells of events."""
    with payments() as made:
        yield made


@pytest.fixture
def buyer(make_workspace: Callable[..., Workspace]) -> Workspace:
    """On Free, with a key that may manage."""
    return manages(make_workspace("free"))


@pytest.fixture
def no_alerts_waiting(database: None) -> None:
    """What other tests left is not this one's to evaluate, nor to send: each of their workspaces changed its plan."""
    forget_marks()
    forget_letters()


@pytest.fixture
def no_books_marked(database: None) -> None:
    """What other tests used is not this one's to compare."""
    with usage.client() as client:
        client.delete(keyspace.BOOKS_TO_COMPARE)
