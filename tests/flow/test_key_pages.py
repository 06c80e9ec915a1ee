"""Keys in the browser: made with what their maker may do, shown once, rotated, revoked; nobody reaches another's."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from billing.models import LedgerEntry
from tenants import apikeys, roles
from tenants.models import ApiKey, AuditEvent, Membership, Role, Tenant
from tenants.roles import Action
from tests.conftest import Workspace
from tests.together import while_it_waits

FORM = {"name": "shop", "priority": "default", "ends": "never", "budget_mode": "hard"}


def session_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(workspace: Workspace, path: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/keys/{path}"


def text_in(answer: Any) -> str:
    found = re.search(r"nk-[a-z0-9]{12}-[\w-]{20,}", answer.content.decode())
    assert found
    return found[0]


def ask(server: str, key: str) -> int:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How do I make tea?"}]}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{server}/v1/chat/completions", json=body, headers=headers, timeout=30).status_code


def test_a_key_is_made_shown_once_and_serves(alice: Workspace, server: str) -> None:
    client = session_of(alice.owner)
    form = {**FORM, "requests_per_minute": "30", "monthly_budget_usd": "12.50", "models": "gpt-4o-mini\n\ngpt-4o \n"}
    made = client.post(page(alice, "new"), {**form, "scopes": ["cache", "figures"], "ends": "30"})
    assert made.status_code == 201 and "no-store" in made.headers["Cache-Control"]
    text = text_in(made)
    key = ApiKey.objects.get(tenant=alice.tenant, name="shop")
    assert (key.scopes, key.allowed_models) == (["cache", "figures"], ["gpt-4o-mini", "gpt-4o"])
    assert (key.requests_per_minute, str(key.monthly_budget_usd), key.created_by) == (30, "12.50", alice.owner)
    assert key.expires_at is not None
    assert ask(server, text) == 200
    assert text not in client.get(page(alice)).content.decode()
    assert text not in client.get(page(alice, f"{key.public_id}/")).content.decode()


@pytest.mark.parametrize("role", Role)
def test_a_member_gives_a_key_what_the_role_may_do_and_no_more(
    alice: Workspace, make_member: Callable[..., Any], role: Role
) -> None:
    client = session_of(make_member(alice, role))
    for scope in sorted(roles.SCOPES):
        answer = client.post(page(alice, "new"), {**FORM, "name": f"with {scope}", "scopes": [scope]})
        may_give = roles.may(role, Action.KEYS) and roles.may(role, Action(scope))
        assert answer.status_code == (201 if may_give else 400 if roles.may(role, Action.KEYS) else 403), scope
        assert ApiKey.objects.filter(tenant=alice.tenant, name=f"with {scope}").exists() == may_give
    assert client.post(page(alice, "new"), {**FORM, "scopes": ["operator"]}).status_code in (400, 403)
    assert client.get(page(alice)).status_code == 200


WRONG = {
    "name": ["", "x" * 81, "a\x00b"],
    "ends": ["yesterday", ""],
    "priority": ["highest"],
    "requests_per_minute": ["-1", "many", str(2**40)],
    "tokens_per_day": ["9" * 30],
    "request_burst": ["0"],
    "daily_budget_usd": ["1e9"],
    "monthly_budget_usd": ["0.001", "NaN"],
    "budget_mode": ["soft"],
    "scopes": ["everything"],
    "models": ["x" * 121, "\n".join(map(str, range(501)))],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_mistake_is_named_beside_its_field_and_nothing_is_made(alice: Workspace, field: str, value: str) -> None:
    answer = session_of(alice.owner).post(page(alice, "new"), {**FORM, field: value})
    assert answer.status_code == 400 and field in answer.context["form"].errors
    assert ApiKey.objects.filter(tenant=alice.tenant).count() == 1


def test_a_key_is_changed_and_the_change_is_written_down(alice: Workspace) -> None:
    client, key = session_of(alice.owner), alice.api_key
    change = page(alice, f"{key.public_id}/change")
    form = {**FORM, "name": "app", "tokens_per_minute": "500", "scopes": ["keys"]}
    done = client.post(change, form, follow=True)
    assert "in effect within a second" in done.content.decode()
    key.refresh_from_db()
    assert (key.name, key.tokens_per_minute, key.scopes, key.expires_at) == ("app", 500, ["keys"], None)
    row = AuditEvent.objects.get(tenant=alice.tenant, action="key.changed")
    assert row.actor == alice.owner and row.before == {"name": "default", "tokens_per_minute": None, "scopes": []}
    assert (
        client.post(change, {**FORM, "name": "app", "tokens_per_minute": "500", "scopes": ["keys"]}).status_code == 302
    )
    assert AuditEvent.objects.filter(tenant=alice.tenant, action="key.changed").count() == 1
    apikeys.revoke(key)
    assert "issue a new key instead" in client.post(change, FORM, follow=True).content.decode()


def test_a_key_beyond_ones_role_is_not_rotated(alice: Workspace, make_member: Callable[..., Any]) -> None:
    key = apikeys.issue(alice.tenant, name="all", scopes=["admin", "cache"]).key
    client = session_of(make_member(alice, "developer"))
    answer = client.post(page(alice, f"{key.public_id}/rotate"), {"overlap_s": "0"}, follow=True)
    assert "may do more than your role" in answer.content.decode()
    assert ApiKey.objects.filter(tenant=alice.tenant, name="all").count() == 1


def test_rotated_keys_overlap_and_a_revoked_one_is_refused(alice: Workspace, server: str) -> None:
    client, key = session_of(alice.owner), alice.api_key
    rotated = client.post(page(alice, f"{key.public_id}/rotate"), {"overlap_s": "3600"})
    new = text_in(rotated)
    assert rotated.status_code == 201 and ask(server, new) == ask(server, alice.key) == 200
    assert client.post(page(alice, f"{key.public_id}/rotate"), {"overlap_s": "5"}).status_code == 302
    assert "Revoke “default”?" in client.get(page(alice, f"{key.public_id}/revoke")).content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None
    assert client.post(page(alice, f"{key.public_id}/revoke")).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    listed = client.get(page(alice)).content.decode()
    assert f"nk-{key.public_id}" not in listed
    assert f"nk-{key.public_id}" in client.get(page(alice, "?status=all")).content.decode()


def test_nobody_reaches_anothers_keys(alice: Workspace, mallory: Workspace) -> None:
    stranger = session_of(mallory.owner)
    for path in ("", "new", f"{alice.api_key.public_id}/", f"{alice.api_key.public_id}/revoke"):
        assert stranger.get(page(alice, path)).status_code == 404
    for act in ("", "change", "rotate", "revoke"):
        assert stranger.post(page(mallory, f"{alice.api_key.public_id}/{act}"), FORM).status_code in (404, 405)
        assert stranger.post(page(alice, f"{alice.api_key.public_id}/{act}"), FORM).status_code == 404
    alice.api_key.refresh_from_db()
    assert alice.api_key.revoked_at is None and alice.api_key.name == "default"
    assert stranger.get(page(mallory, "?after=of-another-list")).status_code == 302
    assert stranger.get(page(mallory, "%00/")).status_code == 404


def test_many_keys_cost_no_more_queries_than_one(
    alice: Workspace, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        apikeys.issue(alice.tenant, name=f"k{number}", created_by=alice.owner)
    client = session_of(alice.owner)
    with django_assert_max_num_queries(8):
        answer = client.get(page(alice))
    more = re.search(r'href="\?(after=[^"]+)"', answer.content.decode())
    assert more and "First page" not in answer.content.decode()
    last = client.get(page(alice, f"?{more[1]}")).content.decode()
    assert "nk-" + alice.api_key.public_id in last and "First page" in last


def names(answer: Any) -> list[str]:
    return re.findall(r'<th scope="row"><a[^>]*>([^<]*)<', answer.content.decode())


def test_keys_are_found_by_name_and_by_id_and_come_in_the_order_asked_for(alice: Workspace) -> None:
    client = session_of(alice.owner)
    keys = [apikeys.issue(alice.tenant, name=name).key for name in ("shop", "Billing shop", "crawler")]
    assert names(client.get(page(alice))) == ["crawler", "Billing shop", "shop", "default"]
    assert names(client.get(page(alice, "?order=oldest"))) == ["default", "shop", "Billing shop", "crawler"]
    assert names(client.get(page(alice, "?q=SHOP&order=name"))) == ["Billing shop", "shop"]
    ident = keys[2].public_id
    for text in (ident, f"nk-{ident}", f"nk-{ident}-…", f"nk-{ident[:5]}"):
        assert names(client.get(page(alice, f"?q={text}"))) == ["crawler"]
    apikeys.revoke(keys[2])
    gone = client.get(page(alice, "?q=crawler")).content.decode()
    assert "No key that is in use has this" in gone and 'href="?q=crawler&amp;status=all"' in gone
    assert names(client.get(page(alice, "?q=crawler&status=all"))) == ["crawler"]
    for odd in ("%00", "%2525", "_", "x" * 500, "nk-"):
        assert names(client.get(page(alice, f"?q={odd}&order=sideways"))) == []


def test_pages_keep_the_order_and_what_is_looked_for(alice: Workspace) -> None:
    for number in range(51):
        apikeys.issue(alice.tenant, name=f"item{number:02}")
    client = session_of(alice.owner)
    first = client.get(page(alice, "?q=item&order=name"))
    more = re.search(r'href="\?([^"]+)" rel="next"', first.content.decode())
    assert more and names(first)[:2] == ["item00", "item01"]
    query = html.unescape(more[1])
    assert names(client.get(page(alice, f"?{query}"))) == ["item50"]
    # Of another order, a place says nothing.
    assert client.get(page(alice, f"?{query.replace('name', 'oldest')}")).status_code == 302


def test_a_key_ends_at_midnight_after_its_last_day(alice: Workspace) -> None:
    client, today = session_of(alice.owner), timezone.now().date()
    form = {**FORM, "ends": "on"}
    for wrong in ("", "soon", str(today - dt.timedelta(days=1)), "9999-12-31"):
        answer = client.post(page(alice, "new"), {**form, "last_day": wrong})
        assert answer.status_code == 400 and "last_day" in answer.context["form"].errors, wrong
    for day in (today, today + dt.timedelta(days=400)):
        assert client.post(page(alice, "new"), {**form, "name": str(day), "last_day": str(day)}).status_code == 201
        key = ApiKey.objects.get(tenant=alice.tenant, name=str(day))
        assert key.expires_at == dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC)
    # Where it ends otherwise, the day is not looked at.
    assert client.post(page(alice, "new"), {**FORM, "last_day": "2020-01-01", "ends": "7"}).status_code == 201


def test_a_keys_page_tells_its_own_use_of_its_own_limits(alice: Workspace, server: str) -> None:
    client, other = session_of(alice.owner), apikeys.issue(alice.tenant, name="other", monthly_requests=10)
    path = page(alice, f"{other.key.public_id}/")
    before = client.get(path)
    assert "as booked" in before.content.decode() and f"?key={other.key.public_id}" in before.content.decode()
    assert ask(server, alice.key) == 200
    for _ in range(9):
        assert ask(server, other.text) == 200
    bars = client.get(path).context["bars"]
    assert (bars[0].used, bars[0].limit, bars[0].share, bars[0].level) == ("9", "of 10", "90.0 %", "near")
    assert (bars[2].limit, bars[3].limit) == ("· no budget", "· no budget")
    alone = client.get(page(alice, f"{alice.api_key.public_id}/")).context["bars"]
    assert (alone[0].used, alone[0].limit) == ("1", "· no limit")


def test_a_keys_use_is_told_from_the_books_while_there_are_no_counters(alice: Workspace) -> None:
    other = apikeys.issue(alice.tenant, name="other", daily_budget_usd="0.50", budget_mode="warn").key
    now, start = timezone.now(), alice.tenant.subscription.anchor_at.replace(microsecond=0)
    for key, requests in ((other, 3), (alice.api_key, 5)):
        LedgerEntry.objects.create(
            tenant=alice.tenant, key_id=key.pk, period_start=start, day=now.date(),
            requests=requests, tokens=7, cost_usd="0.25", saved_usd=0, batch=uuid.uuid4(),
        )  # fmt: skip
    bars = session_of(alice.owner).get(page(alice, f"{other.public_id}/")).context["bars"]
    assert [bar.used for bar in bars] == ["3", "7", "$0.25", "$0.25"]
    assert (bars[3].limit, bars[3].share) == ("of $0.50 budget that only warns", "50.0 %")


def test_a_key_beyond_ones_role_is_neither_extended_nor_renamed(
    alice: Workspace, make_member: Callable[..., Any]
) -> None:
    key = apikeys.issue(alice.tenant, name="all", scopes=["admin"]).key
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() + dt.timedelta(days=1))
    key.refresh_from_db()
    client = session_of(make_member(alice, "developer"))
    answer = client.post(page(alice, f"{key.public_id}/change"), {**FORM, "name": "mine"}, follow=True)
    assert "may do more than your role" in answer.content.decode()
    assert "Save</button>" not in client.get(page(alice, f"{key.public_id}/")).content.decode()
    now = ApiKey.objects.get(pk=key.pk)
    assert (now.name, now.expires_at, now.scopes) == ("all", key.expires_at, ["admin"])


@pytest.mark.parametrize("act", ["new", "rotate", "change", "start"])
def test_a_role_that_is_taken_away_meanwhile_makes_no_key(
    alice: Workspace, make_member: Callable[..., Any], act: str
) -> None:
    """The gate lets them pass; an admin, who has the workspace's lock, takes the role meanwhile."""
    user = make_member(alice, "developer")
    client = session_of(user)

    def take_role() -> None:
        Tenant.objects.select_for_update(no_key=True).get(pk=alice.tenant.pk)
        Membership.objects.filter(tenant=alice.tenant, user=user).update(role="viewer")

    path = act if act in ("new", "start") else f"{alice.api_key.public_id}/{act}"
    address = page(alice, path) if act != "start" else f"/t/{alice.tenant.slug}/start/"
    answer = while_it_waits(lambda: client.post(address, {**FORM, "overlap_s": "0"}, follow=True), take_role)
    assert "your role has changed" in answer.content.decode()
    assert [key.name for key in ApiKey.objects.filter(tenant=alice.tenant)] == ["default"]


