"""`GET /metrics` for Prometheus, at the edge: `Host` may be anything, as a scraper asks each process by its address.

Shown to whoever has NEXUS_METRICS_TOKEN, and to this machine when no proxy stands between. Others learn nothing.
Who asks for OpenMetrics is told of exemplars, too: a request of each bucket, by its id and its trace's.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, MutableMapping
from typing import Any

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from analytics.backlog import Backlog
from analytics.kept import Kept
from gateway import exposition
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
    body, media_type = written(headers.get(b"accept", b"").decode("latin-1"))
    return Reply(200, [(b"content-type", media_type.encode())], body)


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


# The installation's, not a process' own, so never added up.
_INSTALLATION = Kept(Backlog())


class _Library(Collector):
    """What is counted by the library: of this process, with its memory and CPU; or of several."""

    def collect(self) -> Iterable[Metric]:
        if exposition.folder() is None:
            yield from REGISTRY.collect()
            return
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        yield from registry.collect()


def written(accept: str = "") -> tuple[bytes, str]:
    """Of all web processes of this copy, where there are several; else of this one. And its media type."""
    registry = CollectorRegistry()
    registry.register(_Library())
    registry.register(_INSTALLATION)
    write, media_type = choose_encoder(accept)
    by_library, openmetrics = write(registry), media_type.startswith("application/openmetrics-text")
    own = "".join(exposition.lines(openmetrics=openmetrics)).encode()
    return own + by_library, media_type
