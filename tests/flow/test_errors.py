"""The pages of what goes wrong, in the product's own look."""

from __future__ import annotations

from django.test import Client, RequestFactory
from django.views.defaults import server_error

from tests.conftest import Workspace
from tests.pages import flat


def test_a_place_that_is_none_leads_on_to_ones_own(alice: Workspace) -> None:
    client = Client()
    stranger = client.get("/no/such/page")
    assert stranger.status_code == 404 and "To the start" in flat(stranger)
    client.force_login(alice.owner)
    assert "To my workspaces" in flat(client.get("/no/such/page"))


def test_a_form_without_its_mark_is_explained() -> None:
    answer = Client(enforce_csrf_checks=True).post("/signup/", {"email": "a@example.com"})
    assert answer.status_code == 403 and "Nothing was changed" in flat(answer)


def test_a_mistake_of_ours_says_so_without_who_is_logged_in() -> None:
    answer = server_error(RequestFactory().get("/"))
    assert answer.status_code == 500 and "Something broke here" in flat(answer) and "Log in" not in flat(answer)
