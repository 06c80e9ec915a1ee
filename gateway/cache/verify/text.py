"""A question as the guards read it: words, their stems, and which of them carry meaning. Pure."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from itertools import pairwise

from gateway.cache.verify.everyday import EVERYDAY, THINGS
from gateway.cache.verify.gazetteer import COUNTRIES, NAMES
from gateway.cache.verify.lookalikes import LOOKALIKES
from gateway.cache.verify.synonyms import SYNONYMS
from gateway.cache.verify.vocabulary import FUNCTION_WORDS, IRREGULAR

# A number with separators, or a word with inner apostrophes, hyphens, dots and digits.
_WORD = re.compile(r"\d[\d,.]*\d|\d|[^\W\d_][\w'.-]*[^\W_]|[^\W\d_]|\w+")
# “do n't”, “don 't” and “what 's”, as tokenised text has them, and a slip of the finger: “didn;t”.
_APART = re.compile(r"(?<=\w) ?(?=n't\b)|(?<=\w) (?='(?:s|t|m|d|re|ve|ll)\b)")
_SLIP = re.compile(r"(?<=n);(?=t\b)")
# A full stop without a space: “it failed.What now”.
_STUCK = re.compile(r"(?<=[a-z]{2})\.(?=[A-Z][a-z])|\.{2,}")
_SUFFIXES = ("ingly", "edly", "ings", "ing", "ies", "ied", "iest", "ers", "est", "ed", "es", "ly", "er", "s", "e", "y")
_MIN_STEM = 3
# Longer words are not compared letter by letter, and more pairs of words not at all: time stays bounded.
_MAX_TYPO_LETTERS = 24
_MAX_TYPO_PAIRS = 400


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """`name`: known as one, or capitalised where English would not do so; `is_rare`: a name, a thing, a term."""

    text: str
    lower: str
    stem: str
    name: bool
    is_function: bool
    is_content: bool
    is_rare: bool
    is_everyday: bool


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Text:
    """`raw` is the text in lower case; `lower` only its words, with one space between them."""

    raw: str
    lower: str
    words: tuple[Word, ...]
    content: tuple[Word, ...]
    lowers: frozenset[str]
    stems: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Text:
        text = _tidy(text)
        tokens = [(match[0], match.start()) for match in _WORD.finditer(text)]
        # All in capitals, or Capitalised Like a Title, case says nothing.
        cased = any(token.islower() and token not in FUNCTION_WORDS for token, _ in tokens)
        words = tuple(
            word_of(token, cased and token[0].isupper() and _inside_sentence(text, start)) for token, start in tokens
        )
        lowers = [word.lower for word in words]
        return cls(
            text.lower(),
            " ".join(lowers),
            words,
            tuple(word for word in words if word.is_content),
            frozenset(lowers),
            frozenset(word.stem for word in words),
        )


# What a guard finds in a text, it finds once: a question meets several candidates, and popular ones many questions.
read_once = functools.lru_cache(maxsize=1024)  # of each guard


def _tidy(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace("’", "'").strip()
    if "'" in text:
        text = _APART.sub("", text)
    if ";" in text:
        text = _SLIP.sub("'", text)
    return _STUCK.sub(". ", text) if "." in text else text


def _inside_sentence(text: str, start: int) -> bool:
    """Only a few characters back: a run of quotes and spaces is no reason to read the text again."""
    before = text[max(0, start - 8) : start].rstrip(" \t\"'“‘(")
    return bool(before) and before[-1] not in ".!?:\n"


@functools.lru_cache(maxsize=8192)
def word_of(token: str, capitalised: bool) -> Word:
    lower = token.lower().strip(".'-").removesuffix("'s")
    stem = stem_of(lower)
    name = (capitalised and lower not in _NEVER_NAMES) or lower in NAMES
    # “The Other requirement” is one of that name.
    is_function = IRREGULAR.get(lower, lower) in FUNCTION_WORDS and not (
        capitalised and lower in _NAMED_LIKE_IT and token[1:].islower()
    )
    is_content = not is_function and stem not in _FUNCTION_STEMS and any(c.isalpha() for c in lower)
    everyday = _is_everyday(lower, stem)
    figure = any(c.isdigit() for c in lower)
    is_rare = not figure and (name or lower in THINGS or lower.removesuffix("s") in THINGS or not everyday)
    return Word(token, lower, stem, name, is_function, is_content, is_rare, everyday)


def _is_everyday(lower: str, stem: str) -> bool:
    """So is what is made of everyday words: “upper-level”, “re-add”, “strangely”."""
    if stem in _EVERYDAY_STEMS or (lower.endswith("ly") and len(lower) > 5):
        return True
    if "-" in lower:
        return all(part in _PREFIXES or stem_of(part) in _EVERYDAY_STEMS for part in lower.split("-"))
    return any(
        lower.startswith(prefix) and stem_of(lower.removeprefix(prefix)) in _EVERYDAY_STEMS for prefix in _PREFIXES
    )


@functools.lru_cache(maxsize=8192)
def stem_of(word: str) -> str:
    """Roughly what is left without its ending: “cards”, “carding” → “card”. Errs towards joining words."""
    # Twice: “considered” has two endings, “consider” one, and both shall end alike.
    return _without_ending(_without_ending(IRREGULAR.get(word, word)))


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


_NAMED_LIKE_IT = frozenset("other same own more most both either over under off none all any some here now".split())
_NEVER_NAMES = frozenset({"i", "i'm", "i've", "i'd", "i'll", "ok", "hi", "hello", "atm", "id", "pin", "faq"})
# “wanted” is as empty as “want”; short stems would take in words of their own (“ones”: “on”).
_FUNCTION_STEMS = frozenset(stem for word in FUNCTION_WORDS if len(stem := stem_of(word)) >= 4)
_EVERYDAY_STEMS = frozenset(stem_of(word) for word in EVERYDAY | FUNCTION_WORDS)
_PREFIXES = ("re", "un", "in", "dis", "mis", "non", "pre", "over", "de")
_SAME: dict[str, frozenset[str]] = {}
for _group in (*SYNONYMS, *COUNTRIES):
    for _word in _group:
        _SAME[stem_of(_word)] = _SAME.get(stem_of(_word), frozenset()) | {stem_of(word) for word in _group}


def same_meaning(a: str, b: str) -> bool:
    """Whether these stems are of words that paraphrases put one for another."""
    return a == b or b in _SAME.get(a, ())


# Several guards ask for the same pair.
@functools.lru_cache(maxsize=64)
def unmatched(a: Text, b: Text) -> tuple[Word, ...]:
    """Content words of `a` that `b` has in no form: inflected, misspelt, as two words, in short, by another name."""
    left = [word for word in a.content if word.stem not in b.stems]
    if not left:
        return ()
    others = [word.lower for word in b.content if word.stem not in a.stems]
    compare = len(left) * len(others) <= _MAX_TYPO_PAIRS
    ours, theirs = _in_two(a), _in_two(b)
    initials = "".join(word.lower[0] for word in b.words if word.lower)
    return tuple(
        word
        for word in left
        if not (compare and any(alike(word.lower, other) for other in others))
        and word.lower.replace("-", "").removesuffix("s") not in theirs
        and b.lowers.isdisjoint(ours.get(word.lower, ()))
        and not (2 <= len(word.lower) <= 5 and word.name and word.lower in initials)
        and not (word.stem in _SAME and _SAME[word.stem] & b.stems)
    )


@read_once
def _in_two(text: Text) -> dict[str, tuple[str, ...]]:
    """What two neighbours make as one word, by that word and by either of them: “log in”, “login”."""
    found: dict[str, tuple[str, ...]] = {}
    for left, right in pairwise(text.words):
        whole = (left.lower + right.lower).removesuffix("s")
        found[whole] = (whole,)
        found[left.lower] = (*found.get(left.lower, ()), whole)
        found[right.lower] = (*found.get(right.lower, ()), whole)
    return found


# What a word may end in, and still be the same word.
_ENDINGS = frozenset(
    """
    e s es y ies ied d ed er ers or ors ing ings ion ions ation ations ition itions ication ications ive al ally ly ment
    ments able ably ability ible ibility ance ence ent ency ancy ity ities ic ical ically an ian n ful ness ize ise ized
    ised ification ify ate ates ated ating ure ary ory th ry ying
    """.split()
) | {""}


@functools.lru_cache(maxsize=16384)
def alike(a: str, b: str) -> bool:
    """Whether one may be the other in another form, cut short or misspelt. Two words that exist are not."""
    short, long = sorted((a, b), key=len)
    shared = _shared_start(a, b)
    enough = 4 if shared == len(short) else max(5, 0.7 * len(long))
    if shared >= enough and {a[shared:], b[shared:]} <= _ENDINGS:
        return True
    if shared >= 5 and ({a[shared:], b[shared:]} <= _NOUN_AND_VERB or _american(a) == _american(b)):
        return True
    known = is_known(short), is_known(long)
    if all(known):
        return False
    # “Info”, but “java” is not short for “javascript”.
    if len(short) >= 4 and long.startswith(short) and not known[0] and long in EVERYDAY:
        return True
    if a[0] != b[0] or len(long) > _MAX_TYPO_LETTERS or len(short) < 3:
        return False
    if len(short) < 5:
        return any(known) and a[-1] == b[-1] and _within(a, b, 1) and bool({a, b} & _COMMON)
    if not any(known):
        return len(short) >= 7 and _within(a, b, 1)
    return _within(a, b, 2 if len(long) >= 8 and stem_of(long) in _EVERYDAY_STEMS else 1)


# “Verify” and “verification”, “document” and “documentation”.
_NOUN_AND_VERB = frozenset(
    {
        "",
        "s",
        "e",
        "y",
        "ies",
        "ied",
        "ying",
        "ication",
        "ications",
        "ed",
        "ing",
        "cation",
        "cations",
        "ation",
        "ations",
    }
)


def _american(word: str) -> str:
    """“Organise”, “organize”; “favourite”, “favorite”; “travelling”, “traveling”; “centre”, “center”."""
    return word.replace("is", "iz").replace("ys", "yz").replace("our", "or").replace("ll", "l").replace("tre", "ter")


_COMMON = EVERYDAY | FUNCTION_WORDS
_KNOWN = _COMMON | THINGS | LOOKALIKES | NAMES | frozenset().union(*SYNONYMS)


@functools.lru_cache(maxsize=16384)
def is_known(lower: str) -> bool:
    """Whether this is a word of its own, so that it is no other word misspelt."""
    return lower in _KNOWN or lower.removesuffix("s") in _KNOWN or stem_of(lower) in _EVERYDAY_STEMS


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
