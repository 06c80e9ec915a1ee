"""Records and ledger as files and pages: whole, in order, and with the sums that everything else says."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import uuid
from decimal import Decimal
from typing import Any

import httpx2
import orjson
import pytest
from django.db.models import Sum

from analytics import exports
from analytics.api.exports import LEDGER_COLUMNS, RECORD_COLUMNS
from analytics.models import UsageRecord
from billing.models import LedgerEntry
from tenants import apikeys
from tenants.db import schema_of
from tests.booked import NOON, at, book, week
from tests.conftest import Workspace
from tests.management import call, manages, refused
from tests.usage import miss

FROM_TO = f"from={NOON.date()}&to={NOON.date() + dt.timedelta(days=1)}"


@pytest.fixture
def used(admin: Workspace) -> Workspace:
    week(admin)
    return admin


def download(server: str, workspace: Workspace, path: str, **headers: str) -> httpx2.Response:
    # As it comes: the client would unpack it.
    headers = {"Authorization": f"Bearer {workspace.key}", "Accept-Encoding": "identity", **headers}
    return httpx2.get(f"{server}{path}", headers=headers, timeout=60)


def rows_of(answer: httpx2.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def pages(workspace: Workspace, path: str, between: Any = lambda: None) -> list[dict[str, Any]]:
    rows, cursor = [], ""
    while True:
        page = call(workspace, "GET", f"{path}{cursor}").json()
        rows += page["data"]
        if page["next"] is None:
            return rows
        cursor = f"&cursor={page['next']}"
        between()


def test_every_column_is_exported_and_none_else() -> None:
    for model, columns in ((UsageRecord, RECORD_COLUMNS), (LedgerEntry, LEDGER_COLUMNS)):
        names = {field.name for field in model._meta.concrete_fields} - {"tenant"}
        assert {"key_id" if name == "key" else name for name in columns} == names


def test_a_csv_has_the_sums_of_the_costs_and_the_ledger(server: str, used: Workspace) -> None:
    answer = download(server, used, f"/api/usage/records?format=csv&{FROM_TO}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="usage-{used.tenant.slug}.csv"'
    rows = rows_of(answer)
    assert tuple(rows[0]) == RECORD_COLUMNS and len(rows) == 6
    ledger = rows_of(download(server, used, "/api/billing/ledger?format=csv"))
    assert tuple(ledger[0]) == LEDGER_COLUMNS
    totals = call(used, "GET", f"/v1/usage/costs?{FROM_TO}").json()["totals"]
    booked = LedgerEntry.objects.filter(tenant=used.tenant).aggregate(c=Sum("cost_usd"), s=Sum("saved_usd"))
    for name, of_ledger in (("cost_usd", booked["c"]), ("saved_usd", booked["s"])):
        sums = [sum(Decimal(row[name] or 0) for row in table) for table in (rows, ledger)]
        assert sums == [Decimal(totals[name]), of_ledger]
    assert sum(int(row["requests"]) for row in ledger) == totals["requests"] - totals["errors"]
    costs = [row["cost_usd"] for row in rows]
    assert "0.0000000001" in costs and "" in costs and all(len(cost.partition(".")[2]) in {0, 10} for cost in costs)
    assert rows[0]["at"] == f"{NOON.date()}T12:00:00Z" and rows[0]["tags"] == '["blue","red"]'
    assert {row["key"] for row in rows} == {used.api_key.public_id}


def test_json_lines_and_pages_hold_the_same(server: str, used: Workspace) -> None:
    for path in (f"/api/usage/records?{FROM_TO}", "/api/billing/ledger?"):
        lines = download(server, used, f"{path}&format=jsonl").content.splitlines()
        assert [orjson.loads(line) for line in lines] == pages(used, f"{path}&limit=2")


def test_gzip_is_sent_to_who_takes_it(server: str, used: Workspace) -> None:
    path = f"/api/usage/records?format=csv&{FROM_TO}"
    plain = download(server, used, path)
    with httpx2.stream(
        "GET", f"{server}{path}", headers={"Authorization": f"Bearer {used.key}", "Accept-Encoding": "br, gzip"}
    ) as packed:
        assert packed.headers["content-encoding"] == "gzip" and "Accept-Encoding" in packed.headers["vary"]
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content
    assert "content-encoding" not in download(server, used, path, **{"Accept-Encoding": "gzip;q=0"}).headers


def test_more_than_a_page_is_streamed_whole(server: str, admin: Workspace) -> None:
    """Of many at the same moment, too."""
    count = exports.ROWS + 500
    book(admin, *(miss(admin, at=at(), request_id=f"r{number}") for number in range(count)))
    rows = rows_of(download(server, admin, f"/api/usage/records?format=csv&{FROM_TO}"))
    assert sorted(row["request_id"] for row in rows) == sorted(f"r{number}" for number in range(count))
    packed = httpx2.get(
        f"{server}/api/usage/records?format=jsonl&{FROM_TO}", headers={"Authorization": f"Bearer {admin.key}"}
    )
    assert packed.headers["content-encoding"] == "gzip" and len(packed.content.splitlines()) == count


def test_pages_have_each_row_once_while_others_arrive(admin: Workspace) -> None:
    there = [miss(admin, at=at(hours=number / 100)) for number in range(10)]
    book(admin, *there)

    def arrive() -> None:
        book(admin, miss(admin, at=at(hours=-1)), miss(admin, at=at(hours=0.055)), miss(admin, at=at(hours=2)))

    ids = [row["id"] for row in pages(admin, f"/api/usage/records?{FROM_TO}&limit=3", arrive)]
    assert len(set(ids)) == len(ids)
    assert [each for each in ids if each in {event.id for event in there}] == [event.id for event in there]


def test_a_client_that_leaves_in_the_middle_harms_nobody(server: str, admin: Workspace) -> None:
    book(admin, *(miss(admin, at=at(), error="x" * 60) for _ in range(exports.ROWS)))
    book(admin, *(miss(admin, at=at(), error="x" * 60) for _ in range(exports.ROWS)))
    headers = {"Authorization": f"Bearer {admin.key}", "Accept-Encoding": "identity"}
    for _ in range(3):
        with httpx2.stream("GET", f"{server}/api/usage/records?format=csv&{FROM_TO}", headers=headers) as answer:
            next(answer.iter_raw())
    assert len(rows_of(download(server, admin, f"/api/usage/records?format=csv&{FROM_TO}"))) == 2 * exports.ROWS


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("model=gpt-4o", 1),
        ("outcome=HIT-EXACT", 1),
        ("status=502", 1),
        ("tag=blue", 2),
        ("tag=blu", 0),
        ("request_id=mine", 1),
        ("key=KEY", 7),
        ("model=gpt-4o&tag=red", 0),
    ],
)
def test_records_are_found_by(used: Workspace, query: str, count: int) -> None:
    book(used, miss(used, at=at(), request_id="mine", model="other"))
    query = query.replace("KEY", used.api_key.public_id)
    assert len(call(used, "GET", f"/api/usage/records?{FROM_TO}&{query}").json()["data"]) == count


def test_a_key_without_the_scope_sees_only_its_own_and_not_the_ledger(used: Workspace) -> None:
    app = apikeys.issue(used.tenant, name="app")
    own = miss(used, at=at(), key_id=app.key.pk)
    book(used, own)
    of_app = used._replace(api_key=app.key, key=app.text)
    for query in ("", f"&key={app.key.public_id}"):
        (row,) = call(of_app, "GET", f"/api/usage/records?{FROM_TO}{query}").json()["data"]
        assert row["id"] == own.id
    refused(call(of_app, "GET", f"/api/usage/records?key={used.api_key.public_id}"), 400, "key")
    assert call(of_app, "GET", "/api/billing/ledger").status_code == 403


def test_the_ledger_is_found_by_period_key_and_kind(used: Workspace) -> None:
    start = used.tenant.subscription.anchor_at.date()
    for query, found in (
        ("period=current", True),
        (f"period={start}", True),
        (f"period={start - dt.timedelta(days=40)}", False),
        (f"key={used.api_key.public_id}", True),
        ("kind=usage", True),
        ("kind=adjustment", False),
    ):
        assert bool(call(used, "GET", f"/api/billing/ledger?{query}").json()["data"]) is found, query


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/api/usage/records?format=xlsx", "format"),
        ("/api/usage/records?limit=1001", "limit"),
        ("/api/usage/records?limit=0", "limit"),
        ("/api/usage/records?cursor=abc", "cursor"),
        ("/api/usage/records?outcome=hit", "outcome"),
        ("/api/usage/records?status=ok", "status"),
        ("/api/usage/records?key=nobody", "key"),
        ("/api/usage/records?model=%00", "model"),
        ("/api/usage/records?from=2020-01-01", "from"),
        ("/api/usage/records?page=2", "page"),
        ("/api/billing/ledger?period=november", "period"),
        ("/api/billing/ledger?period=9999-12-31", "period"),
        ("/api/billing/ledger?kind=gift", "kind"),
        ("/api/billing/ledger?from=2026-01-01", "from"),
    ],
)
def test_a_bad_parameter_is_named(admin: Workspace, path: str, param: str) -> None:
    refused(call(admin, "GET", path), 400, param)


def test_a_cursor_of_another_list_is_none_of_this_one(used: Workspace) -> None:
    page = call(used, "GET", f"/api/usage/records?{FROM_TO}&limit=1").json()
    refused(call(used, "GET", f"/api/billing/ledger?cursor={page['next']}"), 400, "cursor")


def test_any_accept_header_is_answered(used: Workspace) -> None:
    answer = call(used, "GET", "/api/usage/records", Accept="text/csv")
    assert answer.status_code == 200 and answer.json()["object"] == "list"


def test_no_record_holds_what_was_asked(server: str, alice: Workspace) -> None:
    """The words are in the cache, not in the books."""
    from tests.calls import chat, records

    manages(alice)
    secret = f"nightingale {uuid.uuid4().hex}"
    assert chat(server, alice.key, "gpt-4o-mini", secret).status_code == 200
    records(alice, 1)
    for path in ("/api/usage/records?format=csv", "/api/usage/records?format=jsonl", "/api/billing/ledger?format=csv"):
        answer = download(server, alice, path)
        assert answer.status_code == 200 and len(answer.text.splitlines()) >= 1
        assert "nightingale" not in answer.text
    with schema_of(alice.tenant):
        assert UsageRecord.objects.count() == 1
