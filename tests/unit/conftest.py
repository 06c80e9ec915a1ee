"""The fake Stripe, for the tests of the fake itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.merchant import Merchant, merchant


@pytest.fixture(scope="module")
def running_fake() -> Iterator[Merchant]:
    with merchant() as running:
        yield running


@pytest.fixture
def fake(running_fake: Merchant) -> Merchant:
    running_fake.do("reset")
    return running_fake
