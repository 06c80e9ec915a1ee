"""A worker in a process of its own: it logs as the web processes do, and its tasks belong to who asked for them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from analytics.tasks import drain_usage
from tenants import trace_export, tracing, visits
from tests import servers
from tests.fakes.collector import Collector, collecting
from tests.told import lines_of

RUN, SEND = "run analytics.tasks.drain_usage", "send analytics.tasks.drain_usage"


class Worker(NamedTuple):
    queue: str
    log: Path
    collector: Collector


@pytest.fixture
def worker(database: None, tmp_path: Path) -> Iterator[Worker]:
    """With a queue of its own: what other tests leave is not its business."""
    queue, log = f"told-{uuid.uuid4().hex}", tmp_path / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "nexus", "worker", "--concurrency", "1", "-Q", queue]
    with collecting() as collector, log.open("wb") as output:
        environment = {
            **os.environ,
            "DATABASE_URL": servers.test_database_url(),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }
        process = subprocess.Popen(command, cwd=servers.ROOT, env=environment, stdout=output, stderr=output)
        try:
            lines_of(log, lambda line: line["event"].endswith(" ready."))
            yield Worker(queue, log, collector)
        finally:
            process.terminate()
            process.wait(60)


def test_a_workers_task_belongs_to_the_request_that_asked_for_it(
    worker: Worker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", worker.collector.url)
    settings.TRACES_TO, settings.TRACE_RATIO = worker.collector.url, 1.0
    trace_export.start("nexus-gateway")
    request_id = f"worker-{uuid.uuid4().hex}"
    visit = visits.begin(request_id, "POST", "/some/page")
    try:
        tracing.begin(visit, {})
        task_id = drain_usage.apply_async(queue=worker.queue).id
    finally:
        visits.finish(visit)
        tracing.SPAN.set(None)
        visits.CURRENT.set(None)
        trace_export.flush()
    spans = worker.collector.trace_of(request_id, "POST /some/page", SEND, RUN)
    trace_export.stop()
    page, send, run = (next(span for span in spans if span.name == name) for name in ("POST /some/page", SEND, RUN))
    assert (send.parent_id, run.parent_id) == (page.id, send.id)
    assert (run.service, run.kind) == ("nexus-worker", "CONSUMER")
    lines_of(worker.log, lambda line: f"[{task_id}] received" in line["event"])
    plain = [line for line in worker.log.read_text().splitlines() if not line.startswith("{")]
    assert not any(word in line for line in plain for word in ("INFO", "WARNING", "ERROR"))
