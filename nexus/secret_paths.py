"""Addresses that are secrets themselves: links that let somebody in, or show something. No log line has one whole."""

from __future__ import annotations

import re

# What comes after these, to the end of the part; also where an address is a parameter in another one.
# deploy/nginx/nexus.conf has the same.
PREFIXES = ("share/savings", "invitations", "account/confirm-email", "account/password/reset/key")
_SLASH = "(?:/|%2F)"
_PREFIX = "|".join(prefix.replace("/", _SLASH) for prefix in PREFIXES)
_SECRET = r"(?:[^\s/%?&#\"'<>]|%(?!2F))+"
_FOUND = re.compile(f"(?P<kept>{_SLASH}(?:{_PREFIX}){_SLASH}){_SECRET}", re.IGNORECASE)


def mask(text: str) -> str:
    return _FOUND.sub(r"\g<kept>***", text)
