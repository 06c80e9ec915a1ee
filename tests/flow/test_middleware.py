"""A view at `/t/<slug>/…` runs within the workspace's schema; nothing else does, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client, RequestFactory

from gateway.models import Provider
from tenants import suspension
from tenants.middleware import WorkspaceMiddleware
from tests.conftest import Workspace
from tests.database import current_schema

View = Callable[[HttpRequest], HttpResponseBase]


def visit(path: str, user: Any, view: View) -> HttpResponseBase:
    request = RequestFactory().get(path)
    request.user = user
    answer = WorkspaceMiddleware(view)(request)
    assert current_schema() == "public"
    return answer


def say_schema(request: HttpRequest) -> HttpResponse:
    return HttpResponse(current_schema())


def never(request: HttpRequest) -> HttpResponse:
    raise AssertionError("the view must not run")


@pytest.mark.parametrize("rest", ["", "/", "/cache/", "/a/b/c?d=e"])
def test_a_member_is_within_the_workspaces_schema(alice: Workspace, rest: str) -> None:
    answer = visit(f"/t/{alice.tenant.slug}{rest}", alice.owner, say_schema)
    assert answer.getvalue().decode() == alice.tenant.schema_name


def test_the_view_is_told_the_membership(alice: Workspace) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        membership = request.membership  # type: ignore[attr-defined]
        return HttpResponse(f"{membership.tenant} {membership.role}")

    answer = visit(f"/t/{alice.tenant.slug}/", alice.owner, view)
    assert answer.getvalue().decode() == f"{alice.tenant.slug} owner"


@pytest.mark.parametrize("path", ["/", "/t", "/tea/", "/workspaces/", "/T/x/"])
def test_other_paths_stay_in_public(alice: Workspace, path: str) -> None:
    answer = visit(path, alice.owner, say_schema)
    assert answer.getvalue() == b"public"


def test_an_exception_leaves_the_schema(alice: Workspace) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise LookupError("broken")

    with pytest.raises(LookupError):
        visit(f"/t/{alice.tenant.slug}/", alice.owner, view)
    assert current_schema() == "public"


def test_a_failed_query_leaves_the_schema(alice: Workspace) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        return HttpResponse()

    with pytest.raises(Exception, match="division"):
        visit(f"/t/{alice.tenant.slug}/", alice.owner, view)
    assert visit("/", alice.owner, say_schema).getvalue() == b"public"
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        assert cursor.fetchone() == ("public",)


def test_what_a_view_writes_lands_in_its_workspace_only(alice: Workspace, mallory: Workspace) -> None:
    def write(request: HttpRequest) -> HttpResponse:
        Provider.objects.create(name="mine", kind="simulated")
        return HttpResponse()

    def count(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(Provider.objects.count()))

    visit(f"/t/{alice.tenant.slug}/", alice.owner, write)
    for workspace, expected in ((alice, b"1"), (mallory, b"0")):
        answer = visit(f"/t/{workspace.tenant.slug}/", workspace.owner, count)
        assert answer.getvalue() == expected


def test_who_is_not_logged_in_is_led_back_after_the_login(alice: Workspace) -> None:
    answer = visit(f"/t/{alice.tenant.slug}/cache/?q=a%26b", AnonymousUser(), never)
    assert answer.status_code == 302
    assert answer["Location"] == f"/login/?next=/t/{alice.tenant.slug}/cache/%3Fq%3Da%2526b"


@pytest.mark.parametrize("slug", ["", "nobody-has-this", "a%00b", "%ff", "%ed%a0%80", "a'b", "..", "%2e%2e", "ſ"])
def test_what_is_no_workspace_of_ones_own_is_not_found(alice: Workspace, slug: str) -> None:
    assert visit(f"/t/{slug}/", alice.owner, never).status_code == 404


def test_a_member_of_a_suspended_workspace_still_sees_it(alice: Workspace) -> None:
    suspension.suspend(alice.tenant)
    client = Client()
    client.force_login(alice.owner)
    page = client.get(f"/t/{alice.tenant.slug}/")
    assert page.status_code == 200 and b"suspended" in page.content
