"""This process' way out: whether it leaves, and whether it is in a hurry. Owned by who runs the server (nexus.serve).

A process that leaves still answers, but `/readyz` says 503. One in a hurry waits for nobody's stream any more; what was
used is booked all the same.
"""

from __future__ import annotations

from collections.abc import Callable

_leaving = False
_hurried = False
_on_hurry: list[Callable[[], None]] = []


def leave() -> None:
    global _leaving
    _leaving = True


def is_leaving() -> bool:
    return _leaving


def hurry() -> None:
    """Calls whoever waits for something that may take long."""
    global _leaving, _hurried
    _leaving = _hurried = True
    for act in _on_hurry:
        act()


def when_hurried(act: Callable[[], None]) -> None:
    """At once, where it is in a hurry already."""
    _on_hurry.append(act)
    if _hurried:
        act()
