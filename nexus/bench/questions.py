"""Questions to ask: unlike each other, and paraphrases that the cache accepts."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

TASKS = (
    "sharpen a kitchen knife", "reset a wireless router", "grow tomatoes on a balcony", "tune a classical guitar",
    "renew a driving licence", "remove red wine from a carpet", "train a puppy to sit", "change a bicycle tyre",
    "write a cover letter", "fold a paper crane", "brew cold coffee at home", "clean a laptop screen",
    "tie a bow tie", "plant an apple tree", "repair a leaking tap", "start a vegetable garden",
    "hang wallpaper in a corner", "play chess openings well", "bake sourdough bread", "build a snow shelter",
)  # fmt: skip
STORED = "How do I {}?"
ASKED = ("How can I {}?", "How would I {}?", "How do you {}?")


def prompt(text: str) -> bytes:
    escaped = text.replace('"', "'")
    return b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%s"}]}' % escaped.encode()


def unique() -> Iterator[str]:
    """About 340 characters each, never the same twice."""
    filler = "Please answer in a few short sentences that a newcomer understands, and name one example. " * 3
    while True:
        yield f"Tell me about the subject {uuid.uuid4().hex} in plain words. {filler}"


def stored() -> list[str]:
    return [STORED.format(task) for task in TASKS]


def paraphrases() -> Iterator[str]:
    return itertools.cycle([frame.format(task) for frame in ASKED for task in TASKS])
