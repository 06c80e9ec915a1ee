"""The routing pages without a browser: routes and providers by forms, each fault beside its field, and no key shown."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gateway.models import CallSettings, Provider, Route
from gateway.pages.urls import ROUTING
from tenants import secretbox
from tenants.db import schema_of
from tenants.models import AuditEvent, Role
from tests.booked import book
from tests.calls import chat, make_route
from tests.conftest import Workspace
from tests.pages import as_user, fault_of, flat
from tests.sockets import session_of
from tests.usage import miss

SECRET = "sk-a-very-secret-credential"
PROVIDER = {
    "name": "own",
    "kind": "openai",
    "base_url": "https://api.example.com/v1",
    "api_key": SECRET,
    "enabled": "on",
}
PATHS = [
    str(each.pattern).removeprefix("t/<slug:slug>/routing/").replace("<int:id>", "1").replace("<slug:name>", "own")
    for each in ROUTING
]


def routing(workspace: Workspace, path: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/routing/{path}"


@pytest.fixture
def client(alice: Workspace) -> Client:
    """Alice's."""
    return session_of(alice.owner)


def make_provider(workspace: Workspace, name: str = "own", **fields: Any) -> Provider:
    with schema_of(workspace.tenant):
        sealed = secretbox.seal(SECRET)
        return Provider.objects.create(**{"name": name, "kind": "openai", "credential": sealed, **fields})


def row(at: int, model: str, provider: str = "", **fields: Any) -> dict[str, Any]:
    values = {"provider": provider, "model": model, "weight": "1", "tier": "", **fields}
    return {f"target-{at}-{name}": value for name, value in values.items()}


def form(*rows: dict[str, Any], **fields: Any) -> dict[str, Any]:
    sent = {"model": "house", "strategy": "fallback", "rows": str(len(rows)), "act": "save", **fields}
    for each in rows:
        sent |= each
    return sent


def routes(workspace: Workspace) -> dict[str, Any]:
    """As (strategy, [(provider, model, weight, tier)]) by name."""
    with schema_of(workspace.tenant):
        return {
            route.model: (
                route.strategy,
                [(t.provider and t.provider.name, t.upstream_model, t.weight, t.tier) for t in route.targets.all()],
            )
            for route in Route.objects.prefetch_related("targets__provider")
        }


def audited(workspace: Workspace, prefix: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(tenant=workspace.tenant, action__startswith=prefix).order_by("pk"))


# --- who may what ----------------------------------------------------------------------------------------------------


def test_a_stranger_cannot_tell_any_routing_page_from_none(alice: Workspace, mallory: Workspace) -> None:
    client, nobody = session_of(mallory.owner), Client()
    for path in PATHS:
        for slug in (alice.tenant.slug, "there-is-no-such"):
            for method in ("get", "post"):
                assert getattr(client, method)(f"/t/{slug}/routing/{path}").status_code == 404, path
        assert nobody.get(routing(alice, path)).status_code == 302


def test_what_is_alices_cannot_be_reached_through_mallorys_own_pages(alice: Workspace, mallory: Workspace) -> None:
    make_provider(alice, "hers")
    make_route(alice, "hers", ("hers", "gpt-4o"))
    with schema_of(alice.tenant):
        route_id = Route.objects.get().pk
    client = session_of(mallory.owner)
    for path in (f"routes/{route_id}/", f"routes/{route_id}/delete", "providers/hers/", "providers/hers/delete"):
        assert client.get(routing(mallory, path)).status_code == 404
    sent = form(row(0, "x"))
    acts = (f"routes/{route_id}/change", f"routes/{route_id}/delete", "providers/hers/change", "providers/hers/test")
    for path in acts:
        assert client.post(routing(mallory, path), sent).status_code == 404
    assert routes(alice) == {"hers": ("fallback", [("hers", "gpt-4o", 1, "")])}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE, Role.DEVELOPER])
def test_members_look_and_change_what_their_role_allows(
    alice: Workspace, make_member: Callable[..., Any], role: str
) -> None:
    make_provider(alice)
    make_route(alice, "house", ("own", "gpt-4o"))
    with schema_of(alice.tenant):
        route_id = Route.objects.get().pk
    client = session_of(make_member(alice, role))
    for path in ("", f"routes/{route_id}/", "providers/", "providers/own/", "results/", "explain/", "calls/"):
        page = client.get(routing(alice, path))
        assert page.status_code == 200 and SECRET not in page.content.decode()
    for path in ("new-provider", "providers/own/delete"):
        assert client.get(routing(alice, path)).status_code == 403
    for path in ("new-provider", "providers/own/change", "providers/own/delete", "providers/own/test"):
        assert client.post(routing(alice, path), PROVIDER).status_code == 403
    changes = 302 if role == Role.DEVELOPER else 403
    assert client.post(routing(alice, f"routes/{route_id}/change"), form(row(0, "x", "own"))).status_code == changes
    leaving = {"on_disconnect": "cancel", "drain_limit_s": "5"}
    assert client.post(routing(alice, "calls/change"), leaving).status_code == changes


