"""Access tokens as text: only what this gateway signed is one."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from tenants import tokens
from tenants.tokens import Claims, Signer

NOW = time.time()
CLAIMS = Claims("abc123def456", 7, "f" * 32, NOW + 900)
SIGNER = Signer([b"first", b"second"])


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def made(key: bytes, headers: dict[str, Any] | None = None, algorithm: str = "HS256", **changed: Any) -> str:
    said = jwt.decode(SIGNER.sign(CLAIMS, now=NOW), options={"verify_signature": False}) | changed
    said = {name: value for name, value in said.items() if value is not None}
    kid = jwt.get_unverified_header(SIGNER.sign(CLAIMS, now=NOW))["kid"]
    return jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid, **(headers or {})})


def key_of(signer: Signer) -> bytes:
    return signer._by_id[signer._first]


def test_what_was_signed_is_read() -> None:
    text = SIGNER.sign(CLAIMS, now=NOW)
    assert tokens.looks_like_one(text)
    assert SIGNER.read(text) == CLAIMS._replace(expires_at=int(CLAIMS.expires_at))


def test_a_token_says_nothing_of_rights_and_not_the_keys_secret() -> None:
    said = jwt.decode(SIGNER.sign(CLAIMS, now=NOW), options={"verify_signature": False})
    assert said.keys() == {"iss", "aud", "sub", "tid", "fam", "iat", "exp"}


def test_keys_are_rotated_as_those_that_encrypt() -> None:
    old = Signer([b"second"]).sign(CLAIMS, now=NOW)
    assert SIGNER.read(old) is not None
    assert Signer([b"first"]).read(old) is None
    new = SIGNER.sign(CLAIMS, now=NOW)
    assert Signer([b"first"]).read(new) is not None and Signer([b"second"]).read(new) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": NOW - 60},
        {"exp": None},
        {"iss": "https://mallory.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["nexusgateway/api", "another"]},
        {"aud": None},
        {"iat": NOW + 600},
        {"nbf": NOW + 600},
        {"sub": None},
        {"tid": "seven"},
        {"tid": None},
        {"fam": None},
    ],
    # Not the values: times would give each process of a run other names.
    ids=lambda changed: "-".join(f"{name}:{type(value).__name__}" for name, value in changed.items()),
)
def test_a_rightly_signed_token_that_says_something_else_is_none(changed: dict[str, Any]) -> None:
    assert SIGNER.read(made(key_of(SIGNER))) is not None
    assert SIGNER.read(made(key_of(SIGNER), **changed)) is None


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_the_algorithm_is_not_the_tokens_to_choose(algorithm: str) -> None:
    assert SIGNER.read(made(key_of(SIGNER) * 2, algorithm=algorithm)) is None


def test_a_token_without_a_signature_is_none() -> None:
    header, said, signature = SIGNER.sign(CLAIMS, now=NOW).split(".")
    kid = jwt.get_unverified_header(f"{header}.{said}.{signature}")["kid"]
    for alg in ("none", "None", "NONE"):
        unsigned = part({"alg": alg, "typ": "JWT", "kid": kid})
        assert SIGNER.read(f"{unsigned}.{said}.") is None
        assert SIGNER.read(f"{unsigned}.{said}.{signature}") is None


def test_the_secret_itself_signs_nothing() -> None:
    assert SIGNER.read(made(b"first" * 8)) is None


@pytest.mark.parametrize("kid", ["", "../../dev/null", "0" * 12, 7, None, ["a"], {"a": 1}], ids=str)
def test_a_key_id_that_is_not_ours_is_none(kid: Any) -> None:
    head, said, signature = SIGNER.sign(CLAIMS, now=NOW).split(".")
    assert SIGNER.read(f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{said}.{signature}") is None
    assert head


@pytest.mark.parametrize("extra", [{"jwk": {"kty": "oct", "k": "AA"}}, {"crit": ["exp"]}, {"x5u": "http://a"}], ids=str)
def test_a_header_brings_no_key_of_its_own(extra: dict[str, Any]) -> None:
    assert SIGNER.read(made(b"\0" * 32, headers=extra)) is None


@pytest.mark.parametrize(
    "text",
    ["", "eyJ", "eyJ.eyJ.x", "nk-abc123def456-" + "s" * 43, "e" * 100_000, "eyJ" + "a" * 2000 + "." * 2, "eyJé.a.b"],
    ids=lambda text: text[:12],
)
def test_what_is_no_token_is_told_without_looking_far(text: str) -> None:
    assert not tokens.looks_like_one(text) and SIGNER.read(text) is None


def test_each_bit_of_a_token_counts() -> None:
    text = SIGNER.sign(CLAIMS, now=NOW)
    for at, letter in enumerate(text):
        # The last letter of a signature has two bits that say nothing.
        if letter != "." and at < len(text) - 1:
            assert SIGNER.read(text[:at] + ("A" if letter != "A" else "B") + text[at + 1 :]) is None


def test_a_refresh_token_is_taken_apart_again() -> None:
    family, shared, step = "0" * 32, tokens.new_secret(), tokens.new_secret()
    text = tokens.render_refresh(family, shared, step)
    assert tokens.parse_refresh(text) == (family, tokens.digest(shared), tokens.digest(step))
    assert tokens.family_secret_of(text) == shared
    for wrong in (text + "\n", text[:-1], text.replace("nr-", "nk-"), text.upper(), f"{text}é", ""):
        assert tokens.parse_refresh(wrong) is None
