"""The checks of `nexus.startup`, one function each. They read; they change nothing but a file of their own."""

from __future__ import annotations

import ipaddress
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.db.utils import OperationalError
from django.http.request import validate_host

from gateway.cache.embedding import choose, recipe
from gateway.models import Provider
from nexus.prepare import pending_schemas
from nexus.startup import ROLES, Away, Check, Wrong
from tenants import cluster, secretbox
from tenants.db import schema_of
from tenants.models import Tenant

OLDEST_POSTGRES, OLDEST_REDIS = 15, (6, 2)
# Tokens, periods and limits are counted by several machines' clocks.
MOST_SKEW_S = 5.0
# Keys that open these open all: those that cannot be opened are rarely alone.
TENANTS_LOOKED_AT = 20
UPGRADE = "run “python -m nexus.upgrade”"


def postgres() -> None:
    try:
        connection.ensure_connection()
    except (OperationalError, psycopg.Error) as error:
        reason = str(error).strip().splitlines()[-1]
        if "password authentication failed" in reason or "does not exist" in reason:
            raise Wrong(f"DATABASE_URL is refused ({reason}): correct its user, password or database.") from error
        raise Away(f"Postgres cannot be reached ({reason}): start it, or correct DATABASE_URL.") from error
    version = connection.cursor().connection.info.server_version // 10_000
    if version < OLDEST_POSTGRES:
        raise Wrong(f"DATABASE_URL leads to Postgres {version}: {OLDEST_POSTGRES} or later is needed.")
    if not _rows("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
        raise Wrong("Postgres has no pgvector: install it there (the package postgresql-…-pgvector), then start again.")


def clock() -> None:
    ((theirs,),) = _rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    skew_s = abs(theirs - time.time())
    if skew_s > MOST_SKEW_S:
        raise Wrong(f"This machine's clock and Postgres' differ by {skew_s:.0f} s: set both by NTP.")


def migrations() -> None:
    """Those of this release; more than these are a later one's, which is how an upgrade goes."""
    public, tenants = pending_schemas()
    if public or tenants:
        what = "The shared tables lack" if public else f"{tenants:,} workspaces' tables lack"
        raise Wrong(f"{what} migrations of this release: {UPGRADE}.")


def redis_server() -> None:
    for name, client in _redises():
        with client:
            try:
                told: dict[str, Any] = client.info()
                seconds, _ = client.time()
            except redis.AuthenticationError as error:
                raise Wrong(f"{name} is refused ({error}): correct its user or password.") from error
            except redis.RedisError as error:
                raise Away(f"Redis cannot be reached ({error}): start it, or correct {name}.") from error
        _check_redis(name, told)
        if abs(seconds - time.time()) > MOST_SKEW_S:
            raise Wrong(f"This machine's clock and that of {name} differ: set both by NTP.")


def _check_redis(name: str, told: dict[str, Any]) -> None:
    version = tuple(int(part) for part in str(told["redis_version"]).split(".")[:2])
    if version < OLDEST_REDIS:
        raise Wrong(f"{name} leads to Redis {told['redis_version']}: 6.2 or later is needed.")
    policy = told.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise Wrong(f"{name}: maxmemory-policy is {policy}, and usage would be thrown away: set it to noeviction.")
    if not told.get("aof_enabled"):
        raise Wrong(f"{name}: appendonly is off, and a restart would lose usage not yet booked: set it to yes.")
    if told.get("role") == "slave":
        raise Wrong(f"{name} leads to a replica, which takes no writes: name the primary.")


def _redises() -> Iterator[tuple[str, redis.Redis]]:
    timeouts: dict[str, Any] = {"socket_timeout": 3, "socket_connect_timeout": 3, "protocol": 2}
    yield "REDIS_URL", redis.Redis.from_url(settings.REDIS_URL, **timeouts)
    address = cluster.parse(settings.REDIS_CLUSTER)
    for host, port in address.nodes if address else ():
        assert address is not None
        node = redis.Redis(
            host, port, username=address.username, password=address.password, ssl=address.tls, **timeouts
        )
        yield "NEXUS_REDIS_CLUSTER", node


def encryption() -> None:
    """What some workspaces have stored is opened, and put away again."""
    if not _rows("SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND tablename = 'tenants_tenant'"):
        return
    newest = Tenant.objects.filter(status=Tenant.Status.ACTIVE).order_by("-pk")[:TENANTS_LOOKED_AT]
    for tenant in newest:
        with schema_of(tenant):
            sealed = Provider.objects.exclude(credential=b"").values_list("credential", flat=True).first()
        if sealed is None:
            continue
        try:
            secretbox.open_sealed(bytes(sealed))
        except secretbox.Unreadable:
            raise Wrong(
                f"NEXUS_ENCRYPTION_KEYS do not open what is stored (workspace {tenant.slug}): "
                "put the key back with which it was stored, after the new one."
            ) from None


def addresses() -> None:
    url = urllib.parse.urlsplit(settings.PUBLIC_URL)
    host = url.hostname or ""
    if url.scheme not in {"http", "https"} or not host or url.path.strip("/"):
        raise Wrong(f"NEXUS_PUBLIC_URL={settings.PUBLIC_URL} must look like https://gateway.example.com.")
    if url.scheme == "http" and not _is_local(host):
        raise Wrong(f"NEXUS_PUBLIC_URL={settings.PUBLIC_URL} has keys sent in the clear: use https.")
    if "*" in settings.ALLOWED_HOSTS:
        raise Wrong("NEXUS_ALLOWED_HOSTS=* lets anybody choose the host in links: name the hosts.")
    if not validate_host(host, settings.ALLOWED_HOSTS):
        raise Wrong(f"NEXUS_ALLOWED_HOSTS lacks {host}, the host of NEXUS_PUBLIC_URL: add it.")
    if settings.DEBUG and not _is_local(host):
        raise Wrong("NEXUS_DEBUG is on where strangers can see its pages: turn it off.")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def model() -> None:
    choice = choose.parse(
        settings.EMBEDDER, openai_api_key=settings.OPENAI_API_KEY, openai_base_url=settings.OPENAI_BASE_URL
    )
    if choice.kind != "local":
        return
    _require_model()


def embedder_model() -> None:
    """The service serves the model whatever gateways choose."""
    _require_model()


def _require_model() -> None:
    if (settings.MODEL_DIR / f"{recipe.NAME}.onnx").exists():
        return
    if not _may_write(settings.MODEL_DIR):
        raise Wrong(
            f"NEXUS_MODEL_DIR={settings.MODEL_DIR} has no built model, and it cannot be built there: name the folder "
            "that “python -m gateway.cache.embedding.build --cache-dir …” has filled, or set NEXUS_EMBEDDER."
        )


def spool() -> None:
    if not _may_write(settings.SPOOL_DIR):
        raise Wrong(f"NEXUS_SPOOL_DIR={settings.SPOOL_DIR} cannot be written: usage would be lost while Redis is away.")


def _may_write(folder: Any) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".startup-"):
            return True
    except OSError:
        return False


def static_files() -> None:
    if not (settings.STATIC_ROOT / "staticfiles.json").exists():
        raise Wrong(f"{settings.STATIC_ROOT} has no static files: run “python manage.py collectstatic --noinput”.")


def _rows(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[Any] = cursor.fetchall()
        return rows


_SERVERS = ("gateway", "web")
_WITH_TABLES = (*_SERVERS, "worker", "beat")
CHECKS = [
    Check("addresses", addresses, ROLES),
    Check("postgres", postgres, (*_WITH_TABLES, "upgrade")),
    Check("redis", redis_server, (*_WITH_TABLES, "upgrade")),
    Check("clock", clock, (*_WITH_TABLES, "upgrade")),
    Check("migrations", migrations, _WITH_TABLES),
    Check("encryption keys", encryption, (*_SERVERS, "worker")),
    Check("model", model, _SERVERS),
    Check("model", embedder_model, ("embedder",)),
    Check("spool", spool, _SERVERS),
    Check("static files", static_files, _SERVERS),
]
