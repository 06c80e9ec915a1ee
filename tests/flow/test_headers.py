"""What each answer tells browsers and proxies to do with it, and not to."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from django.test import Client

from tests.calls import chat
from tests.conftest import Workspace

PAGES = ["/", "/login/", "/signup/", "/account/password/reset/", "/admin/login/", "/api/docs/", "/no-such-page"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_what_it_says_and_in_nobodys_frame(path: str) -> None:
    headers = Client().get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] in {"same-origin", "no-referrer", "strict-origin"}
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"] and "frame-ancestors 'none'" in str(headers)


def test_browsers_come_back_by_tls_alone_where_it_is_there(settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    assert Client().get("/login/", secure=True).headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "Strict-Transport-Security" not in Client().get("/login/").headers


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/usage",
        "/v1/usage/costs",
        "/v1/admin/api-keys",
        "/api/providers",
        "/stats",
        "/v1/none",
        "/auth/x",
    ],
)
def test_what_programs_are_told_is_not_kept(server: str, alice: Workspace, path: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {alice.key}"}):
        answer = httpx2.get(f"{server}{path}", headers=headers)
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_refusal_at_the_edge_is_not_kept(server: str, alice: Workspace) -> None:
    for answer in (chat(server, "nk-wrong"), httpx2.get(f"{server}/v1/chat/completions"), chat(server, alice.key, "")):
        assert answer.status_code >= 400
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_cookies_are_kept_from_scripts_and_other_sites(settings: Any) -> None:
    assert settings.SESSION_COOKIE_HTTPONLY and settings.SESSION_COOKIE_SAMESITE == "Lax"
    assert settings.CSRF_COOKIE_SAMESITE == "Lax"
