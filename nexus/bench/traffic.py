"""What many apps ask at once: repeats by Zipf's law, paraphrases, new questions, streams, wrong requests and a provider
that fails, in all dialects, of several workspaces. Drawn from a seed. Says of each what its answer may be.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from nexus.bench import load, questions
from nexus.bench.crowd import Workspace
from nexus.bench.marked import BROKEN, about

MODEL = "gpt-4o-mini"
REPEATED, STORED, UNEVENNESS = 300, 60, 1.1
# Kind → its share of all requests.
MIX = {
    "repeat": 0.56,
    "paraphrase": 0.08,
    "new": 0.10,
    "new, exact tier": 0.12,
    "stream, new": 0.05,
    "stream, repeat": 0.05,
    "wrong": 0.02,
    "failing": 0.02,
}
FILLER = "Please answer in a few short sentences that a newcomer understands."


class Asked(NamedTuple):
    """`abouts`: the questions of which one must be answered; `id` is its X-Request-Id."""

    kind: str
    workspace: Workspace
    id: str
    wire: bytes
    abouts: frozenset[bytes]

    @property
    def streams(self) -> bool:
        return self.kind.startswith("stream")


def openai_chat(text: str, model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}


def anthropic(text: str, model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    messages = [{"role": "user", "content": text}]
    return "/v1/messages", {"model": model, "max_tokens": 100, "messages": messages, "stream": stream}


def responses(text: str, model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/v1/responses", {"model": model, "input": text, "store": False, "stream": stream}


def simple(text: str, model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/api/chat", {"model": model, "message": text, "stream": stream}


DIALECTS = ((openai_chat, 0.7), (anthropic, 0.12), (responses, 0.12), (simple, 0.06))


class Traffic:
    """Endless, the same from one seed but for the texts that were never asked before."""

    def __init__(
        self,
        workspaces: Sequence[Workspace],
        seed: int,
        mix: dict[str, float] | None = None,
        *,
        repeated: int = REPEATED,
        stored: int = STORED,
    ) -> None:
        self._workspaces, self._random = workspaces, random.Random(seed)
        self._mix = mix or MIX
        self._weights = list(itertools.accumulate((1 + at) ** -UNEVENNESS for at in range(repeated)))
        self._repeated = [
            f"What should everybody know about topic {at} of list {seed}? {FILLER}" for at in range(repeated)
        ]
        self._tasks = questions.tasks()[:: len(questions.tasks()) // stored][:stored]
        # Whatever phrase of a task was asked first, its answer is right for the others.
        self._of_task = {
            task: frozenset(about(frame.format(task)).encode() for frame in (questions.STORED, *questions.ASKED))
            for task in self._tasks
        }

    def __iter__(self) -> Iterator[Asked]:
        while True:
            yield self.draw()

    def draw(self, workspace: Workspace | None = None, kind: str = "") -> Asked:
        drawn = kind or self._random.choices(list(self._mix), list(self._mix.values()))[0]
        of = workspace or self._random.choice(self._workspaces)
        return getattr(self, f"_{drawn.partition(',')[0]}")(of, drawn)  # type: ignore[no-any-return]

    def known(self) -> list[Asked]:
        """All that may be repeated, so that it is known from the first on: in each dialect, as a stream and not."""
        return [
            self._ask(of, "stream, repeat" if stream else "repeat", text, dialect=dialect, stream=stream)
            for of in self._workspaces
            for text in self._repeated
            for dialect, _ in DIALECTS
            for stream in (False, True)
        ]

    def stored(self) -> list[Asked]:
        """What has to be asked first, so that paraphrases find it."""
        return [
            self._ask(of, "new", questions.STORED.format(task), self._of_task[task], openai_chat)
            for of in self._workspaces
            for task in self._tasks
        ]

    def _repeat(self, of: Workspace, kind: str) -> Asked:
        text = self._random.choices(self._repeated, cum_weights=self._weights)[0]
        return self._ask(of, kind, text, stream=kind.startswith("stream"))

    def _paraphrase(self, of: Workspace, kind: str) -> Asked:
        task = self._random.choice(self._tasks)
        text = self._random.choice(questions.ASKED).format(task)
        return self._ask(of, kind, text, self._of_task[task], openai_chat)

    def _new(self, of: Workspace, kind: str) -> Asked:
        text = f"Tell me about the subject {uuid.uuid4().hex} in plain words. {FILLER}"
        return self._ask(of, kind, text, cache="exact" if kind.endswith("tier") else "")

    def _stream(self, of: Workspace, kind: str) -> Asked:
        if kind.endswith("repeat"):
            return self._repeat(of, kind)
        text = f"Tell me at length about {uuid.uuid4().hex}. {FILLER}"
        return self._ask(of, kind, text, stream=True, cache="exact")

    def _wrong(self, of: Workspace, kind: str) -> Asked:
        """Without a message: refused by every gateway, at the edge."""
        return _made(kind, of, "/v1/chat/completions", {"model": MODEL}, self._key(of), frozenset())

    def _failing(self, of: Workspace, kind: str) -> Asked:
        return self._ask(of, kind, f"Fail for {uuid.uuid4().hex}.", model=BROKEN, dialect=openai_chat)

    def _key(self, of: Workspace) -> str:
        return self._random.choice(of.keys)

    def _ask(
        self,
        of: Workspace,
        kind: str,
        text: str,
        abouts: frozenset[bytes] = frozenset(),
        dialect: Any = None,
        *,
        stream: bool = False,
        model: str = MODEL,
        cache: str = "",
    ) -> Asked:
        shape = dialect or self._random.choices([one for one, _ in DIALECTS], [share for _, share in DIALECTS])[0]
        path, payload = shape(text, model, stream)
        return _made(kind, of, path, payload, self._key(of), abouts or frozenset({about(text).encode()}), cache)


def _made(
    kind: str, of: Workspace, path: str, payload: dict[str, Any], key: str, abouts: frozenset[bytes], cache: str = ""
) -> Asked:
    request_id = uuid.uuid4().hex
    headers = {"Authorization": f"Bearer {key}", "X-Request-Id": request_id}
    if cache:
        headers["X-Nexus-Cache"] = cache
    return Asked(kind, of, request_id, load.post(path, orjson.dumps(payload), headers).wire, abouts)
