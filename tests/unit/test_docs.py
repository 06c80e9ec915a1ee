"""The docs list every setting, endpoint and error code; whoever adds one is reminded here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import analytics.urls
import gateway.urls
import tenants.urls
from gateway import errors
from nexus import env, up

DOCS = Path(__file__).resolve().parents[2] / "docs"


def settings() -> list[env.Variable]:
    up.Address()
    return sorted(env.VARIABLES.values())


def error_codes() -> set[str]:
    def subclasses(kind: Any) -> set[Any]:
        return {kind} | {found for child in kind.__subclasses__() for found in subclasses(child)}

    return {kind.code for kind in subclasses(errors.GatewayError) if getattr(kind, "code", None)}


@pytest.mark.parametrize("variable", settings(), ids=lambda variable: str(variable.name))
def test_every_setting_is_documented_with_its_help(variable: env.Variable) -> None:
    (line,) = [
        line for line in (DOCS / "settings.md").read_text().splitlines() if line.startswith(f"| `{variable.name}` |")
    ]
    assert variable.help in line


@pytest.mark.parametrize("code", sorted(error_codes()))
def test_every_error_code_is_documented(code: str) -> None:
    assert f"`{code}`" in (DOCS / "api.md").read_text()


@pytest.mark.parametrize("urls", [gateway.urls, analytics.urls, tenants.urls])
def test_every_endpoint_is_documented(urls: Any) -> None:
    text = (DOCS / "api.md").read_text()
    for pattern in urls.urlpatterns:
        if not hasattr(getattr(pattern, "callback", None), "cls"):
            # A page for people.
            continue
        route = str(pattern.pattern).split("<")[0].rstrip("/")
        assert f"/{route}" in text, route
