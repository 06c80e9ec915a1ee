"""Which addresses tenants' providers may have: public ones. Names are looked up here: what was checked is called.

A workspace's owner chooses the URL that this server calls: without this, it would call the cloud's metadata service,
or the database, for them.
"""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

# Idle connections to providers that are kept open.
MAX_CONNECTIONS = 1000
CONNECT_TIMEOUT_S = 10


class PrivateAddress(OSError):
    """No public address; providers/http.py makes it a ProviderFailed."""


def make_session(*, read_timeout_s: float, only_public: bool) -> aiohttp.ClientSession:
    resolver = PublicResolver(aiohttp.ThreadedResolver()) if only_public else None
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=60, resolver=resolver),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=read_timeout_s),
        auto_decompress=True,
    )


class PublicResolver(AbstractResolver):
    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises PrivateAddress when none of the name's addresses is public."""
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise PrivateAddress(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(parsed.packed[-4:])
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return parsed.is_global and not parsed.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def check_literal(url: str) -> None:
    """An address in the URL itself is never looked up. Raises PrivateAddress."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        public = is_public(host)
    except ValueError:
        return
    if not public:
        raise PrivateAddress(f"{host} is no public address")
