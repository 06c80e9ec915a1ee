"""How hard a request is: what `model: "auto"` decides on. Pure: no I/O, no Django, the same answer each time.

A logistic model over a few features that a person can check; weights and cue words are the tables below, fitted by
`tests/fit_complexity.py` and explained in `docs/routing.md`. Reads a bounded part of any payload, whatever its types.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Set
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway import cues

if TYPE_CHECKING:
    from gateway.types import ChatRequest


class Assessment(NamedTuple):
    """`score`: how likely a small model's answer is not good enough, 0 to 1. `reasons`: what moved it most, first."""

    complex: bool
    score: float
    reasons: tuple[str, ...]


# As Django's, which is not asked here: it marks what others translate.
gettext_noop = str


class Feature(NamedTuple):
    """`weight` is what it adds to the log-odds from a count of `full` on; `reason` may show that `{count}`."""

    weight: float
    full: int
    reason: str


COMPLEX_FROM = 0.5
BIAS = -2.25
FEATURES: dict[str, Feature] = {
    "length": Feature(3.23, 256, gettext_noop("asks in {count} words")),
    "parts": Feature(1.67, 8, gettext_noop("has {count} parts")),
    "constraints": Feature(1.50, 5, gettext_noop("has {count} constraints")),
    "long_words": Feature(3.02, 6, gettext_noop("uses {count} long words")),
    "figures": Feature(1.84, 8, gettext_noop("gives {count} figures")),
    "proof": Feature(2.80, 1, gettext_noop("asks for a proof or a derivation")),
    "maths": Feature(0.46, 2, gettext_noop("is about mathematics")),
    "engineering": Feature(3.53, 3, gettext_noop("asks for engineering")),
    "diagnosis": Feature(1.06, 2, gettext_noop("asks for the cause of a problem")),
    "analysis": Feature(4.29, 3, gettext_noop("asks for analysis or judgement")),
    "planning": Feature(2.41, 2, gettext_noop("asks for a plan")),
    "expertise": Feature(2.28, 3, gettext_noop("needs an expert's knowledge")),
    "long_answer": Feature(1.39, 1, gettext_noop("wants a long or complete answer")),
    "reasoning": Feature(2.21, 2, gettext_noop("wants the reasoning shown")),
    "effort": Feature(1.50, 1, gettext_noop("says how much to think")),
    "tools": Feature(1.13, 4, gettext_noop("offers {count} tools")),
    "images": Feature(0.30, 2, gettext_noop("shows {count} images")),
    "schema": Feature(1.00, 10, gettext_noop("wants nested JSON with {count} inner fields")),
    "turns": Feature(0.20, 32, gettext_noop("goes on after {count} messages")),
    "question": Feature(-1.97, 1, gettext_noop("is a short question")),
    "rewriting": Feature(-1.53, 1, gettext_noop("asks to rewrite or sort given text")),
    "brief": Feature(-1.17, 1, gettext_noop("wants a short answer")),
}

# Who asks for these asks for more than a change of given text.
_HARD = frozenset({"proof", "engineering", "diagnosis", "analysis", "planning"})
# Four words and eight differ as forty and eighty do.
_BY_LOGARITHM = frozenset({"length", "turns"})
_EFFORTS = {"none": -1.0, "minimal": -1.0, "low": -1.0, "medium": 0.5, "high": 1.0, "xhigh": 1.0, "max": 1.0}

# How much is read, whatever is sent: instructions stand at the beginning or the end.
_HEAD_CHARACTERS, _TAIL_CHARACTERS = 1800, 600
_SYSTEM_CHARACTERS = 160
_MESSAGES, _PARTS, _SCHEMA_NODES = 64, 16, 200
# A longer line is no instruction about pasted text, nor a remark on one.
_INSTRUCTION_CHARACTERS, _REMARK_CHARACTERS = 500, 200
_REASONS = 4
_LEAST_TOLD = 0.2
# Fewer of these move the score a little, but explain nothing.
_TOLD_FROM = {"length": 20, "parts": 3, "constraints": 2, "long_words": 3, "figures": 3, "tools": 2, "schema": 3}
_UNTOLD = {True: "shows several small signs of difficulty", False: "shows no sign of difficulty"}


