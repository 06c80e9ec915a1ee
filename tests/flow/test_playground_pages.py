"""The playground: calls from a page go through the pipeline like any other, on a key that nobody knows."""

from __future__ import annotations

import ast
import json
import shlex
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import LedgerEntry
from gateway import playground
from gateway.pages.snippets import snippets
from gateway.pages.urls import PLAYGROUND
from tenants import apikeys, revocations
from tenants.models import ApiKey, AuditEvent, Membership, Role, Tenant
from tests.calls import chat, make_route, records, set_up_calls
from tests.conftest import Workspace
from tests.pages import as_user, flat
from tests.sockets import session_of
from tests.together import at_once

HARM = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def at(workspace: Workspace, path: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/playground/{path}"


def form(model: str = "fake/ok", user: str = "", **fields: str) -> dict[str, str]:
    return {"model": model, "user": user or uuid.uuid4().hex, **fields}


def ask(server: str, workspace: Workspace, *, by: Any = None, **fields: str) -> httpx2.Response:
    with as_user(server, by or workspace.owner) as browser:
        return browser.post(at(workspace, "ask"), data=form(**fields))


def events(answer: httpx2.Response) -> tuple[str, dict[str, Any]]:
    """The text, and the last event."""
    told = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    return "".join(each.get("text", "") for each in told), told[-1]


def key_of(workspace: Workspace) -> ApiKey:
    return apikeys.living(workspace.tenant).get(scopes=[playground.SCOPE])


@pytest.fixture
def own(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    """Alice, with the provider that does as it is told."""
    return with_provider(alice)


# --- who may ---------------------------------------------------------------------------------------------------------


def test_a_stranger_finds_nothing_and_others_are_told_who_may(
    alice: Workspace, mallory: Workspace, make_member: Callable[..., Any]
) -> None:
    paths = [str(each.pattern).removeprefix("t/<slug:slug>/playground/") for each in PLAYGROUND]
    stranger = session_of(mallory.owner)
    for path in paths:
        for method in ("get", "post"):
            assert getattr(stranger, method)(at(alice, path)).status_code == 404
        assert Client().post(at(alice, path)).status_code == 302
    for role in (Role.VIEWER, Role.FINANCE):
        member = session_of(make_member(alice, role))
        for path in paths:
            refused = member.post(at(alice, path), form())
            assert refused.status_code == 403 and "Owner, Admin, Developer" in refused.content.decode()
    assert ApiKey.objects.filter(tenant=alice.tenant).count() == 1


def test_who_was_removed_or_sends_no_token_gets_no_answer(
    server: str, alice: Workspace, make_member: Callable[..., Any]
) -> None:
    member = make_member(alice, Role.DEVELOPER)
    assert ask(server, alice, by=member, model="gpt-4o").status_code == 200
    with as_user(server, member, csrf=False) as browser:
        assert browser.post(at(alice, "ask"), data=form("gpt-4o")).status_code == 403
    Membership.objects.filter(user=member).update(role=Role.VIEWER)
    assert ask(server, alice, by=member, model="gpt-4o").status_code == 403
    Membership.objects.filter(user=member).delete()
    assert ask(server, alice, by=member, model="gpt-4o").status_code == 404


def test_a_suspended_workspace_is_refused_as_its_apps_are(server: str, alice: Workspace) -> None:
    Tenant.objects.filter(pk=alice.tenant.pk).update(status=Tenant.Status.SUSPENDED)
    answer = ask(server, alice, model="gpt-4o", stream="on")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "tenant_suspended")


# --- the call --------------------------------------------------------------------------------------------------------


def test_an_answer_streams_with_its_facts_and_is_booked_on_the_playgrounds_key(server: str, own: Workspace) -> None:
    question = f"Why is {uuid.uuid4().hex} hot?"
    first = ask(server, own, user=question, stream="on", system="Be short.", temperature="0.5", max_tokens="50")
    text, last = events(first)
    facts = last["facts"]
    assert first.headers["content-type"].startswith("text/event-stream") and first.headers["x-cache"] == "MISS"
    assert text == f"You said: {question}" and (facts["cache"], facts["kind"]) == ("MISS", "miss")
    assert (facts["answered_by"], facts["tokens"]) == ("fake / ok", "11 + 7") and facts["cost"] == "no price"
    assert facts["first_token"] != "–" and facts["request_id"] == first.headers["x-request-id"]
    again = ask(server, own, user=question, system="Be short.", temperature="0.5", max_tokens="50").json()
    assert (again["text"], again["facts"]["cache"]) == (text, "HIT-EXACT")
    key = key_of(own)
    booked = records(own, 2)
    assert {(each.key_id, each.dialect) for each in booked} == {(key.pk, "playground")}
    assert [each.request_id for each in booked] == [facts["request_id"], again["facts"]["request_id"]]
    assert LedgerEntry.objects.filter(tenant=own.tenant, key_id=key.pk).exists()


def test_it_is_the_same_call_as_an_apps(server: str, own: Workspace) -> None:
    question = f"Why is {uuid.uuid4().hex} hot?"
    chat(server, own.key, "fake/ok", question)
    assert ask(server, own, user=question).json()["facts"]["cache"] == "HIT-EXACT"
    assert ask(server, own, user=question, cache="off").json()["facts"]["cache"] == "BYPASS"


def test_a_price_and_a_saving_are_told(server: str, alice: Workspace) -> None:
    question = f"What is {uuid.uuid4().hex}?"
    first = events(ask(server, alice, model="gpt-4o", user=question, stream="on"))[1]["facts"]
    second = ask(server, alice, model="gpt-4o", user=question).json()["facts"]
    assert first["cost"].startswith("$0.0") and first["saved"] == "$0" and first["is_simulated"]
    assert (second["cost"], second["saved"]) == ("$0", first["cost"])


def test_limits_hold_and_are_told_of(server: str, make_workspace: Callable[..., Workspace]) -> None:
    poor = make_workspace(monthly_requests=1)
    assert ask(server, poor, model="gpt-4o").status_code == 200
    refused = ask(server, poor, model="gpt-4o", stream="on")
    assert refused.status_code == 402 and refused.json()["error"]["message"]
    assert refused.json()["request_id"] == refused.headers["x-request-id"]


def test_the_keys_own_models_and_limits_hold(server: str, own: Workspace) -> None:
    ask(server, own)
    apikeys.change(key_of(own), {"allowed_models": ["fake/echo"]}, actor=own.owner)
    assert ask(server, own).json()["error"]["code"] == "model_not_allowed"
    assert ask(server, own, model="fake/echo").status_code == 200


def test_who_leaves_is_settled_as_any_client_is(server: str, own: Workspace) -> None:
    set_up_calls(own, on_disconnect="cancel")
    with (
        as_user(server, own.owner) as browser,
        browser.stream("POST", at(own, "ask"), data=form("fake/long", stream="on")) as answer,
    ):
        assert b"word" in next(answer.iter_bytes())
    (record,) = records(own, 1)
    assert (record.status, record.error, record.dialect) == (499, "client_left", "playground")


@pytest.mark.parametrize("model", ["fake/status-400", "fake/cut", "fake/garbage"])
def test_what_a_provider_refuses_or_breaks_off_is_told(server: str, own: Workspace, model: str) -> None:
    answer = ask(server, own, model=model, stream="on")
    error = events(answer)[1]["error"] if answer.status_code == 200 else answer.json()["error"]
    assert error["message"] and "sk-upstream" not in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ""},
        {"model": "x" * 500},
        {"user": " "},
        {"user": "a\0b"},
        {"user": "x" * 100_001},
        {"temperature": "nan"},
        {"temperature": "9"},
        {"max_tokens": "-1"},
        {"max_tokens": "9" * 30},
        {"cache": "sometimes"},
    ],
)
def test_what_cannot_be_asked_says_which_field(alice: Workspace, wrong: dict[str, str]) -> None:
    answer = session_of(alice.owner).post(at(alice, "ask"), {**form("gpt-4o"), **wrong})
    assert answer.status_code == 400 and answer.json()["error"]["param"] in wrong
    assert ApiKey.objects.filter(tenant=alice.tenant).count() == 1


