"""Reads a file of labelled questions or of labelled pairs. Refuses what is neither, by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from nexus.jsonlines import BadFile, rows

STREAM_ROW = '{"q": "How do I make tea?", "cluster": "tea"}'
PAIR_ROW = '{"a": "What is 2+2?", "b": "What is 2+3?", "same": false, "kind": "numbers"}'


class Question(NamedTuple):
    """Two questions of one cluster have the same answer."""

    text: str
    cluster: str


class Pair(NamedTuple):
    """`asked` when `stored` has been answered; `same`: that answer fits."""

    asked: str
    stored: str
    same: bool
    kind: str


class Labelled(NamedTuple):
    """One file: either questions, in the order in which they are asked, or pairs."""

    path: Path
    questions: list[Question]
    pairs: list[Pair]

    @property
    def answerable(self) -> int:
        """For how many rows the right answer is stored before: more hits than these cannot be right."""
        clusters = {question.cluster for question in self.questions}
        return len(self.questions) - len(clusters) + sum(pair.same for pair in self.pairs)

    @property
    def texts(self) -> list[str]:
        """Each once, in the order of their first appearance."""
        pairs = (text for pair in self.pairs for text in (pair.stored, pair.asked))
        return list(dict.fromkeys([question.text for question in self.questions] or pairs))


def read(path: Path) -> Labelled:
    """JSON lines, all questions or all pairs; more columns than these are no harm. Raises BadFile."""
    questions: list[Question] = []
    pairs: list[Pair] = []
    for place, row in rows(path, STREAM_ROW):
        if "q" in row and not pairs:
            questions.append(_question(place, row))
        elif "a" in row and not questions:
            pairs.append(_pair(place, row))
        elif "q" in row or "a" in row:
            began, other = ("questions", "a pair") if questions else ("pairs", "a question")
            raise BadFile(f"{place} is {other}, and the file began with {began}. Give each kind a file of its own.")
        else:
            raise BadFile(f"{place} is neither a question, as in {STREAM_ROW}, nor a pair, as in {PAIR_ROW}.")
    if not questions and not pairs:
        raise BadFile(f"{path} holds no rows. A row is a question, as in {STREAM_ROW}, or a pair, as in {PAIR_ROW}.")
    return Labelled(path, questions, pairs)


def _question(place: str, row: dict[str, Any]) -> Question:
    cluster = row.get("cluster")
    if isinstance(cluster, bool) or not isinstance(cluster, str | int):
        raise BadFile(f'{place} needs a "cluster", a text or a whole number that names its answer: {STREAM_ROW}.')
    return Question(_text(place, row, "q", STREAM_ROW), str(cluster))


def _pair(place: str, row: dict[str, Any]) -> Pair:
    if not isinstance(row.get("same"), bool):
        raise BadFile(f'{place} needs "same", true or false: {PAIR_ROW}.')
    asked, stored, kind = (_text(place, row, name, PAIR_ROW) for name in ("a", "b", "kind"))
    return Pair(asked, stored, row["same"], kind)


def _text(place: str, row: dict[str, Any], name: str, example: str) -> str:
    text = row.get(name)
    if not isinstance(text, str) or not text.strip():
        raise BadFile(f'{place} needs a text "{name}", as in {example}.')
    return text
