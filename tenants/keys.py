"""API keys as text: `nk-<public id>-<secret>`. Owns their format; knows nothing of tables."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

PUBLIC_ID_LENGTH = 12
# 32 random bytes: beyond guessing, so a fast hash is enough to keep them by.
_SECRET_BYTES = 32
_KEY = re.compile(r"nk-([a-z0-9]{12})-([A-Za-z0-9_-]{20,128})")


class KeyParts(NamedTuple):
    public_id: str
    secret_sha256: bytes


def new_secret() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def render(public_id: str, secret: str) -> str:
    return f"nk-{public_id}-{secret}"


def id_in(text: str) -> str:
    """The public id in what people copy: the id alone, `nk-<id>-…`, or a whole key. It may be none."""
    return text.strip().removeprefix("nk-").partition("-")[0]


def parse(key: str) -> KeyParts | None:
    """The public id and the secret's digest, or None when the text cannot be a key of ours."""
    match = _KEY.fullmatch(key)
    return KeyParts(match[1], digest(match[2])) if match else None
