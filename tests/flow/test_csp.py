"""The Content-Security-Policy header: nothing inline, but where others' pages need it."""

from __future__ import annotations

import pytest
from django.test import Client


def policy_of(path: str) -> dict[str, str]:
    header = Client().get(path).headers["Content-Security-Policy"]
    parts = (part.strip().partition(" ") for part in header.split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize("path", ["/", "/login/", "/no-such-page"])
def test_no_page_may_run_or_style_anything_inline(path: str) -> None:
    policy = policy_of(path)
    assert policy["default-src"] == "'self'" and policy["object-src"] == policy["base-uri"] == "'none'"
    assert not any("unsafe" in value for value in policy.values())


def test_a_form_may_lead_on_to_stripe_alone() -> None:
    assert policy_of("/")["form-action"] == "'self' https://checkout.stripe.com https://billing.stripe.com"


def test_the_admin_and_the_api_docs_have_what_they_need_and_no_more() -> None:
    assert policy_of("/admin/login/")["script-src"] == "'self' 'unsafe-inline' 'unsafe-eval'"
    assert "script-src" not in policy_of("/api/docs/") and policy_of("/api/docs/")["style-src"].endswith(
        "'unsafe-inline'"
    )
