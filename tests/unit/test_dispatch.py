"""What a provider is asked for, and what counts as its answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from gateway.dispatch import loaded_answer, upstream_payload
from gateway.errors import ProviderFailed
from gateway.types import Candidate, ProviderConfig


def asked(provider: ProviderConfig, **payload: Any) -> dict[str, Any]:
    """Where the quota has 40 tokens left, for an answer in two choices."""
    request = SimpleNamespace(payload={"messages": [], **payload}, stream=False, n=2)
    call: Any = SimpleNamespace(request=request, completion_cap=40)
    return upstream_payload(Candidate(provider, "m"), call)


@pytest.mark.parametrize(
    ("kind", "base_url", "name"),
    [
        ("openai", "", "max_completion_tokens"),
        ("openai", "https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("openai", "https://compatible.example.com/v1", "max_tokens"),
        ("azure", "https://mine.openai.azure.com", "max_completion_tokens"),
        ("groq", "", "max_tokens"),
        ("anthropic", "", "max_tokens"),
        ("simulated", "", "max_tokens"),
    ],
)
def test_a_limit_that_the_client_did_not_set_has_the_name_that_the_provider_knows(
    kind: str, base_url: str, name: str
) -> None:
    assert asked(ProviderConfig("p", kind, base_url)) == {"model": "m", "messages": [], name: 20}


def test_a_limit_that_the_client_set_keeps_its_name_and_is_only_lowered() -> None:
    openai = ProviderConfig("p", "openai")
    assert asked(openai, max_tokens=30)["max_tokens"] == 20
    assert asked(openai, max_tokens=5)["max_tokens"] == 5
    assert asked(openai, max_tokens=30, max_completion_tokens=None)["max_completion_tokens"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": {}},
        {"choices": ["Hi"]},
        {"choices": [{"message": "Hi"}]},
        {"choices": [{"message": {}}, {"message": ["Hi"]}]},
    ],
)
def test_an_answer_without_choices_or_messages_is_the_providers_failure(body: Any) -> None:
    with pytest.raises(ProviderFailed, match="without choices"):
        loaded_answer(orjson.dumps(body), Candidate(ProviderConfig("p", "openai"), "m"))
