"""What people who are nobody here yet may do, and how often."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

RESET = "/account/password/reset/"


@pytest.mark.parametrize("known", [True, False])
def test_letters_for_a_new_password_to_one_address_are_few(known: bool, request: pytest.FixtureRequest) -> None:
    """Whoever asks for them, and from wherever; and whether or not there is such an account does not show."""
    email = f"{uuid.uuid4().hex}@example.com"
    if known:
        email = request.getfixturevalue("alice").owner.email
    block = uuid.uuid4().int % 250
    statuses = [
        Client(REMOTE_ADDR=f"198.19.{block}.{number}").post(RESET, {"email": email}).status_code
        for number in range(1, 8)
    ]
    assert statuses == [302] * 5 + [429] * 2
