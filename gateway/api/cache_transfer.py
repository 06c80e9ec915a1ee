"""Warm-up, import and export of the cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, BinaryIO

from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from psycopg import Error
from psycopg_pool import PoolTimeout
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gateway import admission, errors, runtime
from gateway.api.base import checked
from gateway.api.cache_rows import BadRows, KeptRow, QuestionRow, RequestRow, Row, read
from gateway.cache import transfer
from gateway.cache.entries import Entry
from gateway.types import Reply
from gateway.views import DataPlaneView
from tenants import roles
from tenants.authentication import KEY, lacks
from tenants.bodies import Body, JsonParser, TooLarge
from tenants.management_views import ManagementView, Unavailable
from tenants.principal import Principal
from tenants.roles import Action


class JsonLinesParser(JsonParser):
    """The body as it is: lines, or one array."""

    media_type = "application/x-ndjson"

    def parse(self, stream: BinaryIO, media_type: str | None = None, parser_context: Any = None) -> bytes:
        body = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(body) > settings.MAX_BODY_BYTES:
            raise TooLarge(f"The body may have up to {settings.MAX_BODY_BYTES:,} bytes; send the rest in another call.")
        return body


class JsonArrayParser(JsonLinesParser):
    media_type = "application/json"


class ImportedSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    rows = serializers.IntegerField()
    stored = serializers.IntegerField()
    kept_pinned = serializers.IntegerField(help_text="Left alone: another answer is pinned, and the row is not to be.")
    expired = serializers.IntegerField(help_text="Left out: past their time.")
    embedded = serializers.IntegerField(help_text="May answer what means the same from now on.")
    waiting = serializers.IntegerField(help_text="Will be able to within minutes, and answer the same request now.")


_ROWS = PolymorphicProxySerializer(
    component_name="CacheImportRow",
    serializers=[QuestionRow, RequestRow, KeptRow],
    resource_type_field_name=None,
    many=True,
)


class CacheImportView(ManagementView):
    """Puts answers into the cache before anybody asks: questions, requests, or an export of this workspace."""

    action = Action.CACHE

    parser_classes = (JsonLinesParser, JsonArrayParser)

    @extend_schema(
        operation_id="import_cache",
        request={"application/json": _ROWS, "application/x-ndjson": OpenApiTypes.STR},
        responses=ImportedSerializer,
    )
    def post(self, request: Request) -> Response:
        """All rows or none; the same rows again change nothing but times."""
        body = request.data if isinstance(request.data, bytes) else b""
        try:
            found = read(body)
            result = async_to_sync(bring_in)(transfer.principal_of(self.key.tenant), found)
        except BadRows as error:
            raise ValidationError(str(error)) from error
        except errors.Unavailable as error:
            raise Unavailable(error.message) from error
        answer = {"object": "cache.import", **result._asdict()}
        self.record("cache.imported", "cache", after=answer)
        return Response(answer)


async def bring_in(principal: Principal, rows: Sequence[Row]) -> transfer.Result:
    """Raises BadRows, Unavailable."""
    gateway = await runtime.current()
    setup = await gateway.setups.of(principal)
    bad: list[tuple[int, str]] = []
    lines: dict[str, int] = {}
    found: list[Entry] = []
    expired = 0
    for row in rows:
        # A file is long, and other requests wait.
        await asyncio.sleep(0)
        try:
            if row.request:
                entry = await transfer.entry_from_request(gateway, principal, row.values)
            else:
                stale_s = setup.rules_of(row.values["model"]).keep_stale_s
                entry = transfer.entry_as_kept(principal, row.values, stale_s)
        except errors.Unavailable:
            raise
        except errors.GatewayError as error:
            bad.append((row.line, error.message))
            continue
        if (before := lines.setdefault(entry.fingerprint, row.line)) != row.line:
            bad.append((row.line, f"the same request as in line {before}"))
        elif not row.request and not entry.pinned and row.values["expires_at"] <= timezone.now():
            expired += 1
        else:
            found.append(entry)
    if bad:
        raise BadRows(bad)
    return await transfer.put(gateway, principal, found, expired)


class ExportQuery(Body):
    tag = serializers.CharField(max_length=64, required=False)
    namespace = serializers.CharField(max_length=64, allow_blank=True, required=False, help_text="Empty: of none.")
    model = serializers.CharField(max_length=120, required=False, help_text="As apps ask for it.")


class CacheExportView(DataPlaneView):
    """The kept answers as JSON lines, which the import takes."""

    @extend_schema(
        operation_id="export_cache",
        auth=KEY,
        parameters=[ExportQuery],
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR},
    )
    async def get(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        gateway = await runtime.current()
        principal = await admission.authenticate(gateway, headers)
        if not roles.does(principal.scopes, Action.CONTENT):
            raise errors.Forbidden(lacks(Action.CONTENT))
        query = checked(ExportQuery(data=request.GET.dict()))
        blocks = transfer.taken_out(gateway.pool, principal.schema, query)
        try:
            # What fails now is still an error.
            first = await anext(blocks, b"")
        except (Error, PoolTimeout) as error:
            raise errors.Unavailable("The database cannot be reached; try again.", retry_after_s=2) from error
        kind = [(b"content-type", b"application/x-ndjson"), (b"x-request-id", request_id.encode())]
        return Reply(200, kind, _joined(first, blocks))


async def _joined(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for block in others:
        yield block
