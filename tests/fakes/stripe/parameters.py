"""Checks what a caller sent against the types that Stripe's own SDK declares for that call.

So an unknown parameter, a missing one, a wrong type and an unknown word are refused as Stripe refuses them.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import stripe
from stripe import StripeObject
from typing_extensions import get_type_hints, is_typeddict

from tests.fakes.stripe.faults import Object, invalid, missing

TRUTH = {"true": True, "false": False}
LONGEST = 5000
# Metadata, by Stripe's documentation.
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500
# Options of the SDK itself: they never reach the wire.
_NOT_SENT = frozenset(stripe.RequestOptions.__annotations__)


def checked(given: Object, declaration: str) -> Object:
    """The parameters with their types, by the SDK's class of that name (`checkout.SessionCreateParams`)."""
    return _typed_dict(given, _class(declaration), "")


@functools.cache
def _class(declaration: str) -> Any:
    return functools.reduce(getattr, declaration.split("."), stripe.params)


@functools.cache
def _hints(declared: Any) -> dict[str, Any]:
    scope = {**vars(sys.modules[declared.__module__]), "StripeContext": object, "Mapping": Mapping}
    hints = get_type_hints(declared, globalns=scope)
    return {name: hint for name, hint in hints.items() if name not in _NOT_SENT}


def _typed_dict(given: Any, declared: Any, path: str) -> Object:
    if not isinstance(given, dict):
        raise invalid(f"Invalid object: {given}", path)
    hints = _hints(declared)
    for name in given:
        if name not in hints:
            raise invalid(f"Received unknown parameter: {_at(path, name)}", _at(path, name), "parameter_unknown")
    for name in hints:
        if name in declared.__required_keys__ and name not in given:
            raise missing(_at(path, name))
    return {name: _value(value, hints[name], _at(path, name)) for name, value in given.items()}


def _at(path: str, name: str | int) -> str:
    return f"{path}[{name}]" if path else str(name)


def _value(value: Any, hint: Any, path: str) -> Any:
    choices = _choices(hint)
    words = [word for choice in choices if _is_literal(choice) for word in typing.get_args(choice)]
    if value in words:
        return value
    if isinstance(value, dict):
        return _mapping(value, choices, path)
    if isinstance(value, list):
        return _sequence(value, choices, path)
    scalars = [choice for choice in choices if choice in (bool, int, float, Decimal, str)]
    if any(words) and str in scalars:
        # An open enumeration: Stripe knows no other word than these.
        scalars.remove(str)
    for scalar in scalars:
        return _scalar(value, scalar, path)
    if any(words):
        said = ", ".join(map(str, words[:-1])) + f", or {words[-1]}" if len(words) > 1 else str(words[0])
        raise invalid(f"Invalid {path}: must be one of {said}", path)
    raise invalid(f"Invalid {'array' if any(_is_list(c) for c in choices) else 'object'}", path)


def _choices(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [choice for choice in typing.get_args(hint) if choice is not type(None)]
    return [hint]


def _is_literal(choice: Any) -> bool:
    return typing.get_origin(choice) is typing.Literal


def _is_list(choice: Any) -> bool:
    return typing.get_origin(choice) is list


def _mapping(value: Object, choices: list[Any], path: str) -> Object:
    for choice in choices:
        if is_typeddict(choice):
            return _typed_dict(value, choice, path)
        if typing.get_origin(choice) is dict:
            inner = typing.get_args(choice)[1]
            return (
                _metadata(value, path)
                if inner is str
                else {k: _value(v, inner, _at(path, k)) for k, v in value.items()}
            )
        if isinstance(choice, type) and issubclass(choice, StripeObject):
            return value
    raise invalid(f"Invalid value for {path}", path)


def _metadata(value: Object, path: str) -> Object:
    if len(value) > METADATA_KEYS:
        raise invalid(f"You can have at most {METADATA_KEYS} keys in {path}.", path)
    for key, text in value.items():
        if not isinstance(text, str):
            raise invalid("Metadata values must be strings", _at(path, key))
        if len(key) > METADATA_KEY_LENGTH or len(text) > METADATA_VALUE_LENGTH:
            limits = f"{METADATA_KEY_LENGTH} characters for a key, {METADATA_VALUE_LENGTH} for a value"
            raise invalid(f"Metadata is too long: {limits}.", _at(path, key))
    return value


def _sequence(value: list[Any], choices: list[Any], path: str) -> list[Any]:
    for choice in choices:
        if _is_list(choice):
            inner = typing.get_args(choice)[0]
            return [_value(part, inner, _at(path, index)) for index, part in enumerate(value)]
    raise invalid(f"Invalid value for {path}: an array is not expected", path)


def _scalar(value: str, scalar: type, path: str) -> Any:
    if scalar is bool:
        if value not in TRUTH:
            raise invalid(f"Invalid boolean: {value}", path)
        return TRUTH[value]
    if scalar is int:
        if not value.removeprefix("-").isdecimal() or len(value) > 18:
            raise invalid(f"Invalid integer: {value}", path, "parameter_invalid_integer")
        return int(value)
    if scalar in (float, Decimal):
        return _decimal(value, path) if scalar is Decimal else float(_decimal(value, path))
    if value == "":
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{path}' cannot be unset. You should remove '{path}' from your request or supply a non-empty "
            "value.",
            path,
            "parameter_invalid_empty",
        )
    if len(value) > LONGEST:
        raise invalid(f"Invalid string: {path} may be at most {LONGEST} characters", path)
    return value


def _decimal(value: str, path: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise invalid(f"Invalid decimal: {value}", path) from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -12:
        raise invalid(f"Invalid decimal: {value}; at most 12 decimal places are allowed", path)
    return number
