"""Access and refresh tokens as text. Owns their format, their signature and their times; knows nothing of tables.

An access token says which key it stands for, and never what that key may do: rights are read from the key at each call.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

ACCESS_S = 15 * 60
FAMILY_S = 30 * 86400
# Clocks of several nodes may differ by so much.
LEEWAY_S = 10
ISSUER, AUDIENCE = "nexusgateway", "nexusgateway/api"
# The one that is made is the one that is read: a header that names another is refused.
ALGORITHM = "HS256"
MAX_LENGTH = 1024
_CLAIMS = ("iss", "aud", "sub", "tid", "fam", "iat", "exp")
_ACCESS = re.compile(r"eyJ[\w-]{8,400}\.[\w-]{8,800}\.[\w-]{43}", re.ASCII)
_REFRESH = re.compile(r"nr-([0-9a-f]{32})-([\w-]{43})\.([\w-]{43})", re.ASCII)


class Claims(NamedTuple):
    """What an access token says. `expires_at` is Unix time."""

    public_id: str
    tenant_id: int
    family: str
    expires_at: float


class Refresh(NamedTuple):
    """A refresh token, taken apart: its family, who its holder is, and which of the family's tokens it is."""

    family: str
    family_sha256: bytes
    step_sha256: bytes


def looks_like_one(text: str) -> bool:
    """Whether it can be an access token; a key of ours never can."""
    return text.startswith("eyJ") and len(text) <= MAX_LENGTH and _ACCESS.fullmatch(text) is not None


class Signer:
    """Signs with the first of the secrets, and believes each of them: as NEXUS_ENCRYPTION_KEYS are rotated."""

    def __init__(self, secrets_: Sequence[bytes]) -> None:
        keys = [_derived(secret) for secret in secrets_]
        self._by_id = {_id_of(key): key for key in keys}
        self._first = _id_of(keys[0])

    def sign(self, claims: Claims, *, now: float) -> str:
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": claims.public_id,
            "tid": claims.tenant_id,
            "fam": claims.family,
            "iat": int(now),
            "exp": int(claims.expires_at),
        }
        return jwt.encode(said, self._by_id[self._first], algorithm=ALGORITHM, headers={"kid": self._first})

    def read(self, token: str) -> Claims | None:
        """None for whatever is not a living token of ours."""
        if not looks_like_one(token):
            return None
        try:
            key = self._by_id.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                return None
            said = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY_S,
                options={"require": list(_CLAIMS), "strict_aud": True},
            )
            return Claims(str(said["sub"]), int(said["tid"]), str(said["fam"]), float(said["exp"]))
        except (jwt.InvalidTokenError, ValueError, TypeError):
            return None


def _derived(secret: bytes) -> bytes:
    """Another key than the one that encrypts: what one of them gives away says nothing of the other."""
    return HKDF(hashes.SHA256(), length=32, salt=None, info=b"nexus access tokens 1").derive(secret)


def _id_of(key: bytes) -> str:
    return hashlib.sha256(b"nexus key id" + key).hexdigest()[:12]


@functools.cache
def signer() -> Signer:
    """With this deployment's keys."""
    return Signer([key.encode() for key in settings.ENCRYPTION_KEYS])


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def render_refresh(family: str, family_secret: str, step_secret: str) -> str:
    return f"nr-{family}-{family_secret}.{step_secret}"


def parse_refresh(text: str) -> Refresh | None:
    """None when the text cannot be a refresh token of ours."""
    match = _REFRESH.fullmatch(text)
    return Refresh(match[1], digest(match[2]), digest(match[3])) if match else None


def family_secret_of(text: str) -> str:
    """Of a refresh token that was parsed: it stays the same in all of a family."""
    match = _REFRESH.fullmatch(text)
    assert match is not None
    return match[2]
