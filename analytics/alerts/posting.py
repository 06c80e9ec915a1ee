"""One POST to a tenant's endpoint: bounded in time and bytes, without redirects, to public addresses only.

Every call has a loop of its own, and with it a name lookup of its own: a name server that hangs holds up nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from django.conf import settings
from django.utils.translation import gettext_noop

from analytics.alerts.models import RESPONSE_LENGTH
from tenants import kept
from tenants.network import CheckingResolver, PrivateAddress, allowed, check_literal

CONNECT_S, TOTAL_S = 5.0, 15.0
READ_BYTES = 64 * 1024
LONGEST_RETRY_AFTER_S = 86_400.0


# What is kept in the log of why it failed.
ANSWERED = gettext_noop("It answered {status}.")
TOO_LATE = gettext_noop("It did not answer in time: {connect_s} s to connect, {total_s} s in all.")
NOT_PUBLIC = gettext_noop("It has no public address.")
NO_ADDRESS = gettext_noop("Its name has no address.")
BAD_CERTIFICATE = gettext_noop("Its TLS certificate is not valid.")
BROKE_OFF = gettext_noop("It could not be reached or broke off: {why}.")
kept.keep(ANSWERED, TOO_LATE, NOT_PUBLIC, NO_ADDRESS, BAD_CERTIFICATE, BROKE_OFF)


class Answer(NamedTuple):
    """`status` is None where there was no answer; `error` says why it is none, or no good one."""

    status: int | None
    error: str
    response: str
    retry_after_s: float
    took_ms: int


def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Raises nothing that depends on the other side. Not for a thread that has a running loop."""
    started = time.monotonic()
    status, error, response, retry_after_s = None, "", "", 0.0
    try:
        status, response, retry_after_s = asyncio.run(_post(url, headers, body))
        if not 200 <= status < 300:
            error = ANSWERED.format(status=status)
    except TimeoutError:
        error = TOO_LATE.format(connect_s=f"{CONNECT_S:g}", total_s=f"{TOTAL_S:g}")
    except (aiohttp.ClientError, OSError, ValueError) as failure:
        error = _explain(failure)
    return Answer(status, error, response, retry_after_s, round((time.monotonic() - started) * 1000))


async def _post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, float]:
    may_be_called = allowed(private=settings.PRIVATE_WEBHOOKS)
    check_literal(url, may_be_called)
    resolver = CheckingResolver(aiohttp.ThreadedResolver(), may_be_called)
    sent = {**headers, "Content-Type": "application/json", "User-Agent": "NexusGateway-Webhooks/1.0"}
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, force_close=True),
        timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        # A small answer that unpacks to a large one stays small.
        auto_decompress=False,
    )
    async with session, session.post(url, data=body, headers=sent, allow_redirects=False) as response:
        read = b""
        # The status is what counts: who answered 200 has taken it, and however the rest comes.
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            read = await _read(response)
        return response.status, _text(read), _seconds(response.headers.get("Retry-After", ""))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """What there is, up to the limit; the rest is not asked for."""
    read = b""
    while len(read) < READ_BYTES and (piece := await response.content.read(READ_BYTES - len(read))):
        read += piece
    return read


def _text(read: bytes) -> str:
    """Postgres takes no NUL."""
    return read[: 4 * RESPONSE_LENGTH].decode(errors="replace").replace("\0", "�")[:RESPONSE_LENGTH]


def _seconds(retry_after: str) -> float:
    """Dates are not worth a wrong clock."""
    return min(float(retry_after), LONGEST_RETRY_AFTER_S) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _explain(failure: Exception) -> str:
    """In our words: the library's hold addresses and names of this network."""
    if isinstance(failure, PrivateAddress) or isinstance(failure.__cause__, PrivateAddress):
        return NOT_PUBLIC
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return NO_ADDRESS
    if isinstance(failure, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return BAD_CERTIFICATE
    return BROKE_OFF.format(why=type(failure).__name__)