def test_a_form_without_the_csrf_token_changes_nothing(alice: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)
    assert client.post(routing(alice, "routes/new"), form(row(0, "gpt-4o"))).status_code == 403
    assert routes(alice) == {}


# --- routes ----------------------------------------------------------------------------------------------------------


def test_a_route_is_made_changed_and_deleted_and_the_log_says_by_whom(alice: Workspace, client: Client) -> None:
    make_provider(alice)
    made = client.post(routing(alice, "routes/new"), form(row(0, "gpt-4o", "own"), row(1, "gpt-4o-mini")), follow=True)
    assert "house" in flat(made) and routes(alice) == {
        "house": ("fallback", [("own", "gpt-4o", 1, ""), (None, "gpt-4o-mini", 1, "")])
    }
    with schema_of(alice.tenant):
        route_id = Route.objects.get().pk
    weights = form(row(0, "gpt-4o", "own", weight="9"), row(1, "gpt-4o-mini", weight="1"), strategy="weighted")
    # A route keeps its name, whatever is sent.
    client.post(
        routing(alice, f"routes/{route_id}/change"), {**weights, "model": "other", "threshold": "0.9", "shadow": "on"}
    )
    assert routes(alice)["house"] == ("weighted", [("own", "gpt-4o", 9, ""), (None, "gpt-4o-mini", 1, "")])
    with schema_of(alice.tenant):
        assert Route.objects.get().cache == {"shadow": True, "threshold": 0.9}
    page = flat(client.get(routing(alice)))
    assert "90 %" in page and "10 %" in page and "Own cache settings" in page
    assert "90 %" in flat(client.get(routing(alice, f"routes/{route_id}/")))
    assert "Delete house?" in flat(client.get(routing(alice, f"routes/{route_id}/delete"))) and routes(alice)
    client.post(routing(alice, f"routes/{route_id}/delete"))
    assert routes(alice) == {}
    rows = audited(alice, "route.")
    assert [each.action for each in rows] == ["route.created", "route.replaced", "route.deleted"]
    assert {each.actor for each in rows} == {alice.owner} and rows[0].ip_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("act", "after"),
    [
        ("add", ["a", "b", "c", ""]),
        ("remove-1", ["a", "c"]),
        ("up-2", ["a", "c", "b"]),
        ("down-0", ["b", "a", "c"]),
        ("up-0", ["a", "b", "c"]),
        ("down-2", ["a", "b", "c"]),
        ("remove-9999", ["a", "b", "c"]),
        ("up-²", ["a", "b", "c"]),
        ("look", ["a", "b", "c"]),
    ],
)
def test_rows_come_go_and_move_by_buttons_and_nothing_is_saved(
    alice: Workspace, client: Client, act: str, after: list[str]
) -> None:
    sent = form(*(row(at, model) for at, model in enumerate("abc")), act=act, strategy="weighted")
    answer = client.post(routing(alice, "routes/new"), sent)
    targets = [target["model"].value() or "" for target, _share in answer.context["rows"]]
    assert (answer.status_code, targets, routes(alice)) == (200, after, {})
    assert answer.context["form"]["model"].value() == "house"


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        (form(row(0, "a"), model=""), "id_model", "blank"),
        (form(row(0, "a"), model="x" * 130), "id_model", "120 characters"),
        (form(row(0, "a"), hedge_after_ms="soon"), "id_hedge_after_ms", "integer"),
        (form(row(0, "a"), row(1, "")), "id_target-1-model", "blank"),
        (form(row(0, "a"), row(1, "b", weight="-1")), "id_target-1-weight", "or equal to 0"),
        (form(row(0, "a"), row(1, "b", weight="1000001"), strategy="weighted"), "id_target-1-weight", "1000000"),
        (form(row(0, "a", "gone")), "id_target-0-provider", "gone"),
        (form(row(0, "a"), threshold="0.2"), "id_threshold", "0.5"),
        (form(row(0, "a"), ttl_s="for ever"), "id_ttl_s", "integer"),
    ],
)
def test_each_fault_is_beside_its_field(
    alice: Workspace, client: Client, sent: dict[str, Any], field: str, says: str
) -> None:
    answer = client.post(routing(alice, "routes/new"), sent)
    assert answer.status_code == 400 and says in fault_of(flat(answer), field)
    assert routes(alice) == {}


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (form(row(0, "a"), row(1, "a")), "there twice"),
        (form(row(0, "a", weight="0"), strategy="weighted"), "above 0"),
        (form(row(0, "a", tier="simple"), strategy="complexity"), "of tier “complex”"),
        (form(rows="0"), "not be empty"),
        (form(rows="many"), "not be empty"),
        (form(row(0, "a"), strategy="by-mood"), "by-mood"),
        (form(row(0, "a\0b")), "Null characters"),
    ],
)
def test_what_no_single_field_is_to_blame_for_is_said_as_well(
    alice: Workspace, client: Client, sent: dict[str, Any], says: str
) -> None:
    answer = client.post(routing(alice, "routes/new"), sent)
    assert answer.status_code == 400 and says in flat(answer) and routes(alice) == {}


