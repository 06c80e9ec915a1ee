"""The description at /api/schema/: valid, complete, and of this gateway."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

import analytics.urls
import gateway.urls
import tenants.urls
from gateway.dialects import chat_fields, simple_chat
from gateway.errors import GatewayError
from gateway.openapi import paths
from gateway.urls import EDGE_PATHS
from gateway.views import StoredResponseView


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    generator: Any = SchemaGenerator
    made: dict[str, Any] = generator().get_schema(public=True)
    return made


def test_the_description_is_valid_and_nothing_in_it_is_a_guess(description: dict[str, Any]) -> None:
    validate: Any = validate_schema
    validate(description)
    assert not GENERATOR_STATS


@pytest.mark.parametrize("urls", [gateway.urls, analytics.urls, tenants.urls])
def test_every_endpoint_is_described(description: dict[str, Any], urls: Any) -> None:
    views = [pattern for pattern in urls.urlpatterns if hasattr(getattr(pattern, "callback", None), "cls")]
    assert views
    for pattern in views:
        path = "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        nothing_there = issubclass(pattern.callback.cls, StoredResponseView)
        assert nothing_there or path in description["paths"]


def test_every_operation_says_who_may_call_it_and_has_a_name_of_its_own(description: dict[str, Any]) -> None:
    operations = [operation for path in paths.PATHS for operation in description["paths"][path].values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    known = description["components"]["securitySchemes"]
    for operation in operations:
        assert {name for choice in operation["security"] for name in choice} <= known.keys()
        assert {"401", "403", "405", "500", "503"} <= operation["responses"].keys()


@pytest.mark.parametrize("path", [path for path, operations in paths.PATHS.items() if "post" in operations])
def test_an_error_has_the_envelope_of_its_dialect(path: str, description: dict[str, Any]) -> None:
    body = orjson.loads(EDGE_PATHS[path].dialect.render_error(GatewayError("x"), "id"))
    for status, response in description["paths"][path]["post"]["responses"].items():
        if status != "200":
            name = response["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
            shape = description["components"]["schemas"][name]
            assert body.keys() == shape["properties"].keys() == set(shape["required"])


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ChatCompletionsRequest", {*chat_fields._FIELDS, "model", "messages"}),
        ("SimpleChatRequest", {*simple_chat._OPTIONS, "message"}),
        ("PromptChatRequest", {*simple_chat._OPTIONS, "prompt"}),
    ],
)
def test_all_fields_that_are_checked_are_described(name: str, known: set[str], description: dict[str, Any]) -> None:
    assert description["components"]["schemas"][name]["properties"].keys() == known
