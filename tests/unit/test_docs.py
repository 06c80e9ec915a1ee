"""The docs list every setting, endpoint and error code; whoever adds one is reminded here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import analytics.urls
import gateway.urls
import tenants.urls
from gateway import errors
from nexus import env, up

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# Exceptions of DRF's kind, whose second argument is a code. Billing's are its own, in docs/billing.md.
_WITH_CODE = frozenset({"AuthenticationFailed", "Conflict", "NotAuthenticated", "ParseError", "PermissionDenied"})


def settings() -> list[env.Variable]:
    up.Address()
    return sorted(env.VARIABLES.values())


def error_codes() -> set[str]:
    def subclasses(kind: Any) -> set[Any]:
        return {kind} | {found for child in kind.__subclasses__() for found in subclasses(child)}

    of_classes = {kind.code for kind in subclasses(errors.GatewayError) if getattr(kind, "code", None)}
    sources = [path for app in ("analytics", "gateway", "tenants") for path in (ROOT / app).rglob("*.py")]
    return of_classes | {code for path in sources for code in codes_in(path.read_text())}


def codes_in(source: str) -> Iterator[str]:
    """What is raised with a code of its own: `code="…"`, or a second argument; also where it was chosen before."""
    for node in ast.walk(ast.parse(source)):
        found: list[ast.expr] = []
        if isinstance(node, ast.Call):
            found = [each.value for each in node.keywords if each.arg == "code"]
            if getattr(node.func, "id", "") in _WITH_CODE:
                found += node.args[1:2]
        elif isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "code" for target in node.targets):
            found = [node.value]
        for value in found:
            chosen = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            yield from (one.value for one in chosen if isinstance(one, ast.Constant) and isinstance(one.value, str))


def test_codes_are_found_wherever_they_are_raised() -> None:
    assert {"budget_exceeded", "platform_busy", "own_provider_needed", "limit_reached"} <= error_codes()


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
