"""Which addresses tenants may have this server call: public ones. What was checked is what is called.

A workspace's owner chooses the URLs of providers and webhooks: without this, the server would call the cloud's metadata
service, or the database, for them.
"""

from __future__ import annotations

import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

from aiohttp.abc import AbstractResolver, ResolveResult
from django.utils.translation import gettext
from yarl import URL

# Whoever saves a URL waits this long at most for its name to be looked up.
LOOKUP_S = 3.0
_lookups = ThreadPoolExecutor(4, thread_name_prefix="lookup")


class PrivateAddress(OSError):
    """No public address."""


class PublicResolver(AbstractResolver):
    """For aiohttp: it connects to the addresses that come from here, and looks nothing up itself."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises PrivateAddress when none of the name's addresses is public."""
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise PrivateAddress(gettext("%(host)s has no public address") % {"host": host})
        return public

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if parsed.is_site_local or any(parsed in network for network in _NEVER):
            return False
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(parsed.packed[-4:])
        if inner is None:
            return parsed.is_global and not parsed.is_multicast
        parsed = inner
    return parsed.is_global and not parsed.is_multicast and not any(parsed in network for network in _NEVER_4)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# The IPv4-compatible addresses of RFC 4291, the translated ones of RFC 2765, and where RFC 8215 lets networks translate
# to IPv4 as they like: nobody's public address, and what is in the last bits may be the database's. Segment routing
# (RFC 9602) and documentation (RFC 9637), which older Pythons take for public.
_NEVER = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "5f00::/16", "3fff::/20")))
# IETF's own, among them a cloud's metadata service; relays of 6to4; the host that answers Azure's machines.
_NEVER_4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))


def check_literal(url: str) -> None:
    """An address in the URL itself is never looked up. Raises PrivateAddress."""
    host = host_of(url)
    try:
        public = is_public(host)
    except ValueError:
        return
    if not public:
        raise PrivateAddress(gettext("%(host)s is no public address") % {"host": host})


def host_of(url: str) -> str:
    """As aiohttp will call it, to which `127。0。0。1` is 127.0.0.1; empty where it would not."""
    try:
        return URL(url).raw_host or ""
    except ValueError:
        return ""


def check_now(url: str) -> None:
    """For who saves a URL: the address in it, or those that its name has today. Raises PrivateAddress.

    A name that nobody knows yet passes: it is looked up again whenever it is called.
    """
    check_literal(url)
    host = host_of(url)
    try:
        found = _lookups.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM).result(LOOKUP_S)
    except (OSError, UnicodeError, TookTooLong):
        return
    if not any(is_public(str(address[0])) for *_, address in found):
        raise PrivateAddress(gettext("%(host)s has no public address") % {"host": host})
