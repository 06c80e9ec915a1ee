"""One run of all probes, and what is known of the last one. A leak is an alarm: nothing else is.

Between runs the workspaces are empty. Only one run is under way in an installation.
"""

from __future__ import annotations

import dataclasses
import logging
import time
import urllib.parse

import orjson
from django.conf import settings

from gateway.canaries import workspaces
from gateway.canaries.door import Door, Shut
from gateway.canaries.probes import PROBES
from gateway.canaries.site import Site
from tenants import keyspace
from tenants.db import alone, open_redis
from tenants.provisioning import SlugTaken

logger = logging.getLogger(__name__)

# One of Postgres' advisory locks.
LOCK = 7_203_481
KEPT_S = 7 * 86_400


@dataclasses.dataclass
class Report:
    """`leaks` and `failed` by probe: what was got, and why nothing could be learned."""

    at: float
    url: str
    seconds: float = 0.0
    held: list[str] = dataclasses.field(default_factory=list)
    leaks: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return 2 if self.leaks else 3 if self.failed else 0


def url() -> str:
    return settings.CANARY_URL or settings.PUBLIC_URL


def run() -> Report | None:
    """None while another run is under way."""
    with alone(LOCK) as is_alone:
        if not is_alone:
            return None
        report = Report(time.time(), url())
        _run(report)
        report.seconds = round(time.time() - report.at, 2)
        _tell(report)
        return report


def _run(report: Report) -> None:
    try:
        # So that a gateway which is asked beside its proxy knows the name that it is asked by.
        door = Door(report.url, urllib.parse.urlsplit(settings.PUBLIC_URL).netloc)
        site = Site(door, workspaces.prepare(workspaces.KEEPER), workspaces.prepare(workspaces.ASKER))
        site.plant()
    except (Shut, SlugTaken) as error:
        report.failed = dict.fromkeys(PROBES, str(error))
        return
    try:
        for name in PROBES:
            _try(site, name, report)
        _look_afterwards(site, report)
    finally:
        _clear(site)


def _try(site: Site, name: str, report: Report) -> None:
    got: list[str] = []
    try:
        got += PROBES[name](site)
    except (Shut, KeyError, TypeError, ValueError) as error:
        report.failed[name] = str(error) or type(error).__name__
    if got:
        report.leaks[name] = got
    elif name not in report.failed:
        report.held.append(name)


def _look_afterwards(site: Site, report: Report) -> None:
    """Nothing that the asker did has taken the secret away from its keeper."""
    name = "still_there"
    try:
        site.check()
        report.held.append(name)
    except Shut as error:
        report.leaks[name] = [f"afterwards the keeper's answer is gone, or another one: {error}"]


def _clear(site: Site) -> None:
    try:
        site.clear()
    except Shut as error:
        logger.warning("canaries: the caches were not emptied: %s", error)


def _tell(report: Report) -> None:
    for name, got in report.leaks.items():
        logger.error("canary: what is one workspace's was given to another: %s: %s", name, "; ".join(got))
    for name, why in report.failed.items():
        logger.warning("canary: %s could not be tried: %s", name, why)
    with open_redis(timeout_s=5) as client:
        client.set(keyspace.CANARY, orjson.dumps(dataclasses.asdict(report)), ex=KEPT_S)


def last() -> Report | None:
    """Raises redis.RedisError."""
    with open_redis(timeout_s=2) as client:
        told = client.get(keyspace.CANARY)
    return None if told is None else Report(**orjson.loads(told))