# --- its key ---------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_is_in_the_log_and_nobody_gets_its_text(server: str, alice: Workspace) -> None:
    def find() -> int:
        return playground.find_key(alice.tenant, {"actor": alice.owner, "ip": "127.0.0.1"}).pk

    assert len(set(at_once(find, find, find, find))) == 1
    key = key_of(alice)
    assert key.name == "Playground" and key.created_by == alice.owner
    row = AuditEvent.objects.get(tenant=alice.tenant, action="key.issued", target=str(key))
    assert (row.actor, row.ip_address) == (alice.owner, "127.0.0.1")
    client = session_of(alice.owner)
    assert "Playground" in client.get(f"/t/{alice.tenant.slug}/keys/").content.decode()
    client.post(f"/t/{alice.tenant.slug}/keys/{key.public_id}/rotate", {"overlap_s": "0"})
    assert key_of(alice).pk == key.pk
    # Another one of that name is not taken for it.
    apikeys.issue(alice.tenant, name="Playground")
    apikeys.revoke(key, actor=alice.owner)
    revocations.publish(f"key:{key.public_id}")
    assert ask(server, alice, model="gpt-4o").status_code == 200
    assert key_of(alice).pk != key.pk


# --- the page --------------------------------------------------------------------------------------------------------


def test_without_javascript_one_answer_comes_with_the_page_as_text(server: str, own: Workspace) -> None:
    with as_user(server, own.owner) as browser:
        page = flat(browser.post(at(own), data=form("fake/echo", HARM, stream="on", system="Say it again.")))
        assert "MISS" in page and "fake / echo" in page and "Say it again." in page
        assert "<img src=x" not in page and "<script>alert" not in page and "&lt;img src=x" in page
        refused = browser.post(at(own), data=form("fake/status-400"))
        assert refused.status_code == 400 and "told to fail" in refused.text
        wrong = browser.post(at(own), data=form("", "Why?"))
        assert wrong.status_code == 400 and 'id="id_model_error"' in wrong.text


