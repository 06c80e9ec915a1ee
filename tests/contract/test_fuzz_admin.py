"""Requests made from the description of usage, costs, exports and admin, right ones and wrong ones: none makes the
gateway fail, and what is answered is as described. FUZZ_EXAMPLES as in `test_fuzz`.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import requests
import schemathesis
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tenants.models import ApiKey
from tests.conftest import Workspace

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
PATHS = r"^(/stats|/v1/usage/costs|/v1/admin/.*|/api/usage/.*|/api/billing/ledger|/api/admin/tenants.*)$"
CHECKS: list[Any] = [not_a_server_error, checks.response_schema_conformance, checks.content_type_conformance]

generator: Any = SchemaGenerator
described = schemathesis.openapi.from_dict(generator().get_schema(public=True)).include(path_regex=PATHS)


@pytest.fixture
def session(alice: Workspace) -> Any:
    ApiKey.objects.filter(pk=alice.api_key.pk).update(scopes=["admin", "operator"])
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {alice.key}"
        yield session


@described.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
def test_nothing_makes_the_gateway_fail(case: Any, server: str, session: Any) -> None:
    response = case.call(base_url=server, session=session, timeout=60)
    if response.status_code < 400 or response.status_code >= 500:
        case.validate_response(response, checks=CHECKS)
    else:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_all_of_it_is_described() -> None:
    schema = Client().get("/api/schema/", headers={"Accept": "application/json"}).json()
    for path in ("/stats", "/v1/usage/costs", "/v1/admin/api-keys/{id}/rotate", "/api/admin/tenants/{id}/analytics"):
        (operation,) = schema["paths"][path].values()
        assert operation["security"] == [{"apiKey": []}]
    costs = {each["name"] for each in schema["paths"]["/v1/usage/costs"]["get"]["parameters"]}
    assert costs == {"from", "to", "tz", "group_by"}
    assert set(schema["paths"]["/api/usage/records"]["get"]["responses"]["200"]["content"]) == {
        "application/json",
        "application/x-ndjson",
        "text/csv",
    }
