"""Answers are brought into the cache before anybody asks, and taken out of it."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from django.core.management import CommandError, call_command

from gateway.models import CacheEntry, CacheSettings
from tenants import revocations
from tenants.db import schema_of
from tests.bodies import body_of
from tests.cached import ask, bring_in, entries_of, exact_keys, get, listed, until
from tests.calls import make_route, records
from tests.conftest import Workspace
from tests.management import call

FAQ = {"question": "When do you open?", "answer": "At nine.", "model": "gpt-4o-mini"}


def stored(server: str, workspace: Workspace, *rows: dict[str, Any]) -> dict[str, Any]:
    answer = bring_in(workspace, *rows, server=server)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def refused(server: str, workspace: Workspace, *rows: Any) -> str:
    answer = bring_in(workspace, *rows, server=server)
    assert answer.status_code == 400, answer.text
    assert entries_of(workspace) == [] and exact_keys(workspace) == {}
    return str(answer.json()["error"]["message"])


# --- in ---------------------------------------------------------------------------------------------------------------


def test_an_imported_question_is_answered_at_both_tiers(server: str, admin: Workspace) -> None:
    done = stored(server, admin, FAQ, {**FAQ, "question": "How long should green tea steep?", "tags": ["tea"]})
    assert done == {
        "object": "cache.import", "rows": 2, "stored": 2, "kept_pinned": 0, "expired": 0, "embedded": 2, "waiting": 0
    }  # fmt: skip
    hit = ask(server, admin, FAQ["question"])
    assert hit.headers["x-cache"] == "HIT-EXACT" and hit.json()["choices"][0]["message"]["content"] == "At nine."
    assert hit.headers["x-nexus-provider"] == "import" and float(hit.headers["x-nexus-saved-usd"]) > 0
    assert hit.json()["usage"]["total_tokens"] > 0
    near = ask(server, admin, "How long should I let green tea steep?")
    assert near.headers["x-cache"] == "HIT-SEMANTIC"
    assert [entry["prompt"] for entry in listed(admin, "?tag=tea")] == ["How long should green tea steep?"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat", "/v1/chat"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_imported_answer_is_said_in_every_dialect(server: str, admin: Workspace, path: str, stream: bool) -> None:
    body = body_of(path, FAQ["question"], stream=stream)
    request = {"model": FAQ["model"], "messages": [{"role": "user", "content": FAQ["question"]}]}
    if "max_tokens" in body:
        request["max_completion_tokens"] = body["max_tokens"]
    stored(server, admin, {"request": request, "answer": "At nine."})
    answer = httpx2.post(f"{server}{path}", json=body, headers={"Authorization": f"Bearer {admin.key}"})
    assert answer.status_code == 200 and answer.headers["x-cache"].startswith("HIT")
    assert "At nine." in answer.text


def test_a_request_is_found_with_all_that_belongs_to_it(server: str, admin: Workspace) -> None:
    request = {
        "model": "gpt-4o-mini",
        "temperature": 0.2,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
    }
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "a_new_field": 1,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Because."}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50},
    }
    stored(server, admin, {"request": request, "answer": answer, "namespace": "shop"})
    headers = {"Authorization": f"Bearer {admin.key}", "X-Nexus-Cache-Namespace": "shop"}
    hit = httpx2.post(f"{server}/v1/chat/completions", json=request, headers=headers)
    assert hit.headers["x-cache"] == "HIT-EXACT"
    assert hit.json() == {**answer, "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}}
    other = httpx2.post(f"{server}/v1/chat/completions", json={**request, "temperature": 0.3}, headers=headers)
    assert other.headers["x-cache"] == "MISS"


def test_the_same_file_twice_changes_nothing_but_times(server: str, admin: Workspace) -> None:
    rows: list[dict[str, Any]] = [{**FAQ, "pinned": True}, {**FAQ, "question": "Where is the shop?"}]
    stored(server, admin, *rows)
    ask(server, admin, FAQ["question"])
    records(admin, 1)
    before = listed(admin, "?order=hits")
    assert stored(server, admin, *rows)["stored"] == 2
    after = listed(admin, "?order=hits")
    times = {"created_at", "expires_at", "age_s"}
    assert [{**entry, **dict.fromkeys(times)} for entry in after] == [
        {**entry, **dict.fromkeys(times)} for entry in before
    ]
    assert after[0]["hits"] == 1 and len(exact_keys(admin)) == 2


def test_what_is_kept_shortly_or_for_ever_is(server: str, admin: Workspace) -> None:
    personal = "Where is my order?"
    stored(server, admin, {**FAQ, "ttl_s": 100}, {**FAQ, "question": personal, "pinned": True})
    assert sorted(ttl_s if ttl_s < 0 else ttl_s // 99 for ttl_s in exact_keys(admin).values()) == [-1, 1]
    # Somebody has put it there: it is kept, but only for the same request.
    assert ask(server, admin, personal).headers["x-cache"] == "HIT-EXACT"
    assert [entry["by_meaning"] for entry in listed(admin, "?pinned=true")] == [False]
    with schema_of(admin.tenant):
        CacheSettings.objects.create(ttl_s=50)
    revocations.publish(f"tenant:{admin.tenant.pk}")
    done = stored(server, admin, {**FAQ, "ttl_s": 100}, {**FAQ, "question": personal, "answer": "Unknown."})
    assert (done["stored"], done["kept_pinned"]) == (1, 1)
    assert ask(server, admin, personal).json()["choices"][0]["message"]["content"] == "At nine."


def test_a_pinned_row_replaces_a_pinned_answer(server: str, admin: Workspace) -> None:
    stored(server, admin, {**FAQ, "pinned": True})
    stored(server, admin, {**FAQ, "answer": "At ten.", "pinned": True})
    assert ask(server, admin, FAQ["question"]).json()["choices"][0]["message"]["content"] == "At ten."


def test_an_array_is_as_good_as_lines(server: str, admin: Workspace) -> None:
    headers = {"Authorization": f"Bearer {admin.key}", "Content-Type": "application/json"}
    answer = httpx2.post(f"{server}/api/cache/import", content=json.dumps([FAQ]), headers=headers)
    assert answer.json()["stored"] == 1
    headers["Content-Type"] = "text/csv"
    assert httpx2.post(f"{server}/api/cache/import", content="a,b", headers=headers).status_code == 415


def test_in_a_workspace_by_end_user_a_row_says_whose_it_is(server: str, admin: Workspace) -> None:
    call(admin, "PATCH", "/api/cache/settings", {"per_end_user": True})
    until(lambda: "request.user" in bring_in(admin, FAQ, server=server).text)
    call(admin, "POST", "/api/cache/invalidate", {"all": True})
    request = {"model": FAQ["model"], "messages": [{"role": "user", "content": FAQ["question"]}], "user": "anna"}
    stored(server, admin, {"request": request, "answer": "At nine."})
    assert ask(server, admin, FAQ["question"], user="anna").headers["x-cache"] == "HIT-EXACT"
    assert ask(server, admin, FAQ["question"], user="bert").headers["x-cache"] == "MISS"


def test_a_route_is_a_model_like_others(server: str, admin: Workspace, with_provider: Any) -> None:
    with_provider(admin)
    make_route(admin, "house", "ok")
    stored(server, admin, {**FAQ, "model": "house"})
    assert ask(server, admin, FAQ["question"], "house").headers["x-cache"] == "HIT-EXACT"


# --- what is wrong ----------------------------------------------------------------------------------------------------

_MESSAGE = {"role": "assistant", "content": "At nine."}


def _answer(**choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop", **choice}]}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ([], "Invalid data"),
        (5, "Invalid data"),
        (None, "No data provided"),
        ({}, "`question`"),
        ({**FAQ, "question": ""}, "`question`"),
        ({**FAQ, "question": "a\x00b"}, "`question`"),
        ({**FAQ, "question": ["a"]}, "`question`"),
        ({**FAQ, "answer": ""}, "`answer`"),
        ({**FAQ, "answer": None}, "`answer`"),
        ({**FAQ, "answer": 5}, "`answer`"),
        ({**FAQ, "answer": {}}, "`answer.choices`"),
        ({**FAQ, "answer": {"choices": [5]}}, "`answer.choices[0]`"),
        ({**FAQ, "answer": _answer(finish_reason="length")}, "`answer.choices[0]`"),
        ({**FAQ, "answer": _answer(message=None)}, "`answer.choices[0]`"),
        ({**FAQ, "answer": _answer(message={**_MESSAGE, "content": None})}, "`answer.choices[0]`"),
        ({**FAQ, "answer": _answer(message={**_MESSAGE, "tool_calls": 5})}, "tool_calls"),
        ({**FAQ, "answer": {**_answer(), "id": 5}}, "`answer.id`"),
        ({**FAQ, "model": "no-such-model"}, "no-such-model"),
        ({**FAQ, "model": ""}, "`model`"),
        ({**FAQ, "model": "x" * 121}, "`model`"),
        ({**FAQ, "namespace": "a b"}, "Namespace"),
        ({**FAQ, "namespace": "é"}, "Namespace"),
        ({**FAQ, "tags": ["a,b"]}, "comma"),
        ({**FAQ, "tags": ["é"]}, "Tags"),
        ({**FAQ, "tags": ["x"] * 17}, "`tags`"),
        ({**FAQ, "tags": "a"}, "`tags`"),
        ({**FAQ, "ttl_s": 0}, "`ttl_s`"),
        ({**FAQ, "ttl": 5}, "`ttl`"),
        ({"request": [], "answer": "x"}, "`request`"),
        ({"request": {}, "answer": "x"}, "`model`"),
        ({"request": {"model": "gpt-4o-mini", "messages": []}, "answer": "x"}, "`messages`"),
        (
            {
                "request": {
                    "model": "gpt-4o-mini",
                    "messages": [{"role": "user", "content": "a"}],
                    "cache": {"no-store": True},
                },
                "answer": "x",
            },
            "not to be kept",
        ),
        ({"fingerprint": "x"}, "`fingerprint`"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_nothing_is_written(
    server: str, admin: Workspace, row: Any, told: str
) -> None:
    message = refused(server, admin, {**FAQ, "question": "Is this one fine?"}, row)
    assert message.startswith("1 row is wrong") and "line 2: " in message and told in message, message


def test_no_more_than_twenty_wrong_rows_are_told(server: str, admin: Workspace) -> None:
    message = refused(server, admin, *[{**FAQ, "model": ""}] * 30)
    assert message.startswith("30 rows are wrong") and message.count("line ") == 20


def test_a_request_stands_once_in_a_file(server: str, admin: Workspace) -> None:
    assert "line 3: the same request as in line 1" in refused(server, admin, FAQ, {**FAQ, "model": "gpt-4o"}, FAQ)


@pytest.mark.parametrize("body", [b"", b"\n\n", b"[]", b"[", b"{", b"\x00", b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000])
def test_what_is_no_file_is_refused(server: str, admin: Workspace, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {admin.key}", "Content-Type": "application/x-ndjson"}
    answer = httpx2.post(f"{server}/api/cache/import", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_nesting_without_end_is_refused(server: str, admin: Workspace) -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"a": deep}
    message = refused(server, admin, {**FAQ, "answer": {**_answer(), "x": deep}})
    assert "nested too deeply" in message
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a"}], "x": deep}
    assert "nested too deeply" in refused(server, admin, {"request": request, "answer": "x"})


def test_a_file_has_its_bounds(server: str, admin: Workspace) -> None:
    assert "up to 5,000 rows" in refused(server, admin, *[FAQ] * 5001)
    headers = {"Authorization": f"Bearer {admin.key}", "Content-Type": "application/x-ndjson"}
    answer = httpx2.post(f"{server}/api/cache/import", content=b" " * (10 * 1024**2 + 1), headers=headers)
    assert answer.status_code == 413


# --- out --------------------------------------------------------------------------------------------------------------


def exported(server: str, workspace: Workspace, query: str = "") -> list[dict[str, Any]]:
    answer = get(server, workspace, f"/api/cache/export{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [orjson.loads(line) for line in answer.content.splitlines()]


def test_what_is_taken_out_goes_back_to_its_place(server: str, admin: Workspace) -> None:
    stored(
        server,
        admin,
        {**FAQ, "pinned": True},
        {**FAQ, "question": "How long should green tea steep?", "tags": ["tea"], "namespace": "kitchen"},
        {**FAQ, "question": "Where is my order?", "ttl_s": 500},
    )
    rows = exported(server, admin)
    assert len(rows) == 3 and [row["expires_at"] is None for row in rows].count(True) == 1
    assert [row["prompt"] for row in exported(server, admin, "?tag=tea")] == ["How long should green tea steep?"]
    assert len(exported(server, admin, "?namespace=")) == 2 and exported(server, admin, "?model=none") == []
    kept = exact_keys(admin)
    call(admin, "POST", "/api/cache/invalidate", {"all": True, "pinned": True})
    done = stored(server, admin, *rows)
    assert (done["stored"], done["embedded"], done["waiting"]) == (3, 2, 0)
    assert exact_keys(admin).keys() == kept.keys()
    for fingerprint, ttl_s in exact_keys(admin).items():
        assert ttl_s <= kept[fingerprint]
    assert exported(server, admin) == rows
    assert ask(server, admin, "Where is my order?").headers["x-cache"] == "HIT-EXACT"
    near = ask(server, admin, "How long should I let green tea steep?", headers={"X-Nexus-Cache-Namespace": "kitchen"})
    assert near.headers["x-cache"] == "HIT-SEMANTIC"


def test_what_has_expired_since_is_left_out(server: str, admin: Workspace) -> None:
    stored(server, admin, FAQ)
    (row,) = exported(server, admin)
    call(admin, "POST", "/api/cache/invalidate", {"all": True})
    done = stored(server, admin, {**row, "created_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-02T00:00:00Z"})
    assert (done["rows"], done["stored"], done["expired"]) == (1, 0, 1) and entries_of(admin) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fingerprint": "0" * 31}, "`fingerprint`"),
        ({"fingerprint": "0" * 33}, "`fingerprint`"),
        ({"scope": "x"}, "`scope`"),
        ({"prompt": "", "scope": "0" * 32}, "`prompt`"),
        ({"prompt": "\x00"}, "`prompt`"),
        ({"answer": "At nine."}, "`answer`"),
        ({"answer": {}}, "answer.choices"),
        ({"meta": None}, "`meta`"),
        ({"meta": {}}, "`meta.provider`"),
        ({"created_at": "yesterday"}, "`created_at`"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "`created_at`"),
        ({"created_at": "1969-01-01T00:00:00Z"}, "`created_at`"),
        ({"expires_at": None}, "`expires_at`"),
        ({"end_user": "anna"}, "`end_user`"),
        ({"model": "a\u0007b"}, "`model`"),
        ({"why": 1}, "`why`"),
    ],
)
def test_a_changed_export_is_looked_at(server: str, admin: Workspace, change: dict[str, Any], told: str) -> None:
    stored(server, admin, FAQ)
    (row,) = exported(server, admin)
    call(admin, "POST", "/api/cache/invalidate", {"all": True})
    assert told in refused(server, admin, {**row, **change})


def test_an_end_that_no_calendar_has_is_a_far_one(server: str, admin: Workspace) -> None:
    stored(server, admin, FAQ)
    (row,) = exported(server, admin)
    call(admin, "PATCH", "/api/cache/settings", {"stale_if_error_s": 1000})
    times = {"created_at": "9999-01-01T00:00:00Z", "expires_at": "9999-12-31T23:59:59Z"}
    assert stored(server, admin, {**row, **times})["stored"] == 1
    assert ask(server, admin, FAQ["question"]).headers["x-cache"] == "HIT-EXACT"


def test_an_export_comes_in_batches(server: str, admin: Workspace) -> None:
    rows = [{**FAQ, "question": f"Where is my order number {number}?"} for number in range(250)]
    stored(server, admin, *rows)
    assert sorted(row["prompt"] for row in exported(server, admin)) == sorted(row["question"] for row in rows)


def test_an_export_is_for_who_may_manage(server: str, alice: Workspace) -> None:
    assert get(server, alice, "/api/cache/export").status_code == 403
    assert httpx2.get(f"{server}/api/cache/export").status_code == 401


def test_a_wrong_export_is_refused_by_name(server: str, admin: Workspace) -> None:
    for query in ("?tag=%00", "?colour=red", "?model=" + "x" * 121):
        answer = get(server, admin, f"/api/cache/export{query}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, query[1:].split("=")[0])


# --- commands ---------------------------------------------------------------------------------------------------------


def test_the_commands_do_the_same_as_the_api(server: str, admin: Workspace, tmp_path: Path) -> None:
    file, out = tmp_path / "faq.jsonl", io.StringIO()
    file.write_text("\n".join(json.dumps({**FAQ, "question": f"What is {number}?"}) for number in range(3)))
    call_command("cache_import", str(file), tenant=admin.tenant.slug, stdout=out)
    assert out.getvalue().startswith("3 rows read, 3 answers kept: 3 with a vector")
    assert ask(server, admin, "What is 1?").headers["x-cache"] == "HIT-EXACT"
    saved = tmp_path / "saved.jsonl"
    call_command("cache_export", str(saved), tenant=admin.tenant.slug, stdout=out)
    assert len(saved.read_text().splitlines()) == 3
    call_command("cache_import", str(saved), tenant=admin.tenant.slug, stdout=out)
    with schema_of(admin.tenant):
        assert CacheEntry.objects.count() == 3


def test_the_commands_say_what_is_wrong(admin: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text(json.dumps(FAQ) + "\nnot JSON\n")
    with pytest.raises(CommandError, match="line 2: not valid JSON"):
        call_command("cache_import", str(file), tenant=admin.tenant.slug)
    for command in ("cache_import", "cache_export"):
        with pytest.raises(CommandError, match="no workspace"):
            call_command(command, str(file), tenant=uuid.uuid4().hex)
    with pytest.raises(CommandError, match="No such file"):
        call_command("cache_import", str(tmp_path / "none"), tenant=admin.tenant.slug)
