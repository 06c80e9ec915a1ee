"""What OpenAI's API has beside chat and embeddings is passed on, with the provider's key."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from analytics.models import UsageRecord
from analytics.tasks import drain_usage
from billing.models import PriceOverride
from gateway import setups
from tenants import revocations
from tenants.db import schema_of
from tests import servers
from tests.calls import records, used
from tests.conftest import Workspace
from tests.fakes.openai_files import KEY, SPEECH


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with servers.running("tests.fakes.openai_files:application", ready="/calls") as running:
        yield running.url


@pytest.fixture
def fake(alice: Workspace, upstream: str) -> Workspace:
    """Alice, with a provider that takes files."""
    setups.configure_provider(alice.tenant, name="media", kind="openai", base_url=f"{upstream}/v1", api_key=KEY)
    return alice


def sdk(server: str, workspace: Workspace) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server}/v1", api_key=workspace.key, max_retries=0)


def until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def records_of(workspace: Workspace) -> list[UsageRecord]:
    """Those that are booked by now."""
    drain_usage()
    with schema_of(workspace.tenant):
        return list(UsageRecord.objects.all())


def seen(upstream: str, path: str) -> dict[str, Any]:
    return dict(httpx2.get(f"{upstream}/calls").json()[path])


def test_speech_streams_down(server: str, fake: Workspace) -> None:
    answer = sdk(server, fake).audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input="hello")
    assert answer.content == SPEECH
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-nexus-provider"] == "media"


def test_sound_goes_up_and_its_tokens_are_counted(server: str, fake: Workspace) -> None:
    text = sdk(server, fake).audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF" * 1000))
    assert text.text == "hello"
    assert used(server, fake.key) == (1, 41)
    (record,) = records(fake, 1)
    assert (record.dialect, record.model, record.billed_tokens) == ("passthrough", "gpt-4o-transcribe", 41)
    # 2.50 USD per million tokens of text, 10 of what is said.
    assert record.cost_usd == Decimal("0.0003275")


def test_a_large_file_streams_up_unchanged(server: str, fake: Workspace, upstream: str) -> None:
    data = os.urandom(20 * 1024 * 1024)
    headers = {"Authorization": f"Bearer {fake.key}", "Content-Type": "application/octet-stream", "Cookie": "a=b"}
    answer = httpx2.post(f"{server}/v1/uploads/u/parts?x=1", content=data, headers=headers, timeout=60)
    assert answer.status_code == 200
    sent = seen(upstream, "/v1/uploads/u/parts")
    assert (sent["sha256"], sent["query"]) == (hashlib.sha256(data).hexdigest(), "x=1")
    assert "cookie" not in sent["headers"]
    assert fake.key not in str(sent)


def test_files_are_sent_listed_fetched_and_deleted(server: str, fake: Workspace) -> None:
    client = sdk(server, fake)
    assert client.files.create(file=io.BytesIO(b"{}\n"), purpose="batch").id == "file-1"
    assert [file.id for file in client.files.list()] == ["file-1"]
    assert client.files.content("file-1").content == SPEECH
    assert client.files.delete("file-1").deleted


def test_pictures_tell_their_usage_at_the_end_of_a_long_answer(server: str, fake: Workspace) -> None:
    images = sdk(server, fake).images.generate(model="gpt-image-1", prompt="a cat")
    assert images.data and len(images.data[0].b64_json or "") == 200_000
    assert used(server, fake.key) == (1, 41)
    (record,) = records(fake, 1)
    # 5 USD per million tokens of text, 40 of pictures.
    assert (record.model, record.cost_usd) == ("gpt-image-1", Decimal("0.001255"))
    assert record.token_details == {"output_image": 30}


def test_what_nobody_can_price_says_so_and_looking_is_free(server: str, fake: Workspace) -> None:
    client = sdk(server, fake)
    speech = client.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input="hello")
    assert speech.headers["x-nexus-cost-usd"] == "unknown"
    upload = client.files.with_raw_response.create(file=io.BytesIO(b"{}\n"), purpose="batch")
    assert upload.headers["x-nexus-cost-usd"] == "unknown"
    client.files.list()
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("missing")
    assert [record.cost_usd for record in records(fake, 4)] == [None, None, 0, 0]


def test_what_is_free_is_free_though_it_does_not_count(server: str, fake: Workspace) -> None:
    model = f"moderation-{fake.tenant.slug}"
    PriceOverride.objects.create(catalog="openai", model=model, input_usd_per_mtok=0, output_usd_per_mtok=0)
    for _ in until(3):
        answer = sdk(server, fake).moderations.with_raw_response.create(model=model, input="hello")
        if "x-nexus-cost-usd" not in answer.headers:
            break
    assert 0 in [record.cost_usd for record in records_of(fake)]


def test_tags_are_booked_and_not_passed_on(server: str, fake: Workspace, upstream: str) -> None:
    client = sdk(server, fake)
    client.images.generate(model="gpt-image-1", prompt="a cat", extra_headers={"X-Nexus-Tags": "design"})
    assert records(fake, 1)[0].tags == ["design"]
    assert "x-nexus-tags" not in seen(upstream, "/v1/images/generations")["headers"]
    with pytest.raises(openai.BadRequestError, match="X-Nexus-Tags"):
        client.images.generate(model="gpt-image-1", prompt="a cat", extra_headers={"X-Nexus-Tags": "a,,b"})


def test_errors_come_back_as_they_are_and_faults_as_502(server: str, fake: Workspace, upstream: str) -> None:
    client = sdk(server, fake)
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve("missing")
    with pytest.raises(openai.InternalServerError, match="media answered with status 503"):
        client.files.retrieve("overloaded")
    setups.configure_provider(fake.tenant, name="media", kind="openai", base_url=f"{upstream}/v1", api_key="sk-old")
    with pytest.raises(openai.InternalServerError, match="media answered with status 401"):
        for _ in until(2):
            client.files.retrieve("file-1")


def test_an_answer_that_breaks_off_is_not_taken_for_whole(server: str, fake: Workspace) -> None:
    headers = {"Authorization": f"Bearer {fake.key}"}
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{server}/v1/files/broken/content", headers=headers)
    (record,) = records(fake, 1)
    assert (record.status, record.error) == (502, "provider_failed")


def test_who_leaves_is_accounted_for(server: str, fake: Workspace) -> None:
    async def leave() -> None:
        async def body() -> Any:
            yield b"x"
            await asyncio.sleep(3600)

        async with httpx2.AsyncClient() as client, asyncio.timeout(0.3):
            headers = {"Authorization": f"Bearer {fake.key}", "Content-Type": "application/octet-stream"}
            await client.post(f"{server}/v1/files", content=body(), headers=headers)

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    (record,) = records(fake, 1)
    assert record.status == 499


def test_what_keeps_data_needs_a_provider_of_ones_own(alice: Workspace, upstream: str) -> None:
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{upstream}/v1"}
    with servers.gateway(**environment) as shared:
        client = sdk(shared.url, alice)
        assert client.moderations.create(input="hello").id == "modr-1"
        client.images.generate(model="gpt-image-1", prompt="a cat")
        paid = [(record.paid_by_platform, record.cost_usd) for record in records(alice, 2)]
        assert paid == [(True, None), (True, Decimal("0.001255"))]
        with pytest.raises(openai.PermissionDeniedError, match="provider of your own"):
            client.files.list()


@pytest.mark.parametrize(
    "path",
    [
        "files/../models", "files/%2e%2e/x", "files/./x", "files/.", "files/%2e/x", "files/" + "./" * 500,
        "files/a%20b", "files/%c3%a9", "files/a%0d%0ab",
    ],
)  # fmt: skip
def test_a_path_cannot_leave_its_place(server: str, fake: Workspace, path: str) -> None:
    # Sent as it is: other clients would tidy it.
    connection = http.client.HTTPConnection(server.removeprefix("http://"))
    connection.request("GET", f"/v1/{path}", headers={"Authorization": f"Bearer {fake.key}"})
    assert connection.getresponse().status == 404
    connection.close()


def test_a_long_path_is_booked_with_as_much_of_it_as_there_is_room_for(server: str, fake: Workspace) -> None:
    name = "files/" + "a" * 300
    assert httpx2.get(f"{server}/v1/{name}", headers={"Authorization": f"Bearer {fake.key}"}).status_code == 200
    (record,) = records(fake, 1)
    assert (record.model, record.status) == (name[:120], 200)


def test_what_is_nested_too_deeply_to_be_tidied_is_refused(server: str, fake: Workspace) -> None:
    fake.api_key.allowed_models = ["tts-1"]
    fake.api_key.save()
    revocations.publish(f"key:{fake.api_key.public_id}")
    headers = {"Authorization": f"Bearer {fake.key}", "Content-Type": "application/json"}
    for depth in (300, 2_000):
        body = b'{"model": "tts-1", "voice": "alloy", "input": %b%b}' % (b"[" * depth, b"]" * depth)
        for _ in until(2):
            answer = httpx2.post(f"{server}/v1/audio/speech", content=body, headers=headers)
            if answer.status_code != 200:
                break
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


def test_a_key_limited_to_models_is_limited_here_too(server: str, fake: Workspace, upstream: str) -> None:
    fake.api_key.allowed_models = ["tts-1"]
    fake.api_key.save()
    revocations.publish(f"key:{fake.api_key.public_id}")
    client = sdk(server, fake)
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="hello").content == SPEECH
    with pytest.raises(openai.PermissionDeniedError):
        for _ in until(2):
            client.audio.speech.create(model="tts-2", voice="alloy", input="hello")
    twice = '{"model": "gpt-image-1", "input": "x", "voice": "alloy", "model": "tts-1"}'
    headers = {"Authorization": f"Bearer {fake.key}", "Content-Type": "application/json"}
    assert httpx2.post(f"{server}/v1/audio/speech", content=twice, headers=headers).status_code == 200
    assert seen(upstream, "/v1/audio/speech")["size"] < len(twice) - 20
    with pytest.raises(openai.PermissionDeniedError):
        client.audio.transcriptions.create(model="tts-1", file=("a.wav", b"RIFF"))


def test_without_such_a_provider_there_is_nothing_here(server: str, alice: Workspace) -> None:
    with pytest.raises(openai.NotFoundError, match="No provider here speaks OpenAI's API"):
        sdk(server, alice).moderations.create(input="hello")
    assert httpx2.post(f"{server}/v1/moderations").status_code == 401
