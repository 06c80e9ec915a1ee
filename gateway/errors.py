"""Why a request gets no answer, each with its HTTP status and OpenAI's names for it. Dialects render them.

GatewayError
├── InvalidRequest 400 · PayloadTooLarge 413 · Unauthorized 401 · Forbidden 403 · ModelNotFound, NotFound 404
│   MethodNotAllowed 405 · RequestTimeout 408 · UnsupportedMediaType 415
├── Conflict 409             an Idempotency-Key was used for another request, or is in use
├── PaymentRequired 402      the month's quota is spent
├── TooManyRequests 429      a rate limit, or calls in flight hold the rest of the quota
├── ClientLeft 499           the client left, and its answer was stopped
├── Unavailable 503          the gateway cannot serve now
├── NotInCache 504           only-if-cached, and it is not
└── ProviderError
    ├── Untranslatable 400   this provider's API has no such thing; the next candidate may
    ├── ProviderRefused      the provider's own 4xx about this request: passed on as it is
    ├── ProviderFailed 502   5xx, broken connection, unreadable answer
    └── ProviderTimedOut 504
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


class GatewayError(Exception):
    status = 500
    type = "server_error"
    code: str | None = "internal_error"

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or type(self).code
        self.retry_after_s = retry_after_s
        self.extra_headers: list[tuple[bytes, bytes]] = []

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        if self.retry_after_s is None:
            return []
        return [(b"retry-after", str(max(1, math.ceil(self.retry_after_s))).encode())]


class InvalidRequest(GatewayError):
    status, type, code = 400, "invalid_request_error", "invalid_request"


class PayloadTooLarge(GatewayError):
    status, type, code = 413, "invalid_request_error", "request_too_large"


class RequestTimeout(GatewayError):
    status, type, code = 408, "invalid_request_error", "request_timeout"


class UnsupportedMediaType(GatewayError):
    status, type, code = 415, "invalid_request_error", "unsupported_media_type"


class MethodNotAllowed(GatewayError):
    status, type, code = 405, "invalid_request_error", "method_not_allowed"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        possible = ", ".join(sorted(allowed))
        super().__init__(f"{method} is not possible here; {possible} is.")
        # HTTP wants it with each 405.
        self.extra_headers.append((b"allow", possible.encode()))


class Unauthorized(GatewayError):
    status, type, code = 401, "invalid_request_error", "invalid_api_key"


class Forbidden(GatewayError):
    status, type, code = 403, "permission_error", "forbidden"


class ModelNotFound(GatewayError):
    status, type, code = 404, "invalid_request_error", "model_not_found"


class NotFound(GatewayError):
    status, type, code = 404, "invalid_request_error", "not_found"


class Conflict(GatewayError):
    status, type, code = 409, "invalid_request_error", "idempotency_key_reused"


class PaymentRequired(GatewayError):
    status, type, code = 402, "insufficient_quota", "quota_exceeded"


class TooManyRequests(GatewayError):
    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class ClientLeft(GatewayError):
    """Nobody reads this; the usage record keeps it."""

    status, type, code = 499, "client_error", "client_left"


class Unavailable(GatewayError):
    status, type, code = 503, "server_error", "service_unavailable"


class NotInCache(GatewayError):
    status, type, code = 504, "cache_error", "not_in_cache"


class ProviderError(GatewayError):
    """`provider` is its name; empty when no single one is to blame."""

    type = "provider_error"
    retryable = False
    # Whether it is the caller's pace, and not the provider's health.
    throttled = False
    provider = ""


class Untranslatable(ProviderError):
    """Another candidate may be able to: nothing has been sent."""

    status, type, code = 400, "invalid_request_error", "unsupported_parameter"

    def __init__(self, what: str, *, provider: str, param: str | None = None) -> None:
        super().__init__(f"{provider} has nothing like {what}; leave it out, or ask another provider.", param=param)
        self.provider = provider


class ProviderRefused(ProviderError):
    """`details` as in OpenAI's error object: message, type, code, param."""

    def __init__(self, status: int, details: dict[str, Any], *, provider: str) -> None:
        super().__init__(_said(details.get("message")) or f"{provider} refused the request with status {status}.")
        self.status = status
        self.type = _told(details.get("type")) or "invalid_request_error"
        self.code, self.param = _told(details.get("code")), _told(details.get("param"))
        self.provider = provider


def _told(value: Any) -> str | None:
    """Names and numbers: what else a provider may send there says nothing."""
    return str(value) if isinstance(value, str | int | float) else None


def _said(value: Any) -> str:
    """Some give a list of what is wrong. Empty where it is nested too deeply to be told."""
    try:
        return str(value or "")
    except RecursionError:
        return ""


class ProviderFailed(ProviderError):
    status, code = 502, "provider_failed"
    retryable = True

    def __init__(self, message: str, *, provider: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.provider = provider


class ProviderTimedOut(ProviderFailed):
    status, code = 504, "provider_timed_out"
