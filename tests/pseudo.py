"""A language that marks what was translated, and what a page says beside it.

Each text of a catalogue comes in brackets, whatever it is: “Save” becomes “⟦Save⟧”. What stands outside of brackets on
a page was in no catalogue; it is data, or somebody forgot to mark it.
"""

from __future__ import annotations

import contextlib
import gettext
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

from django.conf import settings
from django.test import override_settings
from django.utils.translation import override, trans_real

# Django writes its numbers and dates otherwise than ours: “1 234,5”, “5. 11. 2026 20:04”.
LANGUAGE = "cs"
OPEN, CLOSE = "⟦", "⟧"
_CONTEXT = "\x04"


class Pseudo(gettext.NullTranslations):
    """Knows every message."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message.rpartition(_CONTEXT)[2]}{CLOSE}"

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        return self.gettext(singular if number == 1 else plural)

    def language(self) -> str:
        return LANGUAGE

    def to_language(self) -> str:
        return LANGUAGE


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Inside, browsers may ask for it: `Accept-Language: cs`."""
    with override_settings(LANGUAGES=[*settings.LANGUAGES, (LANGUAGE, "Pseudo")]):
        # Django forgets all catalogues when this setting changes, also at the end.
        trans_real._translations[LANGUAGE] = Pseudo()  # type: ignore[attr-defined]
        yield


def speaking() -> override:
    """What this thread says inside, whoever asks."""
    return override(LANGUAGE)


class Found(NamedTuple):
    """`where`: an element, or an element and its attribute."""

    where: str
    text: str


ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "aria-valuetext", "aria-description", "label")
# What is not said to people, or is to be typed or copied as it stands. Of icons, whose names are no words, too.
NOT_SAID = {"script", "style", "code", "pre", "kbd", "template", "textarea"}
ICON = "material-symbols-outlined"
# Elements within a sentence; where any other one begins or ends, no bracket is open any more.
INLINE = {
    "a",
    "abbr",
    "b",
    "br",
    "code",
    "em",
    "i",
    "img",
    "input",
    "small",
    "span",
    "strong",
    "svg",
    "time",
    "u",
    "wbr",
}
VOID = {"br", "img", "input", "meta", "link", "hr", "col", "wbr", "source"}
# Read by programs: there a comma is none of a number's.
FOR_PROGRAMS = {"width", "height", "x", "y", "x1", "x2", "y1", "y2", "min", "max", "step", "datetime", "data-step"}
_LETTER = re.compile(r"[^\W\d_]")


class Reader(HTMLParser):
    """Collects what stands outside of brackets in `found`, and numbers that programs could not read in `broken`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Found] = []
        self.broken: list[Found] = []
        # Each open element, and whether its text is said to people.
        self._path: list[tuple[str, bool]] = [("", True)]
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in INLINE:
            self._depth = 0
        for name in ATTRIBUTES:
            self._note(f"{tag}@{name}", self._outside(given.get(name, ""), 0)[0])
        for name in FOR_PROGRAMS | ({"value"} if tag == "input" else set()):
            if re.fullmatch(r"-?[\d\s]*,\d+%?", given.get(name, "")):
                self.broken.append(Found(f"{tag}@{name}", given[name]))
        if tag not in VOID:
            # Whose direction the browser is to find out was written by people.
            is_said = tag not in NOT_SAID and ICON not in given.get("class", "") and given.get("dir") != "auto"
            self._path.append((tag, self._path[-1][1] and is_said))

    def handle_endtag(self, tag: str) -> None:
        if any(tag == begun for begun, _ in self._path):
            while self._path.pop()[0] != tag:
                pass
        if tag not in INLINE:
            self._depth = 0

    def handle_data(self, data: str) -> None:
        tag, is_said = self._path[-1]
        if is_said:
            text, self._depth = self._outside(data, self._depth)
            self._note(tag, text)

    def _outside(self, text: str, depth: int) -> tuple[str, int]:
        kept = []
        for character in text:
            if character == OPEN:
                depth += 1
            elif character == CLOSE:
                depth = max(0, depth - 1)
                kept.append(" ")
            elif depth == 0:
                kept.append(character)
        return "".join(kept), depth

    def _note(self, where: str, text: str) -> None:
        if _LETTER.search(text):
            self.found.append(Found(where, " ".join(text.split())))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader
