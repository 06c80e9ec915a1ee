"""The mail server, from one URL."""

from __future__ import annotations

import urllib.parse
from typing import NamedTuple

_EXAMPLE = "smtp://user:password@host:587, or smtps://user:password@host:465"
# Scheme → port, and whether TLS begins with the connection.
_SCHEMES = {"smtp": (587, False), "smtps": (465, True)}


class MailServer(NamedTuple):
    backend: str = "django.core.mail.backends.console.EmailBackend"
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    use_ssl: bool = False
    use_tls: bool = False


def parse(url: str) -> MailServer:
    """Empty: messages are printed to the log. `?tls=off` is for a server on this machine. Raises ValueError."""
    if not url:
        return MailServer()
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.path.strip("/") or set(query) - {"tls"}:
        raise ValueError(f"it must look like {_EXAMPLE}.")
    if query.get("tls", "on") not in {"on", "off"}:
        raise ValueError("tls is on or off.")
    port, at_once = _SCHEMES[parts.scheme]
    return MailServer(
        backend="django.core.mail.backends.smtp.EmailBackend",
        host=parts.hostname,
        port=parts.port or port,
        user=urllib.parse.unquote(parts.username or ""),
        password=urllib.parse.unquote(parts.password or ""),
        use_ssl=at_once,
        use_tls=not at_once and query.get("tls") != "off",
    )
