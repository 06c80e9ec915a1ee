"""How everything but the access log is logged: one JSON object a line, with the request, tenant, key and trace that it
belongs to, and without secrets. `gateway.access` has a line for each request.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from nexus.masking import mask
from tenants import visits

FORMATS: tuple[str, ...] = ("json", "text")
LEVELS: tuple[str, ...] = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# What of a record is for programs: never a secret, and never masked.
_OWN = frozenset({"level", "at", "request_id", "trace_id", "tenant", "key"})


def settings_of(format: str, level: str) -> dict[str, Any]:
    """Django's LOGGING. Every process of ours is configured by it: web, workers, beat, embedder, commands."""
    through_root = {"handlers": [], "propagate": True, "level": "NOTSET"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"()": "nexus.logs.Formatter", "format": format}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "own"}},
        "loggers": {
            # Two lines for each call, and one for each request: ours say as much.
            "stripe": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "django.channels.server": {"level": "WARNING"},
            # Of a collector that is away: each batch that was lost, not each attempt.
            "opentelemetry": {"level": "ERROR"},
            # They come with formats of their own.
            "uvicorn": through_root,
            "uvicorn.error": through_root,
            "uvicorn.access": {"handlers": [], "propagate": False, "level": "CRITICAL"},
            "django": through_root,
            "django.server": through_root,
            "daphne": through_root,
        },
        "root": {"handlers": ["console"], "level": level},
    }


class Formatter(structlog.stdlib.ProcessorFormatter):
    """Of one line. In the text format, too, nobody's message can look like a line of its own."""

    def __init__(self, format: str = "json") -> None:
        render: Processor = _as_text if format == "text" else _as_json
        super().__init__(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exception,
                _masked,
                render,
            ],
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(allow=EXTRA)],
            # A record's own text: whatever it is, it is logged.
            use_get_message=True,
        )


# Of records' `extra`, what is known to be fit for a log: others hold requests and people.
EXTRA = ("status_code", "task", "task_id")


def _context(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """What is being worked on; without asking anything of anyone."""
    visit = visits.CURRENT.get()
    if visit is None:
        return event
    event["request_id"] = visit.request_id
    if visit.tenant_id is not None:
        event["tenant"] = visit.tenant_id
    if visit.key:
        event["key"] = visit.key
    if visit.trace is not None:
        event["trace_id"] = visit.trace.id
    return event


def _exception(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    return structlog.processors.format_exc_info(logger, name, event)


def _masked(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    return {name: value if name in _OWN else _masked_value(value) for name, value in event.items()}


def _masked_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(value if isinstance(value, str) else repr(value))


def _as_json(logger: WrappedLogger, name: str, event: EventDict) -> str:
    told = {"log": event.pop("logger", ""), "at": event.pop("at"), "level": event.pop("level"), **event}
    try:
        return orjson.dumps(told).decode()
    except TypeError:
        # Half a character, which Python's texts may hold and UTF-8 may not.
        return orjson.dumps({name: _fit(value) for name, value in told.items()}).decode()


def _fit(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _as_text(logger: WrappedLogger, name: str, event: EventDict) -> str:
    at, level, told = event.pop("at"), event.pop("level").upper(), _one_line(str(event.pop("event", "")))
    traceback = event.pop("exception", "")
    source = event.pop("logger", "")
    context = " ".join(f"{name}={_one_line(str(value))}" for name, value in event.items())
    line = f"{at} {level} {source} {told}" + (f"  [{context}]" if context else "")
    return f"{line}\n{traceback}" if traceback else line


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


_SHARED: list[Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True, key="at"),
    _context,
]


def apply(logging_settings: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG. structlog's own loggers go the way of all others, and so does what nobody has caught."""
    logging.config.dictConfig(logging_settings)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    if not sys.stderr.isatty():
        sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("nexus").critical("the process ends with an error", exc_info=(kind, error, trace))
