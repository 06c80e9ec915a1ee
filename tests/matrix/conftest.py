"""The providers of the matrix, running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.matrix import upstreams


@pytest.fixture(scope="package")
def urls() -> Iterator[dict[str, str]]:
    """By name."""
    with upstreams.running() as found:
        yield found
