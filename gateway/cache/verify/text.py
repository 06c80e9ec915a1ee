"""A question as the guards read it: words, their stems, and which of them carry meaning. Pure."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata

from gateway.cache.verify.vocabulary import COMMON, FUNCTION_WORDS

# A number with separators, or a word with inner apostrophes, hyphens, dots and digits.
_WORD = re.compile(r"\d[\d,.]*\d|\d|[^\W\d_][\w'’.-]*[^\W_]|[^\W\d_]|\w+")
_SUFFIXES = ("ingly", "edly", "ings", "ing", "ies", "ied", "iest", "ers", "est", "ed", "es", "ly", "er", "s", "e", "y")
_MIN_STEM = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """`name` tells that it is capitalised where English would not do so by itself."""

    text: str
    lower: str
    stem: str
    name: bool

    @property
    def is_content(self) -> bool:
        return (
            self.lower not in FUNCTION_WORDS
            and self.stem not in function_stems()
            and any(character.isalpha() for character in self.lower)
        )

    @property
    def is_rare(self) -> bool:
        """Neither it nor its stem is an everyday word: a name, a product, a term."""
        return self.name or not (self.lower in COMMON or self.stem in common_stems())


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """`raw` is the text in lower case; `lower` only its words, with one space between them."""

    raw: str
    lower: str
    words: tuple[Word, ...]
    content: tuple[Word, ...]

    @classmethod
    def parse(cls, text: str) -> Text:
        text = unicodedata.normalize("NFKC", text).replace("’", "'").strip()
        tokens = [(match[0], match.start()) for match in _WORD.finditer(text)]
        # All in capitals, or Capitalised Like a Title, case says nothing.
        cased = any(token[0].islower() and token not in FUNCTION_WORDS for token, _ in tokens)
        words = tuple(_word(token, cased and _inside_sentence(text, start)) for token, start in tokens)
        content = tuple(word for word in words if word.is_content)
        return cls(text.lower(), " ".join(word.lower for word in words), words, content)

    @property
    def lowers(self) -> frozenset[str]:
        return frozenset(word.lower for word in self.words)

    @property
    def stems(self) -> frozenset[str]:
        return frozenset(word.stem for word in self.words)


def _inside_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"'“‘(")
    return bool(before) and before[-1] not in ".!?:\n"


def _word(token: str, case_counts: bool) -> Word:
    lower = token.lower().strip(".'-")
    lower = lower.removesuffix("'s")
    name = case_counts and token[:1].isupper() and lower not in {"i", "i'm", "i've", "i'd", "i'll"}
    return Word(token, lower, stem_of(lower), name)


@functools.lru_cache(maxsize=8192)
def stem_of(word: str) -> str:
    """Roughly what is left without its ending: “cards”, “carding” → “card”. Errs towards joining words."""
    # Twice: “considered” has two endings, “consider” one, and both shall end alike.
    return _without_ending(_without_ending(word))


def _without_ending(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM:
            word = word[: -len(suffix)]
            if suffix in {"ing", "ed", "er", "ings", "ers"} and len(word) > _MIN_STEM and word[-1] == word[-2]:
                # “stopped”, but also “calling”: both sides lose it.
                word = word[:-1]
            if suffix in {"ing", "ed", "er", "ers", "ings", "es", "ly"} and word.endswith(("e", "y")) and len(word) > 3:
                word = word[:-1]
            break
    if len(word) > _MIN_STEM and word[-1] == word[-2] and word[-1] in "lsptn":
        word = word[:-1]
    return word


@functools.cache
def function_stems() -> frozenset[str]:
    """“wanted” is as empty as “want”; short stems would take in words of their own (“ones”: “on”)."""
    return frozenset(stem for word in FUNCTION_WORDS if len(stem := stem_of(word)) >= 4)


@functools.cache
def common_stems() -> frozenset[str]:
    return frozenset(stem_of(word) for word in COMMON)


def unmatched(a: Text, b: Text) -> list[Word]:
    """Content words of `a` that `b` has in no form: neither inflected, nor misspelt, nor written as two words."""
    joined = b.lower.replace(" ", "").replace("-", "")
    stems = {word.stem for word in b.content}
    return [
        word
        for word in a.content
        if word.stem not in stems
        and not any(alike(word.lower, other.lower) for other in b.content)
        and not (len(word.lower) >= 5 and word.lower.replace("-", "") in joined)
    ]


@functools.lru_cache(maxsize=16384)
def alike(a: str, b: str) -> bool:
    """Whether one may be the other misspelt, or cut short: within an edit of five letters, two of nine."""
    short, long = sorted((a, b), key=len)
    if len(short) >= 4 and long.startswith(short):
        return True
    # “activate”, “activation”.
    if _shared_start(a, b) >= max(5, 0.6 * len(long)):
        return True
    if len(short) < 5 or a[0] != b[0]:
        return False
    return _within(a, b, 2 if len(short) >= 9 else 1)


def _shared_start(a: str, b: str) -> int:
    return next((at for at, (left, right) in enumerate(zip(a, b, strict=False)) if left != right), min(len(a), len(b)))


def _within(a: str, b: str, most: int) -> bool:
    """Damerau-Levenshtein distance (adjacent letters swapped count once) of at most `most`."""
    if abs(len(a) - len(b)) > most:
        return False
    before, last = list(range(len(b) + 1)), list[int]()
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
        last, before = before, row
    return before[-1] <= most
