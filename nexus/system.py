"""How the platform itself does, for the operators' page: queues, books, breakers, workers, versions, migrations.

Each part is read by itself: one that cannot be says so, and the others are shown.
"""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

import redis
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import Count, Max, Min
from django.utils import timezone
from django.utils.translation import gettext

from analytics.figures import count
from billing.models import MeterReport, Reconciliation
from gateway import runtime
from nexus import task_log
from tenants import keyspace
from tenants.db import open_redis
from tenants.models import Tenant

PACKAGES = (
    "Django",
    "django-allauth",
    "django-unfold",
    "celery",
    "channels",
    "dj-stripe",
    "stripe",
    "psycopg",
    "redis",
)
# From then on a figure is marked.
MANY_WAITING, MANY_QUEUED, QUIET_S = 5_000, 500, 60
TIMEOUT_S = 1.0


class Figure(NamedTuple):
    """One line. `is_bad`: somebody should look."""

    name: str
    value: Any
    is_bad: bool = False


class Part(NamedTuple):
    title: str
    figures: list[Figure]


def parts() -> list[Part]:
    read: list[tuple[str, Callable[[], list[Figure]]]] = [
        (gettext("Queues"), _queues),
        (gettext("Workers"), _workers),
        (gettext("Scheduled tasks, last success"), _tasks),
        (gettext("Books"), _books),
        (gettext("Breakers that are not closed, as this process knows"), _breakers),
        (gettext("Migrations"), _migrations),
        (gettext("Services"), _services),
        (gettext("Packages"), _packages),
    ]
    return [Part(title, _safely(figures)) for title, figures in read]


def _safely(read: Callable[[], list[Figure]]) -> list[Figure]:
    try:
        return read()
    except (redis.RedisError, DatabaseError, OSError) as error:
        return [Figure(gettext("Not read"), f"{type(error).__name__}: {error}"[:200], is_bad=True)]


def _queues() -> list[Figure]:
    """Usage that is not booked yet, events that cannot be, and Celery's tasks."""
    streams = [keyspace.usage_stream(partition) for partition in range(keyspace.PARTITIONS)]
    with open_redis(timeout_s=TIMEOUT_S) as client, client.pipeline(transaction=False) as pipe:
        for stream in streams:
            pipe.xlen(stream)
            pipe.xlen(keyspace.dead_letters_of(stream))
        lengths = pipe.execute()
    waiting, dead = sum(lengths[::2]), sum(lengths[1::2])
    queued = _queued()
    longest = max(lengths[::2])
    return [
        Figure(
            gettext("Usage events that wait"),
            gettext("%(number)s, %(longest)s in one stream") % {"number": count(waiting), "longest": count(longest)},
            waiting > MANY_WAITING,
        ),
        Figure(gettext("Dead letters"), count(dead), dead > 0),
        Figure(gettext("Celery tasks that wait"), count(queued), queued > MANY_QUEUED),
    ]


def _queued() -> int:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, protocol=2) as client:
        length: Any = client.llen(f"{options['global_keyprefix']}celery")
    return int(length)


def _workers() -> list[Figure]:
    told = task_log.workers()
    beat = max(told.done.values(), default=None)
    alive = [Figure(name, _moment(at)) for name, at in sorted(told.alive.items())]
    last = Figure(
        gettext("Last success of a scheduled task"),
        gettext("never") if beat is None else _moment(beat),
        _is_old(beat, QUIET_S),
    )
    return [*(alive or [Figure(gettext("Workers alive"), gettext("none"), is_bad=True)]), last]


def _tasks() -> list[Figure]:
    """With a beat of seconds, the time since says whether the beat goes on; the rare ones are given their time."""
    done = task_log.workers().done
    names = sorted({entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()})
    every = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    figures = []
    for name in names:
        seconds = every[name] if isinstance(every[name], int | float) else 2 * 86400.0
        at = done.get(name)
        late = _is_old(at, max(QUIET_S, 5 * seconds)) if at is not None else False
        figures.append(Figure(name, gettext("not yet") if at is None else _moment(at), late))
    return figures


def _books() -> list[Figure]:
    living = Reconciliation.objects.exclude(tenant__status=Tenant.Status.DELETED)
    found = living.aggregate(compared=Count("pk"), drifting=Count("drifting_since"), at=Max("compared_at"))
    since = living.aggregate(at=Min("drifting_since"))["at"]
    unsent = MeterReport.objects.filter(billable=True, sent_at__isnull=True)
    waiting, failed = unsent.count(), unsent.exclude(error="").count()
    return [
        Figure(gettext("Periods compared"), count(found["compared"])),
        Figure(gettext("Books that differ"), count(found["drifting"]), found["drifting"] > 0),
        *([Figure(gettext("Since"), since)] if since else []),
        Figure(gettext("Last comparison"), found["at"] or gettext("never")),
        Figure(
            gettext("Meter reports not at Stripe yet"),
            gettext("%(number)s, %(failed)s with an error") % {"number": count(waiting), "failed": count(failed)},
            failed > 0,
        ),
    ]


def _breakers() -> list[Figure]:
    opened: dict[str, float] | None = async_to_sync(_opened)()
    if opened is None:
        return [Figure(gettext("No call came to this process yet"), "–")]
    return [
        Figure(
            _named(key),
            gettext("open, next try in %(seconds)s s") % {"seconds": round(left)} if left else gettext("half-open"),
            is_bad=True,
        )
        for key, left in sorted(opened.items())
    ] or [Figure(gettext("All closed"), "✓")]


async def _opened() -> dict[str, float] | None:
    gateway = await runtime.running()
    return None if gateway is None else gateway.breakers.opened()


def _named(key: str) -> str:
    """“t5 openai@1/gpt-4o”: a provider's and model's names, and whose they are."""
    owner, _, rest = key.rpartition("b:") if key.count("b:") == 1 else key.partition("b:")
    owned = owner.rstrip(":").rpartition(":")[2]
    return f"{'platform' if owned == 'nexus' else owned} {rest}"


def _migrations() -> list[Figure]:
    loader = MigrationLoader(connection)
    missing = sorted(
        f"{app}.{name}" for app, name in loader.disk_migrations if (app, name) not in loader.applied_migrations
    )
    applied = len(loader.disk_migrations) - len(missing)
    return [
        Figure(gettext("Applied"), count(applied)),
        *(Figure(name, gettext("not applied"), is_bad=True) for name in missing),
    ]


def _services() -> list[Figure]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        postgres = cursor.fetchone()[0]
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        vector = (cursor.fetchone() or ["missing"])[0]
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, protocol=2) as client:
        told: Any = client.info()
    return [
        Figure("Postgres", postgres),
        Figure("pgvector", vector),
        Figure("Redis", f"{told.get('redis_version')}, {told.get('used_memory_human')}"),
        Figure(gettext("Tenants"), count(Tenant.objects.filter(internal=False).count())),
    ]


def _packages() -> list[Figure]:
    versions = [
        Figure("NexusGateway", settings.SPECTACULAR_SETTINGS["VERSION"]),
        Figure("Python", platform.python_version()),
    ]
    return versions + [Figure(name, metadata.version(name)) for name in PACKAGES]


def _moment(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)


def _is_old(at: float | None, after_s: float) -> bool:
    return at is None or timezone.now().timestamp() - at > after_s
