"""Each role and each action: by every page below /t/<slug>/, and by every endpoint of the management API."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx2
import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tenants import apikeys, roles
from tenants.authentication import MayManage
from tenants.management_views import ManagementView
from tenants.models import Membership, Role
from tenants.roles import Action
from tests.conftest import Workspace

METHODS = ("get", "post", "put", "patch", "delete")
# A value of each kind that a path may ask for; nothing has it.
NOBODY = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "int": "999999999",
    "str": "nobody",
    "slug": "nobody",
    "path": "nobody",
}


class Place(NamedTuple):
    route: str
    view: Any

    def path(self, slug: str = "nobody") -> str:
        route = self.route.replace("<slug:slug>", slug)
        return "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda found: NOBODY[found[1] or "str"], route)


def places(found: Any = None, before: str = "") -> Iterator[Place]:
    for pattern in (found or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from places(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield Place(route, pattern.callback)


PAGES = [place for place in places() if place.route.startswith("t/<slug:slug>/")]
ENDPOINTS = [
    place
    for place in places()
    if issubclass(getattr(place.view, "view_class", object), ManagementView)
    and any(issubclass(gate, MayManage) for gate in place.view.view_class.permission_classes)
]


@contextlib.contextmanager
def session_of(server: str, user: Any) -> Iterator[httpx2.Client]:
    """A browser's, without following where an answer leads."""
    logged_in = Client()
    logged_in.force_login(user)
    token = "a" * 32
    cookies = {settings.SESSION_COOKIE_NAME: logged_in.cookies[settings.SESSION_COOKIE_NAME].value, "csrftoken": token}
    with httpx2.Client(base_url=server, cookies=cookies, headers={"X-CSRFToken": token}, timeout=30) as client:
        yield client


@contextlib.contextmanager
def program_of(server: str, key: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        yield client


def test_every_page_of_a_workspace_says_for_whom_it_is() -> None:
    assert len(PAGES) > 50
    assert [place.route for place in PAGES if not hasattr(place.view, "actions")] == []


def test_every_action_is_needed_somewhere() -> None:
    needed = {action for place in PAGES for action in place.view.actions.values()}
    assert needed == set(Action)


@pytest.mark.parametrize("role", Role)
def test_a_role_opens_what_the_table_says_and_nothing_else(
    server: str, alice: Workspace, make_member: Callable[..., Any], role: Role
) -> None:
    """To whom a page belongs comes first: before the method, what was sent, and whether there is such a thing."""
    user = make_member(alice, role)
    wrong = []
    with session_of(server, user) as browser:
        for place in PAGES:
            for method, action in place.view.actions.items():
                status = browser.request(method, place.path(alice.tenant.slug)).status_code
                if (status == 403) == roles.may(role, action) or status == 500:
                    wrong.append((method, place.route, action, status))
            # Some pages end a membership.
            Membership.objects.update_or_create(user=user, tenant=alice.tenant, defaults={"role": role})
    assert wrong == []


@pytest.mark.parametrize("role", Role)
def test_a_key_opens_what_its_makers_role_may_do_and_nothing_else(server: str, alice: Workspace, role: Role) -> None:
    scopes = sorted(roles.scopes_of(role))
    issued = apikeys.issue(alice.tenant, name=f"of {role}", scopes=scopes)
    wrong = []
    with program_of(server, issued.text) as program:
        for place, method in calls():
            view = place.view.view_class
            looks = method == "get" and MayManage not in view.permission_classes
            action = view.to_read if method == "get" and view.to_read else view.action
            answer = program.request(method, place.path())
            refused = answer.status_code == 403 and "lacks the scope" in answer.text
            if refused == (looks or roles.does(scopes, action)) or answer.status_code == 500:
                wrong.append((method, place.route, action, answer.status_code))
    assert wrong == []


def test_a_key_without_scopes_changes_nothing(server: str, alice: Workspace) -> None:
    with program_of(server, alice.key) as program:
        for place, method in calls():
            if method != "get":
                assert program.request(method, place.path()).status_code == 403, (method, place.route)


def calls() -> Iterator[tuple[Place, str]]:
    for place in ENDPOINTS:
        yield from ((place, method) for method in METHODS if hasattr(place.view.view_class, method))
