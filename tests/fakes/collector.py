"""An OpenTelemetry collector on loopback: takes spans by OTLP over HTTP, and keeps them."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATIENCE_S = 90.0


class Told(NamedTuple):
    """One span, as it arrived."""

    service: str
    name: str
    kind: str
    trace_id: str
    id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool
    links: list[str]
    raw: str


class Collector:
    def __init__(self) -> None:
        self._spans: list[Told] = []
        self._changed = threading.Condition()
        self.url = ""

    @property
    def spans(self) -> list[Told]:
        with self._changed:
            return list(self._spans)

    def take(self, body: bytes) -> None:
        found = [
            _told(span, str(_value_of(resource, "service.name")))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._changed:
            self._spans += found
            self._changed.notify_all()

    def wait_for(self, done: Callable[[list[Told]], bool]) -> list[Told]:
        """All spans, once they are as they should be."""
        until = time.monotonic() + PATIENCE_S
        with self._changed:
            while not done(self._spans):
                left_s = until - time.monotonic()
                assert left_s > 0, f"these came: {[(span.service, span.name) for span in self._spans]}"
                self._changed.wait(left_s)
            return list(self._spans)

    def trace_of(self, request_id: str, *names: str) -> list[Told]:
        """All spans of that request's trace, once spans of these names are among them."""

        def of_request(spans: list[Told]) -> list[Told]:
            ids = {span.trace_id for span in spans if span.attributes.get("nexus.request_id") == request_id}
            return [span for span in spans if span.trace_id in ids]

        def done(spans: list[Told]) -> bool:
            found = {span.name for span in of_request(spans)}
            return bool(found) and found.issuperset(names)

        return of_request(self.wait_for(done))


def _value_of(resource: Any, name: str) -> Any:
    return next((_plain(each.value) for each in resource.resource.attributes if each.key == name), None)


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def _told(span: Any, service: str) -> Told:
    return Told(
        service,
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        {each.key: _plain(each.value) for each in span.attributes},
        span.status.code == Status.STATUS_CODE_ERROR,
        [link.trace_id.hex() for link in span.links],
        str(span),
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
