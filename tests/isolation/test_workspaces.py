"""People: whoever is no member of a workspace, or is none any more, sees and changes nothing of it."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tenants.models import Membership, Role
from tests.conftest import Workspace
from tests.sockets import session_of


def without_token(page: bytes) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"|"X-CSRFToken": "\w+"', b"", page)


def test_a_stranger_sees_the_same_as_where_nothing_is(alice: Workspace, mallory: Workspace) -> None:
    client = session_of(mallory.owner)
    there, nowhere = (client.get(f"/t/{slug}/") for slug in (alice.tenant.slug, "there-is-no-such"))
    assert there.status_code == nowhere.status_code == 404
    assert without_token(there.content) == without_token(nowhere.content)
    assert there.headers.keys() == nowhere.headers.keys()


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
def test_no_method_opens_anothers_workspace(alice: Workspace, mallory: Workspace, method: str) -> None:
    answer = getattr(session_of(mallory.owner), method)(f"/t/{alice.tenant.slug}/")
    assert answer.status_code == 404


def test_an_operator_is_no_member_of_everything(alice: Workspace, mallory: Workspace) -> None:
    mallory.owner.is_staff = mallory.owner.is_superuser = True
    mallory.owner.save()
    assert session_of(mallory.owner).get(f"/t/{alice.tenant.slug}/").status_code == 404


def test_who_is_removed_is_out_at_once(alice: Workspace, mallory: Workspace) -> None:
    client = session_of(mallory.owner)
    membership = Membership.objects.create(user=mallory.owner, tenant=alice.tenant, role=Role.VIEWER)
    assert client.get(f"/t/{alice.tenant.slug}/").status_code == 200
    membership.delete()
    assert client.get(f"/t/{alice.tenant.slug}/").status_code == 404


def test_who_is_deactivated_is_out_at_once(alice: Workspace) -> None:
    client = session_of(alice.owner)
    alice.owner.is_active = False
    alice.owner.save()
    assert client.get(f"/t/{alice.tenant.slug}/").status_code == 302
    refused = Client().post("/login/", {"login": alice.owner.email, "password": "correct horse 9 battery"})
    assert refused.status_code == 302 and refused.headers["Location"] == "/account/inactive/"


def test_who_logs_out_is_out(alice: Workspace) -> None:
    client = session_of(alice.owner)
    client.post("/logout/")
    assert client.get(f"/t/{alice.tenant.slug}/").status_code == 302


def test_another_site_cannot_log_out_or_sign_up_for_a_visitor(alice: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)
    assert client.post("/logout/").status_code == 403
    assert client.post("/signup/", {"email": "a@example.com", "password": "correct horse 9"}).status_code == 403
    assert client.get("/workspaces/").status_code == 302


def test_the_list_shows_ones_own_workspaces_only(alice: Workspace, mallory: Workspace) -> None:
    second = Membership.objects.create(user=alice.owner, tenant=mallory.tenant, role=Role.FINANCE)
    page = session_of(alice.owner).get("/workspaces/").content.decode()
    assert alice.tenant.slug in page and mallory.tenant.slug in page
    second.delete()
    only = session_of(alice.owner).get("/workspaces/")
    assert only.status_code == 302 and only.headers["Location"] == f"/t/{alice.tenant.slug}/"


def test_no_page_of_a_workspace_may_be_kept_or_framed(alice: Workspace) -> None:
    page = session_of(alice.owner).get(f"/t/{alice.tenant.slug}/")
    assert "no-store" in page.headers["Cache-Control"] and page.headers["X-Frame-Options"] == "DENY"
