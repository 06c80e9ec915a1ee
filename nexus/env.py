"""Typed settings from the environment. Owns the list of every variable that is read, with its default and help.

A bad value stops the start with a sentence that names the variable; nothing is guessed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


class Variable(NamedTuple):
    name: str
    default: str
    help: str


VARIABLES: dict[str, Variable] = {}


def text(name: str, default: str, help: str) -> str:
    VARIABLES[name] = Variable(name, default, help)
    return os.environ.get(name, default).strip()


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
    return [word.strip() for word in text(name, default, help).split(",") if word.strip()]


def path(name: str, default: Path, help: str) -> Path:
    return Path(text(name, str(default), help)).expanduser()
