"""Keeps secrets encrypted at rest. The first of NEXUS_ENCRYPTION_KEYS encrypts, each of them decrypts."""

from __future__ import annotations

import functools

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Unreadable(Exception):
    """Encrypted with a key that is not in NEXUS_ENCRYPTION_KEYS."""


@functools.cache
def _box() -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])
    except ValueError as error:
        raise ImproperlyConfigured(
            "NEXUS_ENCRYPTION_KEYS must be Fernet keys: 32 bytes in URL-safe base64, separated by commas."
        ) from error


def seal(secret: str) -> bytes:
    return _box().encrypt(secret.encode())


def open_sealed(sealed: bytes) -> str:
    """Raises `Unreadable`."""
    try:
        return _box().decrypt(sealed).decode()
    except InvalidToken as error:
        raise Unreadable("This secret was encrypted with a key that NEXUS_ENCRYPTION_KEYS no longer holds.") from error


def reseal(sealed: bytes) -> bytes:
    """The same secret, encrypted with the first key. Raises `Unreadable`."""
    try:
        return _box().rotate(sealed)
    except InvalidToken as error:
        raise Unreadable("This secret was encrypted with a key that NEXUS_ENCRYPTION_KEYS no longer holds.") from error
