"""The openai SDK's embeddings, against the running gateway."""

from __future__ import annotations

import base64
import struct
import uuid
from collections.abc import Callable

import httpx2
import openai
import pytest

from gateway import setups
from tests import servers
from tests.calls import records, used
from tests.conftest import Workspace
from tests.fakes import cohere, gemini

MODEL = "text-embedding-3-small"


def sdk(server: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server}/v1", api_key=key, max_retries=0)


def post(server: str, key: str, body: object, **headers: str) -> httpx2.Response:
    return httpx2.post(f"{server}/v1/embeddings", json=body, headers={"Authorization": f"Bearer {key}", **headers})


def test_vectors_come_in_the_order_of_the_texts_and_are_kept(server: str, alice: Workspace) -> None:
    client = sdk(server, alice.key)
    one, two = (f"{uuid.uuid4().hex} {word}" for word in ("tea", "coffee"))
    first = client.embeddings.create(model=MODEL, input=[one, two])
    assert [item.index for item in first.data] == [0, 1]
    assert len(first.data[0].embedding) == 1536
    again = client.embeddings.with_raw_response.create(model=MODEL, input=[two, one, "new " + one])
    assert again.headers["x-cache"] == "MISS"
    assert again.headers["x-nexus-cached-inputs"] == "2"
    vectors = [item.embedding for item in again.parse().data]
    assert vectors[:2] == [first.data[1].embedding, first.data[0].embedding]
    hit = client.embeddings.with_raw_response.create(model=MODEL, input=one)
    assert hit.headers["x-cache"] == "HIT-EXACT"
    assert float(hit.headers["x-nexus-saved-usd"]) > 0 == float(hit.headers["x-nexus-cost-usd"])
    assert hit.parse().data[0].embedding == first.data[0].embedding


def test_numbers_and_base64_are_the_same_vector(server: str, alice: Workspace) -> None:
    text = uuid.uuid4().hex
    numbers = post(server, alice.key, {"model": MODEL, "input": text}).json()["data"][0]["embedding"]
    body = {"model": MODEL, "input": text, "encoding_format": "base64"}
    encoded = post(server, alice.key, body).json()["data"][0]["embedding"]
    assert struct.unpack(f"<{len(numbers)}f", base64.b64decode(encoded)) == pytest.approx(numbers, abs=1e-7)


def test_only_what_is_new_is_paid_for(server: str, alice: Workspace) -> None:
    texts = [f"{uuid.uuid4().hex} {number}" for number in range(3)]
    first = post(server, alice.key, {"model": MODEL, "input": texts[:2]}).json()["usage"]["prompt_tokens"]
    second = post(server, alice.key, {"model": MODEL, "input": texts}).json()["usage"]["prompt_tokens"]
    post(server, alice.key, {"model": MODEL, "input": texts})
    assert used(server, alice.key) == (3, second)
    paid, mixed, free = records(alice, 3)
    assert [record.dialect for record in (paid, mixed, free)] == ["openai-embeddings"] * 3
    assert (paid.billed_tokens, mixed.billed_tokens, free.billed_tokens) == (first, second - first, 0)
    assert (paid.outcome, mixed.outcome, free.outcome) == ("MISS", "MISS", "HIT-EXACT")
    assert paid.cost_usd and mixed.saved_usd == paid.cost_usd and free.cost_usd == 0


def test_no_cache_asks_anew_and_dimensions_are_another_question(server: str, alice: Workspace) -> None:
    body = {"model": MODEL, "input": uuid.uuid4().hex}
    post(server, alice.key, body)
    assert post(server, alice.key, body, **{"Cache-Control": "no-cache"}).headers["x-cache"] == "REFRESH"
    assert post(server, alice.key, body, **{"X-Nexus-Cache": "off"}).headers["x-cache"] == "BYPASS"
    shorter = post(server, alice.key, {**body, "dimensions": 8})
    assert shorter.headers["x-cache"] == "MISS"
    assert len(shorter.json()["data"][0]["embedding"]) == 8


def test_a_vector_of_another_tenant_is_never_served(server: str, alice: Workspace, mallory: Workspace) -> None:
    body = {"model": MODEL, "input": "a secret"}
    post(server, alice.key, body)
    assert post(server, mallory.key, body).headers["x-cache"] == "MISS"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ""}, "input[0]"),
        ({"input": None}, "input"),
        ({"input": ["a", 7]}, "input[1]"),
        ({"input": ["a", [1]]}, "input[1]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": [[1, -2]]}, "input[0]"),
        ({"input": {"a": 1}}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
        ({"model": 7}, "model"),
        ({"metadata": {"tags": 7}}, "metadata.tags"),
        ({"metadata": {"tags": {"a": "b"}}}, "metadata.tags"),
        ({"metadata": {"tags": ["Größe"]}}, "metadata.tags"),
    ],
)
def test_bad_input_is_refused_by_name(server: str, alice: Workspace, change: dict[str, object], param: str) -> None:
    answer = post(server, alice.key, {"model": MODEL, "input": "a", **change})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("kind", "model", "key"),
    [("gemini", "gemini-embedding-001", gemini.KEY), ("cohere", "embed-v4.0", cohere.KEY)],
)
def test_other_providers_embed_too(server: str, alice: Workspace, kind: str, model: str, key: str) -> None:
    with servers.running(f"tests.fakes.{kind}:application", ready="/calls") as upstream:
        setups.configure_provider(alice.tenant, name=kind, kind=kind, base_url=upstream.url, api_key=key)
        first = sdk(server, alice.key).embeddings.create(model=f"{kind}/{model}", input=["one", "two"])
        assert len(first.data) == 2 and first.data[0].embedding != []
        hit = post(server, alice.key, {"model": f"{kind}/{model}", "input": ["two"]})
        assert hit.headers["x-cache"] == "HIT-EXACT"


def test_who_cannot_embed_says_so(
    server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]
) -> None:
    setups.configure_provider(alice.tenant, name="claude", kind="anthropic", api_key="k")
    answer = post(server, alice.key, {"model": "claude/x", "input": "a"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_parameter"
    with_provider(alice)
    broken = post(server, alice.key, {"model": "fake/garbage", "input": "a"})
    assert broken.status_code == 502
