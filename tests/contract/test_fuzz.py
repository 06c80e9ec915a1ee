"""Requests made from the API's own description, right ones and wrong ones: whatever comes, the answer is one that the
description has, and never a failure of the gateway.

FUZZ_EXAMPLES is how many each endpoint gets beside those that try each bound of the description once. Without it they
are the same in each run.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from gateway.openapi import paths
from tests.conftest import Workspace

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
ALWAYS_THE_SAME = "FUZZ_EXAMPLES" not in os.environ
TAGS = ["chat", "embeddings", "models and usage"]
CHECKS: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


generator: Any = SchemaGenerator
described = schemathesis.openapi.from_dict(generator().get_schema(public=True)).include(tag=TAGS)
# HTTP allows headers that nobody knows.
described.config.generation.update(allow_extra_parameters=False)
# What a provider does to a request, and `only-if-cached`.
described.config.checks.not_a_server_error.expected_statuses = ["2xx", "4xx", "502", "504"]
described.config.checks.negative_data_rejection.expected_statuses = ["400", "401", "404", "405", "413", "415", "504"]


@pytest.fixture
def session(make_workspace: Callable[..., Workspace]) -> Any:
    """Of a workspace that no limit keeps from being asked too much."""
    workspace = make_workspace("scale", requests_per_minute=None, tokens_per_minute=None, monthly_tokens=None)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {workspace.key}"
        yield session


@described.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=ALWAYS_THE_SAME, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_is_described(case: Any, server: str, session: Any) -> None:
    # The same key with another body is 409, and tells nothing of the body.
    if re.fullmatch(r"[\x21-\x7e]{1,255}", case.headers.get("Idempotency-Key", "")):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    response = case.call_and_validate(base_url=server, session=session, checks=CHECKS, timeout=30)
    assert b'"internal_error"' not in response.content


@pytest.mark.parametrize("path", [path for path, operations in paths.PATHS.items() if "post" in operations])
def test_the_example_of_a_description_is_answered(path: str, server: str, session: Any) -> None:
    body = paths.PATHS[path]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert session.post(f"{server}{path}", json=body, timeout=30).status_code == 200