def test_routes_and_models_are_offered_in_few_queries(own: Workspace) -> None:
    for number in range(12):
        make_route(own, f"house-{number}", "ok")
    client = session_of(own.owner)
    with CaptureQueriesContext(connection) as queries:
        page = flat(client.get(at(own) + f"?model={HARM}"))
    assert len(queries) <= 10 and 'value="house-7"' in page and 'value="auto"' in page
    assert "<img src=x" not in page
    assert "gpt-4o-mini" in flat(client.post(at(own, "snippet"), {}))


def test_snippets_say_what_was_typed_whatever_it_is() -> None:
    odd = 'It\'s "odd" \\ $HOME `id`\n</script> é 日本'
    body = {"model": "a/b", "messages": [{"role": "user", "content": odd}], "temperature": 0.5, "stream": True}
    curl, python, node = snippets("https://x/v1", "nk-your-key", body, {"X-Nexus-Cache": "off"})
    words = shlex.split(curl.text.replace("\\\n", ""))
    assert json.loads(words[words.index("-d") + 1]) == body and "X-Nexus-Cache: off" in words
    (call,) = [
        each
        for each in ast.walk(ast.parse(python.text))
        if isinstance(each, ast.Call) and any(word.arg == "messages" for word in each.keywords)
    ]
    given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert given == {**body, "extra_headers": {"X-Nexus-Cache": "off"}}
    start = node.text.index("create(") + len("create(")
    assert json.JSONDecoder().raw_decode(node.text[start:])[0] == body
