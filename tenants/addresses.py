"""Where a request comes from, and how many workspaces one address may register."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tenants import keyspace, pace

WINDOW_S = 3600


class TooManyRegistrations(Exception):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__(_("Too many workspaces were registered from this address. Try again later."))
        self.retry_after_s = retry_after_s


def client_address(request: HttpRequest) -> str | None:
    """The peer's, or what our own proxy says that its peer was: the last hop, the only one that it wrote itself."""
    address = request.META.get("REMOTE_ADDR") or None
    if settings.TRUST_PROXY and (forwarded := request.META.get("HTTP_X_FORWARDED_FOR")):
        address = forwarded.rpartition(",")[2].strip()
    known = parsed(address)
    return None if known is None else str(known)


def parsed(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address."""
    try:
        return ipaddress.ip_address(address) if address else None
    except ValueError:
        return None


def neighbourhood(address: str) -> str:
    """What one subscriber is given: an address of IPv4, or a /64 of IPv6, in which a new one costs nothing."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def count_registration(address: str | None) -> None:
    """Raises TooManyRegistrations. Without Redis registration goes on: sign-up matters more than its limit."""
    limit = settings.REGISTRATIONS_PER_HOUR
    if not limit or address is None or ipaddress.ip_address(address).is_loopback:
        return
    key = keyspace.registrations(neighbourhood(address))
    retry_after_s = pace.wait_s(key, limit, window_s=WINDOW_S)
    if retry_after_s is not None:
        raise TooManyRegistrations(retry_after_s)
