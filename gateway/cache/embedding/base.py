"""What every embedder offers, and how it says no.

EmbeddingError
├── EmbeddingUnavailable    no vector in time: deadline, queue full, not started, closed, failed
│   ├── ModelUnavailable    the model cannot be found, trusted, built or loaded
│   ├── EmbeddingLate       not within the deadline
│   ├── EmbeddingRejected   not even tried: too many wait, or it failed too often just now
│   └── EmbeddingGarbage    what came is no vector of that model
└── TextRefused             this text never gets a vector from this model
    ├── TextTooLong         more tokens than the model reads
    └── TextUnreadable      holds what the model's vocabulary lacks
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class EmbeddingError(Exception):
    """No vector. A caller that goes on without the semantic tier catches this one."""


class EmbeddingUnavailable(EmbeddingError):
    """No vector this time; the same text may get one later."""


class ModelUnavailable(EmbeddingUnavailable):
    """The model cannot be used at all; the message says what an operator can do."""


class EmbeddingLate(EmbeddingUnavailable):
    """The deadline passed."""


class EmbeddingRejected(EmbeddingUnavailable):
    """Nobody was asked."""


class EmbeddingGarbage(EmbeddingUnavailable):
    """Another model's, of another length, or not numbers: it is never compared and never stored."""


class TextRefused(EmbeddingError):
    """A vector of this text would stand for only a part of it."""


class TextTooLong(TextRefused):
    """The model would read the beginning only."""


class TextUnreadable(TextRefused):
    """The model would read every unknown character as the same one: two emoji, one vector."""


class Embedder(Protocol):
    """Vectors of two embedders are compared only when their names are equal."""

    @property
    def name(self) -> str:
        """Model and precision; a part of every cache scope."""

    @property
    def dimensions(self) -> int: ...

    async def embed(self, text: str) -> Vector:
        """A vector of length 1. Raises EmbeddingError."""
