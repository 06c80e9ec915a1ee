"""The shared session to providers. Tenants' own ones are called at public addresses only (tenants.network)."""

from __future__ import annotations

import aiohttp

from tenants.network import PublicResolver

# Idle connections to providers that are kept open.
MAX_CONNECTIONS = 1000
CONNECT_TIMEOUT_S = 10


def make_session(*, read_timeout_s: float, only_public: bool) -> aiohttp.ClientSession:
    resolver = PublicResolver(aiohttp.ThreadedResolver()) if only_public else None
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=60, resolver=resolver),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=read_timeout_s),
        # A cookie that one tenant's call was given must not be sent with another's.
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    )