@pytest.mark.parametrize("path", ["new", "rotate", "start"])
def test_a_page_that_shows_a_key_makes_no_other_when_it_is_loaded_again(alice: Workspace, path: str) -> None:
    client = session_of(alice.owner)
    key = page(alice, f"{alice.api_key.public_id}/")
    shown, sent = {
        "new": (page(alice, "new"), page(alice, "new")),
        "rotate": (key, f"{key}rotate"),
        "start": (f"/t/{alice.tenant.slug}/start/", f"/t/{alice.tenant.slug}/start/"),
    }[path]
    mark = re.search(r'name="once" value="([^"]+)"', client.get(shown).content.decode())
    assert mark
    form = {**FORM, "overlap_s": "3600", "once": mark[1]}
    assert client.post(sent, form).status_code == 201
    again = client.post(sent, form, follow=True)
    assert again.redirect_chain and "sent before" in again.content.decode()
    assert ApiKey.objects.filter(tenant=alice.tenant).count() == 2
    other = re.search(r'name="once" value="([^"]+)"', client.get(shown).content.decode())
    assert other and other[1] != mark[1]


def test_a_form_with_a_mistake_is_sent_again_with_another_mark(alice: Workspace) -> None:
    client = session_of(alice.owner)
    wrong = client.post(page(alice, "new"), {**FORM, "name": ""})
    mark = re.search(r'name="once" value="([^"]+)"', wrong.content.decode())
    assert mark and client.post(page(alice, "new"), {**FORM, "once": mark[1]}).status_code == 201
