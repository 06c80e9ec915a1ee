"""OpenTelemetry's SDK, where spans are collected and sent by OTLP over HTTP. Owns its start and end in a process.

Spans wait in a bounded queue, and a thread sends them: a collector that is away costs calls nothing, and loses spans.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from django.conf import settings

from tenants import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

QUEUE, BATCH, EVERY_MS = 4096, 512, 2_000
# At the end, what is waiting is sent for so long.
LAST_S = 3.0

_provider: TracerProvider | None = None


def start(service: str) -> None:
    """Where a collector is named (OTEL_EXPORTER_OTLP_ENDPOINT). After a fork, not before it: it has a thread."""
    global _provider
    if not settings.TRACES_TO or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(
        # What gets here is sampled already (tenants.tracing).
        sampler=ALWAYS_ON,
        resource=_resource(service),
        span_limits=SpanLimits(max_attributes=64, max_attribute_length=256, max_events=8, max_links=16),
        shutdown_on_exit=False,
    )
    # It reads OTEL_EXPORTER_OTLP_… itself.
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(timeout=LAST_S),
            max_queue_size=QUEUE,
            max_export_batch_size=BATCH,
            schedule_delay_millis=EVERY_MS,
        )
    )
    tracer = provider.get_tracer("nexus")
    tracing.use(tracing.Tracing(tracer, ratio=settings.TRACE_RATIO, trusts_parents=settings.TRACE_PARENTS))
    _provider = provider


def _resource(service: str) -> Resource:
    """As OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say; else by the service's own name."""
    from opentelemetry.sdk.resources import Resource

    found = Resource.create()
    named = not str(found.attributes.get("service.name", "")).startswith("unknown_service")
    return found if named else found.merge(Resource({"service.name": service}))


def stop() -> None:
    """Sends what is waiting, and ends its thread. Blocks, for LAST_S where nobody answers."""
    global _provider
    tracing.use(None)
    if _provider is not None:
        provider, _provider = _provider, None
        # Its own end would wait for each batch in turn.
        ending = threading.Thread(target=provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(LAST_S)


def flush() -> None:
    """Sends what is waiting."""
    if _provider is not None:
        _provider.force_flush(int(LAST_S * 1000))
