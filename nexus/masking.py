"""Takes secrets out of what is about to be logged. Rather takes out too much: what stands there is for people who look
for an error, not for programs.
"""

from __future__ import annotations

import functools
import re

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from nexus import secret_paths

MASK = "***"
# Longer texts are cut before anyone looks for secrets in them: a log line is no place for a body.
MOST_CHARACTERS = 20_000
# Settings whose value is a secret as it stands, wherever it turns up.
SECRET_SETTINGS = (
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "METRICS_TOKEN",
    "GOOGLE_CLIENT_SECRET",
    "GITHUB_CLIENT_SECRET",
    "OPENAI_API_KEY",
    "STRIPE_SECRET_KEY",
    "DJSTRIPE_WEBHOOK_SECRET",
    "STRIPE_WEBHOOK_SECRET",
    "EMAIL_HOST_PASSWORD",
)
# A shorter value could be a word.
LEAST_CHARACTERS = 12

_NAMES = (
    r"pass(?:word|wd|phrase)|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|encryption[_-]?keys?|secret[_-]?key|authorization|session(?:[_-]?id)?|signature|code_verifier"
    # Ends of other words.
    r"|(?:(?<![A-Za-z])(?:pwd|pass|auth|sig|otp))"
)
# To the quote that ends it: after backslashes, however many, it is one that somebody has escaped. What was cut off has
# no end.
_QUOTED = r""""(?:\\+[^\\]|[^"\\])*(?:"|\\*\Z)|'(?:\\+[^\\]|[^'\\])*(?:'|\\*\Z)"""
_ESCAPED = r"""(?P<escape>\\+)(?P<quote>["'])(?:[\s\S]{0,1000}?(?<!\\)(?P=escape)(?P=quote)|[\s\S]{0,1000})"""
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Our own keys keep the part that names them.
    (re.compile(r"\bnk-([A-Za-z0-9]{1,40})-[\w-]+"), rf"nk-\1-{MASK}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"), MASK),
    (re.compile(r"\b(bearer|basic|digest|negotiate)(\s+|%20)[^\s\"',;<>]+", re.IGNORECASE), rf"\1\2{MASK}"),
    # user:password@ in any address; a password may hold a slash.
    (re.compile(r"://[^\s/@\"'<>]{0,200}:[^\s@\"'<>]{0,200}@"), f"://{MASK}@"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{2,}(?:\.[\w-]*)?"), MASK),
    (re.compile(r"\b(set-)?cookie(['\"]?\s*[:=]\s*)[^\r\n]+", re.IGNORECASE), rf"\1cookie\2{MASK}"),
    # What providers and others begin their keys with.
    (
        re.compile(
            r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|r8|fw|csk|tgp_v1|whsec|glpat|xox[abpr]|ghp|gho|ghs|github_pat|nvapi|esecret)"
            r"[-_][\w-]{8,}"
        ),
        MASK,
    ),
    (re.compile(r"\b(?:AIza[\w-]{20,}|AKIA[A-Z0-9]{12,}|ya29\.[\w-]{10,})"), MASK),
    # name=value, "name": "value", name: value, also with a prefix such as db_password or X-Api-Key.
    (
        re.compile(
            rf"((?:{_NAMES})\d*\\*[\"']?\s*(?:=>|[:=])\s*)(?!{re.escape(MASK)})"
            rf"(?:{_QUOTED}|{_ESCAPED}|[^\s\"',;&}})\]<>\\]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def mask(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"
    for secret in _known():
        if secret in text:
            text = text.replace(secret, MASK)
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return secret_paths.mask(text)


def _known() -> tuple[str, ...]:
    """Nothing while settings are read, or where they are wrong: that is logged, too."""
    try:
        return _values() if settings.configured else ()
    except ImproperlyConfigured:
        return ()


@functools.cache
def _values() -> tuple[str, ...]:
    """What this process was given as secrets, the longest first: one may begin with another."""
    given: list[object] = []
    for name in SECRET_SETTINGS:
        value = getattr(settings, name, "")
        given += value if isinstance(value, list | tuple) else [value]
    given.append(settings.DATABASES.get("default", {}).get("PASSWORD", ""))
    found = {value for value in given if isinstance(value, str) and len(value) >= LEAST_CHARACTERS}
    return tuple(sorted(found, key=len, reverse=True))
