"""Which addresses tenants may have this server call: public ones; where an operator lets them, private ones, too, but
never those where a cloud tells its machines their secrets. What was checked is what is called.

A workspace's owner chooses the URLs of providers and webhooks: without this, the server would call the cloud's metadata
service, or the database, for them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

from aiohttp.abc import AbstractResolver, ResolveResult
from django.utils.translation import gettext, gettext_lazy
from yarl import URL

# Whoever saves a URL waits this long at most for its name to be looked up.
LOOKUP_S = 3.0
NEVER = gettext_lazy("Link-local addresses, and those of a cloud's metadata services, are never called.")
_lookups = ThreadPoolExecutor(4, thread_name_prefix="lookup")


# Whether an address may be called.
Allowed = Callable[[str], bool]


class PrivateAddress(OSError):
    """None that may be called."""


class CheckingResolver(AbstractResolver):
    """For aiohttp: it connects to the addresses that come from here, and looks nothing up itself."""

    def __init__(self, inner: AbstractResolver, allowed: Allowed) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises PrivateAddress when none of the name's addresses is allowed."""
        found = await self._inner.resolve(host, port, family)
        allowed = [result for result in found if self._allowed(result["host"])]
        if not allowed:
            raise PrivateAddress(gettext("%(host)s has no public address") % {"host": host})
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def allowed(*, private: bool) -> Allowed:
    """What an operator's setting says."""
    return is_harmless if private else is_public


def is_public(address: str) -> bool:
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.is_site_local or any(parsed in network for network in _NEVER):
            return False
        inner = _inner(parsed)
        if inner is None:
            return parsed.is_global and not parsed.is_multicast
        parsed = inner
    return parsed.is_global and not parsed.is_multicast and not any(parsed in network for network in _NEVER_4)


def is_harmless(address: str) -> bool:
    """Any but those of `_SECRETS`, however they are written."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if any(parsed in network for network in _SECRETS):
            return False
        last = ipaddress.IPv4Address(parsed.packed[-4:])
        parsed = last if any(parsed in network for network in (*_NEVER, _NAT64)) else _inner(parsed) or parsed
    return not isinstance(parsed, ipaddress.IPv4Address) or not any(parsed in network for network in _SECRETS_4)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(address.partition("%")[0])


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The one that it stands for."""
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Link-local ones, where AWS, Google and Azure tell a machine its credentials; Alibaba's, Oracle's and Azure's others;
# and what AWS and Google have in IPv6.
_SECRETS_4 = tuple(
    map(ipaddress.IPv4Network, ("169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"))
)
_SECRETS = tuple(map(ipaddress.IPv6Network, ("fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128")))
# The IPv4-compatible addresses of RFC 4291, the translated ones of RFC 2765, and where RFC 8215 lets networks translate
# to IPv4 as they like: nobody's public address, and what is in the last bits may be the database's. Segment routing
# (RFC 9602) and documentation (RFC 9637), which older Pythons take for public.
_NEVER = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "5f00::/16", "3fff::/20")))
# IETF's own, among them a cloud's metadata service; relays of 6to4; the host that answers Azure's machines.
_NEVER_4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))


def check_literal(url: str, allowed: Allowed = is_public) -> None:
    """An address in the URL itself is never looked up. Raises PrivateAddress."""
    host = host_of(url)
    try:
        may_be_called = allowed(host)
    except ValueError:
        return
    if not may_be_called:
        raise PrivateAddress(gettext("%(host)s is no public address") % {"host": host})


def host_of(url: str) -> str:
    """As aiohttp will call it, to which `127。0。0。1` is 127.0.0.1; empty where it would not."""
    try:
        return URL(url).raw_host or ""
    except ValueError:
        return ""


def check_now(url: str, allowed: Allowed = is_public) -> None:
    """For who saves a URL: the address in it, or those that its name has today. Raises PrivateAddress.

    A name that nobody knows yet passes: it is looked up again whenever it is called.
    """
    check_literal(url, allowed)
    host = host_of(url)
    try:
        found = _lookups.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM).result(LOOKUP_S)
    except (OSError, UnicodeError, TookTooLong):
        return
    if not any(allowed(str(address[0])) for *_, address in found):
        raise PrivateAddress(gettext("%(host)s has no public address") % {"host": host})
