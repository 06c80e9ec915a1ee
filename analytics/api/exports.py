"""Usage records and the ledger: whole as CSV or JSON lines, or a page at a time as JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import exports
from analytics.api.base import AnyAnswer, OwnView, names_of_keys
from analytics.api.ranges import RangeQuery, range_of
from analytics.events import OUTCOMES
from analytics.models import UsageRecord
from billing.models import LedgerEntry, Subscription
from billing.periods import period_at
from tenants.authentication import MayManage
from tenants.bodies import Body
from tenants.db import schema_of
from tenants.management_views import printable, read
from tenants.models import ApiKey, Tenant
from tenants.paging import Order

MAX_LIMIT = 1_000
# Columns of the tables; “key” is the public id of `key_id`.
RECORD_COLUMNS = (
    "id", "request_id", "at", "period_start", "key", "dialect", "stream", "outcome", "coalesced", "stale", "status",
    "error", "provider", "simulated", "model", "upstream_model", "variant", "tags", "prompt_tokens",
    "completion_tokens", "billed_tokens", "token_details", "cost_usd", "saved_usd", "shadow_saved_usd",
    "paid_by_platform", "latency_ms", "first_token_ms", "provider_ms", "similarity", "entry_id",
)  # fmt: skip
LEDGER_COLUMNS = (
    "id", "created_at", "day", "period_start", "kind", "key", "batch", "requests", "tokens", "cost_usd", "saved_usd",
    "platform_cost_usd", "unpriced", "note",
)  # fmt: skip


class Table(NamedTuple):
    """`name` begins the file's."""

    name: str
    columns: tuple[str, ...]
    order: Order


RECORDS = Table("usage", RECORD_COLUMNS, Order("usage-records", ["at", "id"]))
LEDGER = Table("ledger", LEDGER_COLUMNS, Order("ledger", ["period_start", "id"]))


class ExportFields(Body):
    """What both have besides their filters."""

    format = serializers.ChoiceField(["json", "jsonl", "csv"], default="json", help_text="Only json has pages.")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=100, help_text="Of a page.")
    cursor = serializers.CharField(max_length=400, required=False, help_text="`next` of the page before.")
    key = serializers.CharField(max_length=32, required=False, validators=[printable], help_text="A key's id.")


class RecordsQuery(ExportFields, RangeQuery):
    model = serializers.CharField(max_length=120, required=False, validators=[printable], help_text="As asked for.")
    outcome = serializers.ChoiceField(OUTCOMES, required=False)
    status = serializers.IntegerField(min_value=100, max_value=599, required=False)
    tag = serializers.CharField(max_length=64, required=False, validators=[printable])
    request_id = serializers.CharField(max_length=128, required=False, validators=[printable])


class LedgerQuery(ExportFields):
    period = serializers.CharField(
        max_length=10, required=False, help_text="“current”, or the day on which it began; all without it."
    )
    kind = serializers.ChoiceField(LedgerEntry.Kind.choices, required=False)


class RecordSerializer(serializers.ModelSerializer[UsageRecord]):
    key = serializers.CharField(help_text="The key's id.")
    cost_usd = serializers.CharField(allow_null=True, help_text="Null: the model has no known price.")
    saved_usd = serializers.CharField(allow_null=True)
    shadow_saved_usd = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(), allow_null=True)
    token_details = serializers.DictField(child=serializers.IntegerField(), allow_null=True)

    class Meta:
        model = UsageRecord
        fields = RECORD_COLUMNS


class LedgerEntrySerializer(serializers.ModelSerializer[LedgerEntry]):
    key = serializers.CharField(help_text="The key's id; empty for adjustments.")

    class Meta:
        model = LedgerEntry
        fields = LEDGER_COLUMNS


class RecordsSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = RecordSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


class LedgerSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = LedgerEntrySerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


def _answers(serializer: type[serializers.Serializer[Any]]) -> dict[Any, Any]:
    return {
        (200, "application/json"): serializer,
        (200, "application/x-ndjson"): OpenApiTypes.STR,
        (200, "text/csv"): OpenApiTypes.STR,
    }


def as_file(
    tenant: Tenant, table: Table, found: QuerySet[Any], *, format: str, accept_encoding: str
) -> StreamingHttpResponse:
    """All that was found, to take away. `accept_encoding` is the request's header."""
    compress = exports.takes_gzip(accept_encoding)
    export = exports.Export(table.columns, _pages(tenant, table, found), format=format, compress=compress)
    headers = {
        "Content-Disposition": f'attachment; filename="{table.name}-{tenant.slug}.{format}"',
        "Vary": "Accept-Encoding",
    }
    if compress:
        headers["Content-Encoding"] = "gzip"
    media_type = exports.MEDIA_TYPES[format]
    return StreamingHttpResponse(export.blocks(export.block()), content_type=media_type, headers=headers)