def assess(request: ChatRequest) -> Assessment:
    """Never raises, and takes well under a millisecond: it reads some 2,500 characters at most."""
    counts = measure(request.payload)
    shares = {name: FEATURES[name].weight * strength(name, count) for name, count in counts.items()}
    score = 1 / (1 + math.exp(-BIAS - sum(shares.values())))
    is_complex = score >= COMPLEX_FROM
    told = sorted(((share if is_complex else -share, name) for name, share in shares.items()), reverse=True)
    reasons = [
        FEATURES[name].reason.format(count=round(counts[name]))
        for share, name in told
        if share >= _LEAST_TOLD and counts[name] >= _TOLD_FROM.get(name, 0)
    ]
    return Assessment(is_complex, score, tuple(reasons[:_REASONS]) or (_UNTOLD[is_complex],))


def strength(name: str, count: float) -> float:
    """-1 to 1; only `effort` can be below 0."""
    full = FEATURES[name].full
    share = math.log2(1 + count) / math.log2(1 + full) if name in _BY_LOGARITHM else count / full
    return max(-1.0, min(1.0, share))


def measure(payload: dict[str, Any]) -> dict[str, float]:
    """The count behind each feature; those that are 0 are left out."""
    messages = _list(payload.get("messages"))
    recent = [m for m in messages[-_MESSAGES:] if isinstance(m, dict)]
    content = next((m.get("content") for m in reversed(recent) if m.get("role") == "user"), None)
    text, images = _read(content)
    system = next((m for m in messages[:4] if isinstance(m, dict) and m.get("role") in ("system", "developer")), None)
    task = _window(_read(system.get("content"))[0][:_SYSTEM_CHARACTERS]).lower() if system else ""
    counts = _count_text(text, task)
    counts["effort"] = _effort(payload)
    counts["tools"] = len(_list(payload.get("tools")) or _list(payload.get("functions")))
    counts["images"] = images
    counts["schema"] = _fields(payload.get("response_format"))
    counts["turns"] = max(0, len(messages) - 1 - (system is not None))
    return {name: count for name, count in counts.items() if count}


# --- what is asked, apart from what is pasted -------------------------------------------------------------------------