def test_two_routes_do_not_share_a_name(alice: Workspace, client: Client) -> None:
    for status in (302, 400):
        answer = client.post(routing(alice, "routes/new"), form(row(0, "a")))
        assert answer.status_code == status
    assert "taken" in fault_of(flat(answer), "id_model")


# --- providers -------------------------------------------------------------------------------------------------------


def test_a_provider_is_added_and_its_key_is_never_shown(alice: Workspace, client: Client) -> None:
    sent = {**PROVIDER, "models": "gpt-4o\n\n gpt-4o-mini ", "max_concurrency": "8", "first_byte_timeout_s": "2.5"}
    page = flat(client.post(routing(alice, "new-provider"), sent, follow=True))
    assert "kept, encrypted" in page and SECRET not in page
    with schema_of(alice.tenant):
        made = Provider.objects.get()
    assert secretbox.open_sealed(bytes(made.credential)) == SECRET and made.max_concurrency == 8
    assert made.settings == {"models": ["gpt-4o", "gpt-4o-mini"], "first_byte_timeout_s": 2.5}
    # An empty key keeps the one there is; what else the form has is replaced.
    client.post(routing(alice, "providers/own/change"), {**sent, "api_key": "", "models": "gpt-5", "position": "3"})
    with schema_of(alice.tenant):
        made = Provider.objects.get()
    assert secretbox.open_sealed(bytes(made.credential)) == SECRET
    assert (made.settings["models"], made.position) == (["gpt-5"], 3)
    client.post(routing(alice, "providers/own/change"), {**sent, "api_key": "", "without_key": "on"})
    with schema_of(alice.tenant):
        assert not Provider.objects.get().credential
    rows = audited(alice, "provider.")
    assert [each.action for each in rows] == ["provider.created", "provider.changed", "provider.changed"]
    assert SECRET not in str([(each.before, each.after) for each in rows])


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"name": "no spaces"}, "id_name", "letters"),
        ({"base_url": "http://169.254.169.254/"}, "id_base_url", "public"),
        ({"base_url": "ftp://example.com"}, "id_base_url", "URL"),
        ({"kind": "vllm", "base_url": ""}, "id_base_url", "needs one"),
        ({"api_key": "two words"}, "id_api_key", "pattern"),
        ({"max_concurrency": "0"}, "id_max_concurrency", "1"),
        ({"position": "first"}, "id_position", "integer"),
        ({"failure_rate": "nan"}, "id_failure_rate", "number"),
        ({"models": "x" * 121}, "id_models", "120"),
        ({"api_version": "2024 10"}, "id_api_version", "pattern"),
    ],
)
def test_what_is_wrong_with_a_provider_is_beside_its_field(
    alice: Workspace, client: Client, fields: dict[str, str], field: str, says: str
) -> None:
    answer = client.post(routing(alice, "new-provider"), {**PROVIDER, **fields})
    page = flat(answer)
    assert answer.status_code == 400 and says in fault_of(page, field), fault_of(page, field)
    assert SECRET not in page
    with schema_of(alice.tenant):
        assert not Provider.objects.exists()


def test_a_key_does_not_follow_to_another_address(alice: Workspace, client: Client) -> None:
    make_provider(alice, base_url="https://api.example.com/v1")
    sent = {**PROVIDER, "api_key": "", "base_url": "https://elsewhere.example.com/v1"}
    answer = client.post(routing(alice, "providers/own/change"), sent)
    assert answer.status_code == 400 and "Send it again" in fault_of(flat(answer), "id_api_key")


def test_a_provider_that_routes_lead_to_stays(alice: Workspace, client: Client) -> None:
    make_provider(alice)
    make_route(alice, "house", ("own", "gpt-4o"))
    assert "have to be changed first" in flat(client.get(routing(alice, "providers/own/delete")))
    assert "Routes lead to" in flat(client.post(routing(alice, "providers/own/delete"), follow=True))
    with schema_of(alice.tenant):
        Route.objects.all().delete()
    client.post(routing(alice, "providers/own/delete"))
    with schema_of(alice.tenant):
        assert not Provider.objects.exists()