def _pages(tenant: Tenant, table: Table, found: QuerySet[Any]) -> exports.ReadPage:
    def read_page(place: Sequence[Any] | None) -> tuple[list[exports.Row], Sequence[Any] | None]:
        with schema_of(tenant):
            rows = list(table.order.after(found, place)[: exports.ROWS])
            ended = len(rows) < exports.ROWS
            return _rows(rows, table.columns), None if ended else table.order.place_of(rows[-1])

    return read_page


class ExportView(OwnView):
    content_negotiation_class = AnyAnswer
    table: Table

    def answer(self, request: Request, query: dict[str, Any], found: QuerySet[Any]) -> HttpResponseBase:
        if query["format"] != "json":
            accepted = request.headers.get("Accept-Encoding", "")
            return as_file(self.key.tenant, self.table, found, format=query["format"], accept_encoding=accepted)
        with self.reading():
            rows, after = self.table.order.page(found, query["limit"], query.get("cursor"))
            shown = _rows(rows, self.table.columns)
        data = [{name: exports.plain(row[name]) for name in self.table.columns} for row in shown]
        page: HttpResponseBase = Response({"object": "list", "data": data, "next": after})
        return page

    def key_asked_for(self, query: dict[str, Any]) -> int | None:
        """None: all keys. Raises ValidationError."""
        if "key" not in query:
            return self.own_key_id
        keys = ApiKey.objects.filter(tenant=self.key.tenant, public_id=query["key"])
        if self.own_key_id is not None:
            keys = keys.filter(pk=self.own_key_id)
        if (key := keys.first()) is None:
            raise ValidationError({"key": "There is no such key, or this one may not see what was asked with it."})
        return key.pk


def _rows(rows: Sequence[Any], columns: Sequence[str]) -> list[exports.Row]:
    keys = names_of_keys(row.key_id for row in rows)
    return [{name: keys[row.key_id][0] if name == "key" else getattr(row, name) for name in columns} for row in rows]


class RecordsView(ExportView):
    """Request by request, oldest first. No record holds a prompt or an answer."""

    table = RECORDS

    @extend_schema(operation_id="usage_records", parameters=[RecordsQuery], responses=_answers(RecordsSerializer))
    def get(self, request: Request) -> HttpResponseBase:
        query = read(RecordsQuery(data=request.query_params.dict()))
        start, end, _ = range_of(query)
        same = {name: query[name] for name in ("model", "outcome", "status", "request_id") if name in query}
        found = UsageRecord.objects.filter(at__gte=start, at__lt=end, **same)
        if (key_id := self.key_asked_for(query)) is not None:
            found = found.filter(key_id=key_id)
        if "tag" in query:
            found = found.filter(tags__contains=[query["tag"]])
        return self.answer(request, query, found)


class LedgerView(ExportView):
    """The ledger, whose sums are what is billed. Rows are only ever added."""

    permission_classes = (MayManage,)
    table = LEDGER

    @extend_schema(operation_id="ledger", parameters=[LedgerQuery], responses=_answers(LedgerSerializer))
    def get(self, request: Request) -> HttpResponseBase:
        query = read(LedgerQuery(data=request.query_params.dict()))
        found = LedgerEntry.objects.filter(tenant=self.key.tenant)
        if "kind" in query:
            found = found.filter(kind=query["kind"])
        if (key_id := self.key_asked_for(query)) is not None:
            found = found.filter(key_id=key_id)
        if "period" in query:
            found = self._of_period(found, query["period"])
        return self.answer(request, query, found)

    def _of_period(self, found: QuerySet[LedgerEntry], period: str) -> QuerySet[LedgerEntry]:
        """Raises ValidationError."""
        if period == "current":
            anchor = Subscription.objects.get(tenant=self.key.tenant).anchor_at
            return found.filter(period_start=period_at(anchor, timezone.now()).start)
        try:
            day = dt.datetime.combine(dt.date.fromisoformat(period), dt.time(), dt.UTC)
            return found.filter(period_start__gte=day, period_start__lt=day + dt.timedelta(days=1))
        except (ValueError, OverflowError):
            raise ValidationError({"period": "Write “current”, or a date such as 2026-11-01."}) from None
