"""Whatever a tenant writes as a provider's address, nothing is asked of this machine or its network."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from analytics.alerts import posting
from gateway.errors import ProviderFailed
from gateway.providers import network
from gateway.providers.http import Http
from gateway.types import ProviderConfig
from tenants.network import CheckingResolver, is_public

# Spellings of 127.0.0.1 and of other names for this machine, as browsers, libc and IDNA read them.
HERE = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
    "0x7f.0x0.0x0.0x1", "127.0.0.1.", "127.0.0.1..", "127.000.000.001", "0", "0.0.0.0", "[::1]", "[::]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "[::1%25lo]", "localhost", "LOCALHOST", "localhost.",
    "LocalHost..", "localhost.localdomain", "127。0。0。1", "１２７.0.0.1", "①②⑦.⓪.⓪.①", "%31%32%37.0.0.1",
    "%6c%6f%63%61%6c%68%6f%73%74", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "localhost%00.example.com", "127.0.0.1%00.example.com",
    "8.8.8.8@127.0.0.1", "api.example.com:443@127.0.0.1", "127.0.0.1\\@8.8.8.8", "8.8.8.8\\@127.0.0.1",
]  # fmt: skip


class Names(AbstractResolver):
    """All names have these addresses, the next ones at each question."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [ResolveResult(hostname=host, host=answer, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


class Listener:
    """On all of this machine's addresses. Counts who comes, and answers nobody."""

    def __init__(self) -> None:
        self.came = 0
        self.port = 0

    def on_connection(self, reader: Any, writer: Any) -> None:
        self.came += 1
        writer.close()


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.on_connection, "0.0.0.0", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[Http]:
    """As tenants' providers are called."""
    plain = network.make_session(read_timeout_s=5)
    public = network.make_session(read_timeout_s=5, allowed=is_public)
    async with plain, public:
        yield Http(plain, first_byte_timeout_s=5, theirs=public)


def of_tenant(base_url: str) -> ProviderConfig:
    return ProviderConfig("own", "openai", base_url, "sk-own", owner="t1")


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_spelling_of_this_machine_is_called(scheme: str, host: str) -> None:
    async with listening() as listener, calling() as http:
        url = f"{scheme}://{host}:{listener.port}/v1"
        with pytest.raises(ProviderFailed):
            await http.fetch(of_tenant(url), f"{url}/chat/completions", {}, {})
        assert listener.came == 0


async def test_no_spelling_of_this_machine_is_posted_to() -> None:
    """As alerts are, to webhooks."""
    async with listening() as listener:
        for host in HERE:
            answer = await asyncio.to_thread(posting.post, f"https://{host}:{listener.port}/hook", {}, b"{}")
            assert answer.status is None and answer.error
        assert listener.came == 0


@pytest.mark.parametrize("scheme", ["unix", "http+unix", "file", "ftp", "gopher", "tcp", "npipe", ""])
async def test_only_http_is_spoken(scheme: str) -> None:
    async with listening() as listener, calling() as http:
        for url in (f"{scheme}://127.0.0.1:{listener.port}/x", f"{scheme}:///var/run/docker.sock", f"{scheme}:/x"):
            with pytest.raises(ProviderFailed):
                await http.fetch(of_tenant(url), url, {}, {})
        assert listener.came == 0


async def test_the_check_is_not_fooled_by_a_name_that_changes_its_address() -> None:
    """What was checked is what is called: nobody looks the name up a second time."""
    async with listening() as listener:
        names = Names("8.8.8.8", "127.0.0.1")
        connector = aiohttp.TCPConnector(resolver=CheckingResolver(names, is_public), use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector) as session:
            found = await connector._resolve_host("rebinding.example", listener.port)
            assert [each["host"] for each in found] == ["8.8.8.8"] and names.asked == 1
            for _ in range(3):
                with pytest.raises(OSError):
                    await session.get(f"http://rebinding.example:{listener.port}/")
        assert listener.came == 0 and names.asked == 4


@contextlib.asynccontextmanager
async def answering(*heads: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A provider that answers each connection with the next head, and keeps what it was asked."""
    asked: list[bytes] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        head = heads[min(len(asked), len(heads)) - 1]
        writer.write(head + b"content-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with listening() as listener:
        target = f"location: http://127.0.0.1:{listener.port}/\r\n".encode()
        async with answering(b"HTTP/1.1 %d Moved\r\n" % status + target) as (url, asked), calling() as http:
            with pytest.raises(ProviderFailed):
                await http.fetch(ProviderConfig("own", "openai", url, "sk"), url, {}, {})
            assert len(asked) == 1
        assert listener.came == 0


async def test_a_cookie_of_one_call_is_not_sent_with_another() -> None:
    set_ = b"HTTP/1.1 200 OK\r\nset-cookie: session=of-alice; Path=/\r\n"
    async with answering(set_) as (url, asked), calling() as http:
        named = url.replace("127.0.0.1", "localhost")
        for one in (url, url, named, named):
            await http.fetch(ProviderConfig("own", "openai", one, "sk"), one, {}, {})
    assert len(asked) == 4 and not any(b"cookie" in head.lower() for head in asked)
