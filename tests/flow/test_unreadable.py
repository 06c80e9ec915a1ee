"""What nobody can read is answered with a page that says so, by every page, and is never our mistake."""

from __future__ import annotations

import httpx2
import pytest
from django.test import Client

from tenants.models import User

FORM = "application/x-www-form-urlencoded"
# Django looks at a form only for who has this.
COOKIE = {"cookie": f"csrftoken={'a' * 32}"}
MARK = "This could not be read"


@pytest.mark.parametrize("path", ["/login/", "/signup/", "/nowhere/", "/admin/tenants/tenant/"])
def test_a_form_that_cannot_be_read_is_refused_by_every_page(server: str, path: str) -> None:
    odd = httpx2.post(f"{server}{path}", content=b"a=1", headers={"content-type": f"{FORM}; charset=utf-7", **COOKIE})
    many = httpx2.post(f"{server}{path}", data={f"f{number}": "1" for number in range(1500)}, headers=COOKIE)
    parts = {"content-type": "multipart/form-data; boundary=", **COOKIE}
    broken = httpx2.post(f"{server}{path}", content=b"--x", headers=parts)
    for answer in (odd, many, broken):
        assert answer.status_code == 400 and MARK in answer.text
        assert "content-security-policy" in answer.headers


def test_programs_are_told_in_json(server: str) -> None:
    headers = {"content-type": f"{FORM}; charset=utf-7", **COOKIE}
    answer = httpx2.post(f"{server}/api/register", content=b"a=1", headers=headers)
    assert answer.status_code == 415 and answer.json()["error"]["message"]


LISTS = [
    "tenants/auditevent/?at__year=9999999999",
    "tenants/auditevent/?at__year=9999",
    "billing/ledgerentry/?day__year=-1",
    "billing/ledgerentry/?day__year=99999",
    "billing/ledgerentry/?day__year=²",
    "tenants/auditevent/?action=%00",
    "tenants/auditevent/?action=%00&action=x",
    "tenants/tenant/?status__exact=%00",
    "billing/plan/%00/change/",
    "billing/plan/%00/history/",
    "billing/plan/%00/delete/",
]


@pytest.mark.parametrize("path", LISTS)
def test_what_the_admin_cannot_look_for_is_said_to_be_so(path: str) -> None:
    client = _operator()
    answer = client.get(f"/admin/{path}")
    assert answer.status_code == 400 and MARK in answer.content.decode()


def test_dates_that_there_are_are_looked_for() -> None:
    assert _operator().get("/admin/tenants/auditevent/?at__year=2026&at__month=11&at__day=21").status_code == 200


def _operator() -> Client:
    rights = {"is_staff": True, "is_superuser": True}
    user, _ = User.objects.get_or_create(email="operator@example.com", defaults=rights)
    client = Client()
    client.force_login(user)
    return client
