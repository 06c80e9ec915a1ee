"""Who answers in the matrix: providers on loopback, and the models under which each does what a row asks for."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from billing import subscriptions
from gateway import setups
from tenants import registration
from tests import servers
from tests.calls import set_up_calls
from tests.conftest import PASSWORD, Workspace
from tests.fakes import anthropic, cohere, gemini


class Upstream(NamedTuple):
    """Models are as an app asks for them. `refusal` and `failure` are words of the errors that it must be told.

    `tools` is empty for who calls none. `application` is empty for who answers inside the gateway.
    """

    name: str
    application: str
    path: str
    key: str
    plain: str
    tools: str
    refused: str
    refusal: str
    overloaded: str
    failure: str
    # Begins to stream, and does not end soon.
    endless: str


UPSTREAMS = (
    Upstream(
        "simulated", "", "", "", "simulated/gpt-4o-mini", "",
        "simulated/gpt-4o-mini", "calls no tools", "failing/gpt-4o-mini", "told to fail", "slow/gpt-4o-mini",
    ),
    Upstream(
        "openai", "tests.provider", "/v1", "sk-upstream", "openai/ok", "openai/tools",
        "openai/status-400", "told to fail", "openai/status-503", "openai .*503", "openai/long",
    ),
    Upstream(
        "anthropic", "tests.fakes.anthropic", "", anthropic.KEY, "anthropic/ok", "anthropic/tools",
        "anthropic/refused", "prompt is too long", "anthropic/overloaded", "anthropic .*529", "anthropic/hang",
    ),
    Upstream(
        "gemini", "tests.fakes.gemini", "", gemini.KEY, "gemini/ok", "gemini/tools",
        "gemini/refused", "top_k must be positive", "gemini/overloaded", "gemini .*503", "gemini/hang",
    ),
    Upstream(
        "cohere", "tests.fakes.cohere", "", cohere.KEY, "cohere/ok", "cohere/tools",
        "cohere/refused", "too many tokens", "cohere/overloaded", "cohere .*503", "cohere/hang",
    ),
)  # fmt: skip
# Simulated ones: what each does besides answering.
SIMULATED: dict[str, dict[str, Any]] = {"simulated": {}, "failing": {"failure_rate": 1}, "slow": {"tokens_per_s": 5}}


@contextlib.contextmanager
def running() -> Iterator[dict[str, str]]:
    """The URLs of all that are servers, by name."""
    with contextlib.ExitStack() as stack:
        yield {
            upstream.name: stack.enter_context(
                servers.running(f"{upstream.application}:application", ready="/calls")
            ).url
            for upstream in UPSTREAMS
            if upstream.application
        }


def make_workspace(urls: Mapping[str, str]) -> Workspace:
    """One that has every provider, and stops answers that nobody waits for."""
    registered = registration.register(f"{uuid.uuid4().hex[:12]}@example.com", password=PASSWORD)
    workspace = Workspace(registered.tenant, registered.user, registered.issued.key, registered.issued.text)
    subscriptions.change_plan(workspace.tenant, "scale")
    for name, settings in SIMULATED.items():
        setups.configure_provider(workspace.tenant, name=name, kind="simulated", **settings)
    for upstream in UPSTREAMS:
        if url := urls.get(upstream.name):
            setups.configure_provider(
                workspace.tenant,
                name=upstream.name,
                kind=upstream.name,
                base_url=url + upstream.path,
                api_key=upstream.key,
            )
    set_up_calls(workspace, on_disconnect="cancel")
    return workspace