# None of these can look for its end twice, so time grows with the text's length only.
_QUOTED = re.compile(r'"[^"\n]*"|“[^“”\n]*”|«[^«»\n]*»|„[^„“”\n]*[“”]|「[^「」\n]*」')
_FENCE = "```"
_LISTED = re.compile(r"^ {0,3}(?:[-*•]|\d{1,2}[.)]) ", re.MULTILINE)
_PART_MARKS = (",", ";", ":", "!", "?", ". ", "、", "，", "；", "：", "。", "！", "？")
_PART_WORDS = frozenset({"and", "und", "et", "y", "e", "en", "и", "then", "plus"})
_FORMULA = re.compile(r"[∫∑√∞≤≥∈∀∃∧∨¬²³°]|\w\^[\w(]|\w\([a-z]\) ?=|\d ?[*/+] ?\d|\b[a-z] ?= ?[\d-]")
_QUESTION = re.compile(
    r"(?:(?:hi|hello|hey|bonjour|hola|hallo|ok|so|and)\b[ ,!]*)?(?:what(?:'s| |s )|who|when|where|which|whose|is |are "
    r"|do |does |did |can |how (?:do|does|many|much|long|far|tall|old|often|can|to)\b|define|name |list |give me"
    r"|tell me|show me|was |wer |wo |wann |wie |welche|ist |quel|qui |où|combien|comment|c'est quoi|qu'est|¿|qual"
    r"|come |chi |dove |quanto|wat |как |что|кто|где|сколько)"
    r"|.*(?:什么|哪里|多少|几|谁|吗|何|どこ|いつ|いくつ|教えて|ですか|어디|무엇|هي|nedir|hangi)"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_QUESTION_CHARACTERS = 90
_LONG_WORD = 9


def _count_text(text: str, task: str) -> dict[str, float]:
    window = _window(text)
    ask = _instruction(window, task)
    words = cues.WORD.findall(ask)
    counts: dict[str, float] = {name: len(found) for name, found in cues.find(ask, words).items()}
    counts["length"] = len(words) + cues.unspaced_words(ask)
    counts["parts"] = sum(map(ask.count, _PART_MARKS)) + len(_LISTED.findall(ask))
    counts["parts"] += sum(word in _PART_WORDS for word in words)
    counts["long_words"] = sum(len(word) >= _LONG_WORD for word in words)
    counts["figures"] = sum(word[0].isdigit() for word in words)
    counts["question"] = _is_question(ask)
    counts["maths"] = counts.get("maths", 0) + bool(_FORMULA.search(ask))
    return counts


def _instruction(window: str, task: str) -> str:
    """What is asked for, in lower case. What is quoted, fenced or pasted is material: its words ask for nothing."""
    # A translator's user sends material only: what to do with it was said by the system.
    if _asks_to_rewrite(task):
        return task
    lowered = _QUOTED.sub(" … ", "\n".join(window.split(_FENCE)[::2]).lower()).strip() or window.lower()
    lines = [line for line in lowered.split("\n") if line.strip()]
    if not lines:
        return lowered
    first, last = lines[0], lines[-1]
    before, colon, _ = first.partition(": ")
    if colon and _asks_to_rewrite(before):
        return before
    if len(lines) == 1:
        return lowered
    # An end that asks for little asks it of what stands between; else that may be requirements.
    ends = [line for line in (first, last) if len(line) <= _INSTRUCTION_CHARACTERS]
    asking = [line for line in ends if _asks_to_rewrite(line) or _asks_a_fact(line)]
    if not asking:
        return lowered
    return "\n".join(line for line in (first, last) if line in asking or len(line) <= _REMARK_CHARACTERS)


def _asks_to_rewrite(text: str) -> bool:
    found = _cues_in(text)
    return "rewriting" in found and not found & _HARD


def _asks_a_fact(text: str) -> bool:
    return _is_question(text) and not _cues_in(text) & _HARD


def _cues_in(text: str) -> Set[str]:
    return cues.find(text, cues.WORD.findall(text)).keys()


def _is_question(text: str) -> bool:
    """Whether it begins or ends with a short one, that asks for a fact or a how-to."""
    text = text.strip()
    first = _SENTENCE_END.split(text[:_QUESTION_CHARACTERS], maxsplit=1)[0]
    last = _SENTENCE_END.split(text[-_QUESTION_CHARACTERS:].rstrip("?？"))[-1]
    return any(_QUESTION.match(sentence) and len(sentence) < _QUESTION_CHARACTERS for sentence in (first, last))


# --- reading what may be of any type ----------------------------------------------------------------------------------


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _window(text: str) -> str:
    if len(text) <= _HEAD_CHARACTERS + _TAIL_CHARACTERS:
        return text
    return f"{text[:_HEAD_CHARACTERS]}\n{text[-_TAIL_CHARACTERS:]}"


def _read(content: Any) -> tuple[str, int]:
    """A message's text, of bounded length where it has parts, and how many images are with it."""
    if isinstance(content, str):
        return content, 0
    parts = _list(content)
    if len(parts) > _PARTS:
        parts = parts[: _PARTS // 2] + parts[-_PARTS // 2 :]
    parts = [part for part in parts if isinstance(part, dict)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return "\n".join(map(_window, texts)), sum(part.get("type") == "image_url" for part in parts)


def _effort(payload: dict[str, Any]) -> float:
    effort, thinking = payload.get("reasoning_effort"), payload.get("thinking")
    if isinstance(effort, str):
        return _EFFORTS.get(effort, 0.0)
    return float(isinstance(thinking, dict) and thinking.get("type") == "enabled")


def _fields(response_format: Any) -> int:
    """How many properties its JSON schema has inside others: a flat form is filled in easily."""
    found = levels = 0
    nodes = [response_format]
    # The list grows as it is read: level by level, the outermost properties first.
    for node in nodes:
        if isinstance(node, dict) and isinstance(node.get("properties"), dict):
            found += len(node["properties"]) if levels else 0
            levels += 1
        if len(nodes) < _SCHEMA_NODES:
            children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            nodes.extend(itertools.islice(children, _SCHEMA_NODES))
    return found
