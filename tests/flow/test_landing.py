"""The front page: its example is limited, and runs only in the workspace that is made for it; its plans are ours."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from billing.models import Plan
from gateway import landing, showcase
from tenants import apikeys, provisioning, registration
from tenants.models import ApiKey, AuditEvent, Membership, Tenant

NOT_SET_UP, TOO_OFTEN = b"not set up on this gateway", b"That was often"


@pytest.fixture
def closed() -> None:
    """Nobody's calls are counted there: it does not run."""
    ApiKey.objects.filter(tenant__slug=showcase.SLUG).update(revoked_at=timezone.now())


def run(client: Client, question: str = "0", **more: Any) -> Any:
    return client.post("/try", {"question": question}, **more)


def test_an_address_runs_it_so_often(closed: None) -> None:
    address = f"198.51.{uuid.uuid4().int % 250}.{uuid.uuid4().int % 250}"
    answers = [run(Client(REMOTE_ADDR=address)).content for _ in range(landing.RUNS_PER_MINUTE + 1)]
    assert all(NOT_SET_UP in answer for answer in answers[:-1]) and TOO_OFTEN in answers[-1]


@pytest.mark.parametrize("question", ["", "3", "-1", "x" * 10_000, "²"])
def test_a_question_that_is_not_there_is_the_first(closed: None, question: str) -> None:
    page = run(Client(REMOTE_ADDR="127.0.0.3"), question)
    assert page.status_code == 200 and page.context["example"].chosen == 0


def test_a_script_is_sent_the_part_and_a_browser_without_one_the_page(closed: None) -> None:
    whole = run(Client()).content
    part = run(Client(), headers={"HX-Request": "true"}).content
    assert b"<html" in whole and b"<html" not in part and NOT_SET_UP in part
    assert Client().get("/try").status_code == 405


def test_the_page_is_cheap_and_names_the_plans(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(2):
        page = Client().get("/").content.decode()
    for plan in Plan.objects.filter(is_public=True):
        assert plan.name in page and f"${plan.price_usd:,.2f}" in page


def test_it_is_made_once_and_nobody_is_in_it() -> None:
    call_command("showcase")
    key = showcase.find_key()
    assert key is not None
    call_command("showcase")
    assert showcase.find_key() == key
    assert not Membership.objects.filter(tenant=key.tenant).exists()
    assert AuditEvent.objects.filter(tenant=key.tenant, action="tenant.created").count() == 1


def test_somebodys_workspace_of_that_name_is_not_used() -> None:
    made = registration.register(f"{uuid.uuid4().hex}@example.com", name=showcase.SLUG)
    assert made.tenant.slug != showcase.SLUG
    showcase.prepare()
    Tenant.objects.filter(slug=showcase.SLUG).update(email="somebody@example.com")
    try:
        assert showcase.find_key() is None
        with pytest.raises(provisioning.SlugTaken):
            showcase.prepare()
    finally:
        Tenant.objects.filter(slug=showcase.SLUG).update(email=showcase.EMAIL)
    assert apikeys.living(showcase.prepare()).exists()
