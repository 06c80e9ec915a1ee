"""What a page says of a URL that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rest_framework.exceptions import ValidationError

from tenants.api import first_error

_Asked = TypeVar("_Asked")


def choose_or_say_why(choose: Callable[[], _Asked], usual: _Asked) -> tuple[_Asked, str]:
    """What `choose` reads; where it makes no sense, the usual, and why in one sentence."""
    try:
        return choose(), ""
    except ValidationError as error:
        return usual, first_error(error.detail)[1]
