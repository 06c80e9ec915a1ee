"""What the API refuses with, in Stripe's envelope: one exception, and a function for each sort of refusal."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


class Fault(Exception):
    """A refusal: its HTTP status and the `error` object of the body."""

    def __init__(self, status: int, error: Object) -> None:
        super().__init__(error["message"])
        self.status = status
        self.error = error


def invalid(message: str, param: str | None = None, code: str | None = None, *, status: int = 400) -> Fault:
    error: Object = {"type": "invalid_request_error", "message": message}
    if code:
        error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
    if param:
        error["param"] = param
    return Fault(status, error)


def no_such(kind: str, id_: str, param: str = "id") -> Fault:
    """404 where the path names it, 400 where a parameter does."""
    message = f"No such {kind.replace('.', ' ').replace('_', ' ')}: '{id_}'"
    return invalid(message, param, "resource_missing", status=404 if param == "id" else 400)


def missing(param: str) -> Fault:
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def declined(decline_code: str, message: str, **more: Any) -> Fault:
    """A card's refusal. What is not a code of its own is `card_declined` with a decline code."""
    own = {"expired_card", "incorrect_cvc", "processing_error", "incorrect_number"}
    code = decline_code if decline_code in own else "card_declined"
    error: Object = {"type": "card_error", "code": code, "message": message}
    if code == "card_declined":
        error["decline_code"] = decline_code
    return Fault(402, {**error, **more})


def unauthorized(message: str) -> Fault:
    return Fault(401, {"type": "invalid_request_error", "message": message})


def reused_key(key: str) -> Fault:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return Fault(400, {"type": "idempotency_error", "message": message})
