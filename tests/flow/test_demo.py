"""`manage.py demo`: what somebody who looks around for the first time logs in and calls with."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from nexus.instance import read_env_file
from tenants import apikeys, keys
from tenants.models import ApiKey, Tenant, User


@pytest.fixture
def file(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path / "demo.env"


def key_of(file: Path) -> ApiKey:
    parts = keys.parse(read_env_file(file)["NEXUS_API_KEY"])
    assert parts is not None
    return ApiKey.objects.get(public_id=parts.public_id)


def test_the_demo_can_be_logged_in_to_and_called(file: Path) -> None:
    call_command("demo")
    known = read_env_file(file)
    assert known.keys() == {"NEXUS_URL", "NEXUS_API_KEY", "NEXUS_LOGIN_EMAIL", "NEXUS_LOGIN_PASSWORD"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client = Client()
    login = {"login": known["NEXUS_LOGIN_EMAIL"], "password": known["NEXUS_LOGIN_PASSWORD"], "next": "/t/demo/"}
    assert client.post("/login/", login).headers["Location"] == "/t/demo/"
    assert client.get("/t/demo/").status_code == client.get("/admin/").status_code == 200
    subscription = key_of(file).tenant.subscription
    assert (subscription.plan_id, subscription.overrides) == ("scale", {"requests_per_minute": None})


def test_a_second_run_keeps_everything(file: Path) -> None:
    call_command("demo")
    first, count = file.read_text(), ApiKey.objects.count()
    call_command("demo")
    assert (file.read_text(), ApiKey.objects.count()) == (first, count)


def test_a_key_that_no_longer_works_is_replaced(file: Path) -> None:
    call_command("demo")
    for spoil in (apikeys.revoke, apikeys.rotate):
        old = key_of(file)
        spoil(old)
        call_command("demo")
        assert key_of(file).pk != old.pk
        assert key_of(file).revoked_at is None and key_of(file).expires_at is None


def test_a_lost_file_is_written_again(file: Path) -> None:
    call_command("demo")
    file.unlink()
    call_command("demo")
    known = read_env_file(file)
    assert User.objects.get(email=known["NEXUS_LOGIN_EMAIL"]).check_password(known["NEXUS_LOGIN_PASSWORD"])


def test_no_operator_is_made_where_others_can_reach_it(file: Path, settings: Any) -> None:
    settings.PUBLIC_URL = "https://gateway.example.com"
    with pytest.raises(CommandError, match=r"not made on gateway\.example\.com"):
        call_command("demo")
    assert not file.exists()


def test_a_workspace_of_somebody_else_is_left_alone(file: Path) -> None:
    call_command("demo")
    Tenant.objects.filter(slug="demo").update(email="somebody@example.com")
    try:
        with pytest.raises(CommandError, match="Somebody's workspace"):
            call_command("demo")
    finally:
        Tenant.objects.filter(slug="demo").update(email="demo@example.com")
