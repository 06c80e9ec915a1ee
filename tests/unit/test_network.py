"""Which addresses tenants may have this server call."""

from __future__ import annotations

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tenants import network


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "ff02::1", "::127.0.0.1", "::a9fe:a9fe", "::8.8.8.8", "64:ff9b:1::7f00:1",
        "64:ff9b:1:a::808:808", "fec0::1", "feff::1", "::ffff:0:7f00:1", "::ffff:0:808:808", "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192",
        "168.63.129.16", "::ffff:168.63.129.16", "192.88.99.1", "198.18.0.1", "198.51.100.1", "240.0.0.1",
        "2001:db8::1", "2001:0:7f00:1::1", "100::1", "5f00::1", "3fff::1",
    ],
)  # fmt: skip
def test_private_ones_are_not_public(address: str) -> None:
    assert not network.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fe80::1%eth0",
        "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
        "::a9fe:a9fe", "::ffff:0:a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
    ],
)  # fmt: skip
def test_where_a_cloud_tells_secrets_is_never_called(address: str) -> None:
    assert not network.allowed(private=True)(address)
    assert not network.allowed(private=False)(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd12::1", "8.8.8.8", "::ffff:10.0.0.1"]
)
def test_other_private_ones_may_be_called_where_an_operator_lets_them(address: str) -> None:
    assert network.allowed(private=True)(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "104.18.6.192", "2606:4700::6812:6c0", "64:ff9b::808:808"])
def test_public_ones_are(address: str) -> None:
    assert network.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/v1", "https://[::1]:8000", "http://[::ffff:10.0.0.1]/",
        # Which IDNA makes ordinary digits and dots of.
        "http://127。0。0。1/", "http://１６９.２５４.１６９.２５４/", "http://①②⑦.0.0.1/",
    ],
)  # fmt: skip
def test_an_address_in_the_url_is_checked(url: str) -> None:
    with pytest.raises(network.PrivateAddress):
        network.check_literal(url)
    network.check_literal("https://api.openai.com/v1")


class Names(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


async def test_a_name_is_called_at_its_public_addresses_only() -> None:
    found = await network.CheckingResolver(Names("10.0.0.1", "8.8.8.8"), network.is_public).resolve("mixed.example")
    assert [result["host"] for result in found] == ["8.8.8.8"]
    with pytest.raises(network.PrivateAddress):
        await network.CheckingResolver(Names("10.0.0.1"), network.is_public).resolve("inner.example")


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """All names have these addresses."""

    def lookup(host: str, port: object, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00:ec2::254"])
def test_a_name_with_private_addresses_only_is_refused_when_it_is_saved(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, address)
    with pytest.raises(network.PrivateAddress):
        network.check_now("https://hooks.example.com/x")
    names(monkeypatch, address, "8.8.8.8")
    network.check_now("https://hooks.example.com/x")


def test_a_name_that_nobody_knows_may_be_saved() -> None:
    network.check_now("https://no-such-name.invalid/x")
