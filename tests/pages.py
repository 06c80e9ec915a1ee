"""Pages of a running gateway, as a logged-in browser without JavaScript asks for them."""

from __future__ import annotations

import re
from typing import Any

import httpx2
from django.conf import settings

from tests.sockets import session_of

_TOKEN = "a" * 32


def as_user(server: str, user: Any, *, csrf: bool = True) -> httpx2.Client:
    """For what needs a gateway that runs. Each POST carries the CSRF token, unless it is left out."""
    session = session_of(user).cookies[settings.SESSION_COOKIE_NAME].value
    cookies = {settings.SESSION_COOKIE_NAME: session, settings.CSRF_COOKIE_NAME: _TOKEN}
    headers = {"Origin": server, "X-CSRFToken": _TOKEN} if csrf else {"Origin": server}
    return httpx2.Client(base_url=server, cookies=cookies, headers=headers, timeout=30)


def flat(answer: Any) -> str:
    """A page's HTML with single spaces."""
    return " ".join((answer.text if hasattr(answer, "text") else answer.content.decode()).split())


def fault_of(page: str, field_id: str) -> str:
    """What the page says beside a field."""
    found = re.search(rf'id="{field_id}_error">([^<]*)<', page)
    return found[1] if found else ""
