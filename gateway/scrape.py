"""`GET /metrics` for Prometheus, at the edge: `Host` may be anything, as a scraper asks each process by its address.

Shown to whoever has NEXUS_METRICS_TOKEN, and to this machine when no proxy stands between. Others learn nothing.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import MutableMapping
from typing import Any

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from analytics.gauges import BookGauges
from gateway.types import Reply

PATH = "/metrics"
# Whoever set one of these asked on behalf of another.
FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip")
_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


def answer(scope: MutableMapping[str, Any]) -> Reply:
    headers = dict(scope["headers"])
    if not may_read(scope.get("client"), headers):
        return Reply(404, _TEXT, b"Not found.\n")
    if scope["method"] not in {"GET", "HEAD"}:
        return Reply(405, [*_TEXT, (b"allow", b"GET, HEAD")], b"Only GET is answered here.\n")
    return Reply(200, [(b"content-type", CONTENT_TYPE_LATEST.encode())], exposition())


def may_read(client: tuple[str, int] | None, headers: dict[bytes, bytes]) -> bool:
    token = settings.METRICS_TOKEN.encode()
    if token and hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + token):
        return True
    if client is None or any(name in headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


# Not a process' own, so never added up.
_BOOKS = CollectorRegistry()
_BOOKS.register(BookGauges())


def exposition() -> bytes:
    """Of all web processes of this copy, where there are several (nexus.stack); else of this one. And of the books."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY) + generate_latest(_BOOKS)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry) + generate_latest(_BOOKS)
