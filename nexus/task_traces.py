"""Celery's tasks belong to the request that asked for them: its id and its trace go with the message, and the task's
log lines and spans have them. Tasks that the clock sets off belong to none.
"""

from __future__ import annotations

from contextvars import Token
from typing import Any

from celery.signals import (
    before_task_publish,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
)

from tenants import trace_export, tracing, visits
from tenants.tracing import CONSUMER, PRODUCER, Span
from tenants.visits import Visit

# In a message's headers.
REQUEST, TENANT, PARENT = "nexus_request_id", "nexus_tenant", "traceparent"

# Of the tasks that run in this process, by their id.
_running: dict[str, tuple[Token[Visit | None], Span | None]] = {}


def hand_over(sender: str, headers: dict[str, Any], **_: Any) -> None:
    """What asks for a task now, told to whoever runs it. `sender` is the task's name."""
    visit = visits.CURRENT.get()
    if visit is None:
        return
    headers[REQUEST] = visit.request_id
    headers[TENANT] = visit.tenant_id
    with tracing.span(f"send {sender}", PRODUCER) as span:
        if span:
            span.tell({"messaging.system": "celery", "messaging.operation.name": "send"})
            headers[PARENT] = tracing.traceparent()


def take_over(task_id: str, task: Any, **_: Any) -> None:
    request = task.request
    visit = Visit(getattr(request, REQUEST, None) or task_id, "TASK", task.name)
    visit.tenant_id = getattr(request, TENANT, None)
    followed = tracing.follow(f"run {task.name}", getattr(request, PARENT, None), CONSUMER)
    span: Span | None = None
    if isinstance(followed, Span):
        span = followed.__enter__()
        span.tell(
            {
                "messaging.system": "celery",
                "messaging.operation.name": "process",
                "messaging.message.id": task_id,
                "nexus.request_id": visit.request_id,
            }
        )
        visit.trace = span.trace
    _running[task_id] = visits.CURRENT.set(visit), span


def leave(task_id: str, state: str | None = None, **_: Any) -> None:
    known = _running.pop(task_id, None)
    if known is None:
        return
    token, span = known
    visits.CURRENT.reset(token)
    if span is not None:
        span.leave(failed=state == "FAILURE")


def start(**_: Any) -> None:
    trace_export.start("nexus-worker")


def stop(**_: Any) -> None:
    trace_export.stop()


before_task_publish.connect(hand_over)
task_prerun.connect(take_over)
task_postrun.connect(leave)
worker_process_init.connect(start)
worker_process_shutdown.connect(stop)