def test_a_test_says_whether_the_provider_answers(
    server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    with_provider(alice)
    with as_user(server, alice.owner) as browser:
        page = flat(browser.post(routing(alice, "providers/fake/test"), data={"model": "echo"}))
        assert "It answers" in page and "Reply with the single word" in page
        page = flat(browser.post(routing(alice, "providers/fake/test"), data={"model": "status-401"}))
        assert "It does not answer" in page and "status 401" in page and "sk-upstream" not in page
        for model in ("", "a\tb", "x" * 500):
            answer = browser.post(routing(alice, "providers/fake/test"), data={"model": model})
            assert answer.status_code in (200, 400)
        part = browser.post(routing(alice, "providers/fake/test"), data={"model": "ok"}, headers={"HX-Request": "true"})
        assert part.text.lstrip().startswith("<p") and "It answers" in part.text


def test_an_open_breaker_is_shown(
    server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    with_provider(alice)
    model = f"status-500-{uuid.uuid4().hex[:6]}"
    for _ in range(3):
        chat(server, alice.key, f"fake/{model}")
    with as_user(server, alice.owner) as browser:
        page = flat(browser.get(routing(alice, "health")))
    assert 'id="breaker-fake"' in page and f"open: {model}" in page


# --- results, explain, calls -----------------------------------------------------------------------------------------


def test_results_tell_how_each_variant_did(alice: Workspace, client: Client) -> None:
    events = [miss(alice, model="house", variant="own/gpt-4o") for _ in range(3)]
    events += [miss(alice, model="house", variant="own/gpt-4o-mini", status=502, cost_usd=Decimal(0))]
    book(alice, *events)
    make_provider(alice)
    make_route(alice, "house", ("own", "gpt-4o"))
    page = flat(client.get(routing(alice, "results/")))
    assert f'hx-get="{routing(alice, "results/figures")}?model=house&amp;days=7"' in page
    page = flat(client.get(routing(alice, "results/figures?model=house&days=1")))
    assert "own/gpt-4o" in page and "100.0 %" in page and "<html" in page
    part = client.get(routing(alice, "results/figures?model=house"), headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode() and "own/gpt-4o-mini" in part.content.decode()
    assert "Nobody asked for “other”" in flat(client.get(routing(alice, "results/figures?model=other")))
    for odd in ("model=%00&days=1", "model=a&days=x", "model=" + "x" * 999):
        assert client.get(routing(alice, f"results/figures?{odd}")).status_code == 200


def test_results_of_very_many_requests_say_since_when(
    alice: Workspace, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pages.routing.LATEST", 2)
    now = timezone.now().timestamp()
    book(alice, *(miss(alice, model="house", provider=name, at=now - ago) for name, ago in (("b", 1), ("a", 2))))
    figures = routing(alice, "results/figures?model=house")
    assert "the newest requests, since" not in flat(client.get(figures))
    book(alice, miss(alice, model="house", provider="older", at=now - 3))
    page = flat(client.get(figures))
    assert "the newest requests, since" in page and "older/" not in page and "a/gpt-4o-mini" in page


def test_explain_names_the_target_and_why(
    server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    with_provider(alice)
    make_route(alice, "house", "ok", "echo", strategy="weighted")
    with as_user(server, alice.owner) as browser:
        page = flat(
            browser.post(routing(alice, "explain/"), data={"model": "house", "question": "Why?", "user": "ann"})
        )
        assert "asked first" in page and "Drawn by weight" in page and "Variant:" in page
        page = flat(browser.post(routing(alice, "explain/"), data={"model": "auto", "question": "Hello"}))
        assert "counts as simple" in page or "would be refused" in page
        page = flat(browser.post(routing(alice, "explain/"), data={"model": "nobody/has", "question": "<b>Hello</b>"}))
        assert "<b>Hello" not in page
        assert browser.post(routing(alice, "explain/"), data={"model": "house"}).status_code == 400


def test_what_leaving_does_is_changed(alice: Workspace, client: Client) -> None:
    sent = {"on_disconnect": "cancel", "drain_limit_s": "90"}
    assert client.post(routing(alice, "calls/change"), sent).status_code == 302
    with schema_of(alice.tenant):
        held = CallSettings.objects.get()
    assert (held.on_disconnect, held.drain_limit_s) == ("cancel", 90)
    assert [each.actor for each in audited(alice, "call_settings.")] == [alice.owner]
    answer = client.post(routing(alice, "calls/change"), {**sent, "drain_limit_s": "4000"})
    assert answer.status_code == 400 and "3600" in fault_of(flat(answer), "id_drain_limit_s")
