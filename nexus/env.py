"""Typed settings from the environment. Owns the list of every variable that is read, with its default and help.

A bad value stops the start with a sentence that names the variable; nothing is guessed. A secret may be in a
file, which NAME_FILE names, as Docker and Kubernetes hand them in: what is in the environment shows in too many places.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


class Variable(NamedTuple):
    name: str
    default: str
    help: str
    # Whether NAME_FILE is read, too.
    secret: bool = False


VARIABLES: dict[str, Variable] = {}


def text(name: str, default: str, help: str) -> str:
    VARIABLES[name] = Variable(name, default, help)
    return os.environ.get(name, default).strip()


def secret(name: str, help: str) -> str:
    """Empty where it is set neither by itself nor by a file."""
    VARIABLES[name] = Variable(name, "", help, secret=True)
    value, file = os.environ.get(name, "").strip(), os.environ.get(f"{name}_FILE", "").strip()
    if not file:
        return value
    if value:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: unset one of them.")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ImproperlyConfigured(f"{name}_FILE={file} cannot be read: {why}.") from error


def is_given(name: str, environment: Mapping[str, str]) -> bool:
    """Whether a secret is in this environment, by itself or by a file."""
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def _parsed(name: str, default: T, help: str, parse: Callable[[str], T], expected: str) -> T:
    raw = text(name, str(default), help)
    try:
        return parse(raw)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}={raw!r} is not {expected}. Correct it, or unset it to use {default}."
        ) from error


def integer(name: str, default: int, help: str, *, minimum: int = 0) -> int:
    def parse(raw: str) -> int:
        value = int(raw)
        if value < minimum:
            raise ValueError(raw)
        return value

    return _parsed(name, default, help, parse, f"a whole number of at least {minimum}")


def decimal(name: str, default: float, help: str, *, minimum: float = 0.0) -> float:
    def parse(raw: str) -> float:
        value = float(raw)
        if not minimum <= value < float("inf"):
            raise ValueError(raw)
        return value

    return _parsed(name, default, help, parse, f"a number of at least {minimum}")


def flag(name: str, default: bool, help: str) -> bool:
    def parse(raw: str) -> bool:
        lowered = raw.lower()
        if lowered in {"1", "true", "yes", "on"}:
            return True
        if lowered in {"0", "false", "no", "off", ""}:
            return False
        raise ValueError(raw)

    return _parsed(name, default, help, parse, "one of 1, 0, true, false, yes, no, on, off")


def words(name: str, default: str, help: str) -> list[str]:
    """A comma-separated list; blanks are dropped."""
    return _words(text(name, default, help))


def secret_words(name: str, help: str) -> list[str]:
    return _words(secret(name, help))


def _words(text_: str) -> list[str]:
    return [word.strip() for word in text_.split(",") if word.strip()]


def path(name: str, default: Path, help: str) -> Path:
    return Path(text(name, str(default), help)).expanduser()
