"""Traces of single requests, sent to an OpenTelemetry collector. Off, or for a request that is not sampled, all of it
costs one look at a context variable. Refuses to know a prompt, an answer or a secret.
"""

from __future__ import annotations

from typing import Protocol


class Trace(Protocol):
    """A sampled request's."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
