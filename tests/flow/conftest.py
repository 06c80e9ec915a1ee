"""Who manages a workspace."""

from __future__ import annotations

import pytest

from tests.conftest import Workspace
from tests.management import manages


@pytest.fixture
def admin(alice: Workspace) -> Workspace:
    """Alice, whose key may manage."""
    return manages(alice)
