"""The shared sessions to providers. Tenants' own ones are called at addresses that are allowed (tenants.network)."""

from __future__ import annotations

import aiohttp

from tenants.network import Allowed, CheckingResolver

# Idle connections to providers that are kept open.
MAX_CONNECTIONS = 1000
CONNECT_TIMEOUT_S = 10


def make_session(*, read_timeout_s: float, allowed: Allowed | None = None) -> aiohttp.ClientSession:
    """Without `allowed`, for addresses that an operator has named."""
    resolver = None if allowed is None else CheckingResolver(aiohttp.ThreadedResolver(), allowed)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=60, resolver=resolver),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=read_timeout_s),
        # A cookie that one tenant's call was given must not be sent with another's.
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    )
