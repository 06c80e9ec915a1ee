"""Guards on small words that decide: and or or, all or some, first or last. Pure."""

from __future__ import annotations

from gateway.cache.verify.polarity import denies
from gateway.cache.verify.text import Text, read_once

_EXCEPT = frozenset({"besides", "except", "excluding", "outside"})
_EMPTY = frozenset("a an the my your his her its our their some any both either".split())


def connectives_differ(a: Text, b: Text) -> str | None:
    """“A and B” against “A or B”; not after “not”, where they say the same."""
    ours, theirs = _joined(a), _joined(b)
    if not ours or not theirs or ours == theirs:
        return None
    for pair in ours.keys() & theirs.keys():
        if ours[pair] != theirs[pair]:
            excluded = (a.lowers | b.lowers) & _EXCEPT or any(map(denies, a.lowers | b.lowers))
            return None if excluded else f'one says "{ours[pair]}" where the other says "{theirs[pair]}"'
    return None


@read_once
def _joined(text: Text) -> dict[tuple[str, str], str]:
    """What stands on both sides of an “and” or “or”, whichever comes first."""
    if text.lowers.isdisjoint({"and", "or"}):
        return {}
    words = [word for word in text.words if word.lower not in _EMPTY]
    found: dict[tuple[str, str], str] = {}
    for at, word in enumerate(words[1:-1], 1):
        if word.lower in {"and", "or"}:
            left, right = words[at - 1].stem, words[at + 1].stem
            found[(min(left, right), max(left, right))] = word.lower
    return found


_QUANTIFIERS = {
    word: kind
    for kind, words in {
        "all": "all every each entire whole everyone everybody everything",
        "some": "some any several certain anyone anybody anything someone somebody something",
        "both": "both",
        "either": "either",
        "most": "most majority",
        "few": "few",
        "many": "many",
        "one": "one 1 single",
        "first": "first 1st initial",
        "last": "last final",
        "next": "next following",
        "previous": "previous prior",
        "second": "second 2nd",
        "third": "third 3rd",
        "same": "same",
        "other": "other another different",
        "least": "least",
    }.items()
    for word in words.split()
}
# By themselves, these are who and what: “does everyone”, “does anyone”.
_PRONOUNS = frozenset("everyone everybody everything anyone anybody anything someone somebody something".split())
_PRONOUN_HEADS = {"one": "one", "body": "one", "thing": "thing"}
# “The last bill” is the previous one; “some” leaves open how many; “both” are all, where there are two.
_COMPATIBLE = frozenset(
    frozenset(pair.split())
    for pair in (
        "previous last", "some many", "some few", "both all", "many most", "one first", "some one", "other some",
        "one same", "one other", "last least", "some either", "next other",
    )
)  # fmt: skip
_BETWEEN = frozenset("of the my our your these those a an".split())


def quantifiers_differ(a: Text, b: Text) -> str | None:
    """“All dogs” against “some dogs”, “the first year” against “every year”; only against too."""
    ours, theirs = _quantified(a), _quantified(b)
    if ours and theirs:
        for head in ours.keys() & theirs.keys():
            (kind, word), (other, its_word) = ours[head], theirs[head]
            if kind != other and frozenset({kind, other}) not in _COMPATIBLE:
                return f'one says "{word}" where the other says "{its_word}"'
    if max(len(a.words), len(b.words)) > _SHORT:
        return None
    for here, there in ((a, b), (b, a)):
        if not here.lowers.isdisjoint(_ONLY) and not there.lowers.isdisjoint(_TOO) and there.lowers.isdisjoint(_ONLY):
            return 'one says "only" where the other says "too"'
    return None


# In a story, “only” and “too” belong to this and that.
_SHORT = 12
_ONLY = frozenset({"only", "solely", "exclusively"})
_TOO = frozenset({"too", "also", "even"})


@read_once
def _quantified(text: Text) -> dict[str, tuple[str, str]]:
    """Stem of what is quantified → kind, and the word that says so."""
    found: dict[str, tuple[str, str]] = {}
    words = text.words
    for at, word in enumerate(words):
        lower = word.lower
        kind = _QUANTIFIERS.get(lower)
        if kind is None:
            continue
        if lower in _PRONOUNS:
            head = next(head for ending, head in _PRONOUN_HEADS.items() if lower.endswith(ending))
            found.setdefault(f"({head})", (kind, lower))
            continue
        for near in words[at + 1 : at + 5]:
            if near.is_content and near.lower not in _QUANTIFIERS:
                found.setdefault(near.stem, (kind, lower))
                break
            if near.lower not in _BETWEEN and near.lower not in _QUANTIFIERS:
                break
    return found
