"""What is asked in one run of the bench, and what each answer must hold."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import orjson

from nexus.bench import load, questions
from nexus.bench.provider import TEXT
from nexus.preflight import Trouble

CHAT = "/v1/chat/completions"
KNOWN = 200
FILLING_AT_ONCE = 4
_CACHE_ID = re.compile(rb"x-nexus-cache-id: (\S+)")
# The beginning of the answer, and its end: the whole of it came.
_COMPLETE = (TEXT[:40].encode(), b'"usage"')
_STREAM_COMPLETE = (b"a few words", b"data: [DONE]")
_REPLAY_COMPLETE = (TEXT[:40].encode(), b"data: [DONE]")
_FROM_PROVIDER, _EXACT, _SEMANTIC = b"x-cache: MISS", b"x-cache: HIT-EXACT", b"x-cache: HIT-SEMANTIC"


class Mode(NamedTuple):
    """One thing measured: the gateway's requests beside a floor's. `embedded`: texts as they are embedded for it."""

    name: str
    requests: Iterator[load.Request]
    floor: str
    floor_requests: Iterator[load.Request]
    embedded: tuple[str, ...] = ()


class Workload:
    """All with one key, whose tenant has no limits."""

    def __init__(self, key: str) -> None:
        self._headers = {"Authorization": f"Bearer {key}"}
        self._known = list(itertools.islice(questions.unique(), KNOWN))
        # Paraphrase → id of the entry that it must be answered from.
        self._paraphrases: dict[str, bytes] = {}

    async def fill(self, port: int) -> bytes:
        """Stores what shall be found, and keeps the paraphrases that find it; one answer's body, for the floors."""
        answers = await self._ask_all(port, questions.stored())
        entries = {text: _cache_id(answer) for text, answer in answers.items() if _FROM_PROVIDER in answer}
        await self._ask_all(port, self._known)
        paraphrases = questions.paraphrases()
        for text, answer in (await self._ask_all(port, paraphrases)).items():
            entry = entries.get(paraphrases[text])
            if entry and _SEMANTIC in answer and _cache_id(answer) == entry:
                self._paraphrases[text] = entry
        if len(self._paraphrases) < len(paraphrases) / 2:
            raise Trouble(
                f"Only {len(self._paraphrases)} of {len(paraphrases)} paraphrases are semantic hits."
                " Adapt nexus/bench/questions.py to what the cache accepts now."
            )
        return answer.partition(b"\r\n\r\n")[2]

    def modes(self) -> list[Mode]:
        unique = questions.unique
        found, proxied = self._chat(itertools.cycle(self._known)), self._chat(unique())
        long, short = tuple(itertools.islice(unique(), 60)), tuple(itertools.islice(self._paraphrases, 0, None, 20))
        return [
            Mode("exact hit", self._hits(), "hit floor", found),
            Mode("miss, semantic off", self._misses(), "proxy floor", proxied),
            # Before thousands of new entries: the index finds nearly all of its neighbours, not all.
            Mode("semantic hit", self._semantic_hits(), "hit floor", found, short),
            Mode("miss, semantic on", self._chat(unique(), (_FROM_PROVIDER, *_COMPLETE)), "proxy floor", proxied, long),
            Mode(
                "stream, miss",
                self._chat(unique(), (_FROM_PROVIDER, *_STREAM_COMPLETE), cache="exact", stream=True),
                "proxy floor",
                self._chat(unique(), _STREAM_COMPLETE, stream=True),
            ),
            Mode(
                "stream, exact hit",
                self._chat(itertools.cycle(self._known), (_EXACT, *_REPLAY_COMPLETE), stream=True),
                "hit floor",
                found,
            ),
        ]

    def mixed(self) -> Iterator[load.Request]:
        """Nine exact hits to one miss that is looked up and stored by meaning, too."""
        hits, misses = self._hits(), self._chat(questions.unique(), (_FROM_PROVIDER, *_COMPLETE))
        for number in itertools.count():
            yield next(misses) if number % 10 == 0 else next(hits)

    def _hits(self) -> Iterator[load.Request]:
        return self._chat(itertools.cycle(self._known), (_EXACT, *_COMPLETE))

    def _misses(self) -> Iterator[load.Request]:
        return self._chat(questions.unique(), (_FROM_PROVIDER, *_COMPLETE), cache="exact")

    def _semantic_hits(self) -> Iterator[load.Request]:
        for text, entry in itertools.cycle(self._paraphrases.items()):
            holds = (_SEMANTIC, b"x-nexus-cache-id: " + entry, *_COMPLETE)
            yield self._request(text, holds, self._headers, {})

    def _chat(
        self, texts: Iterable[str], holds: tuple[bytes, ...] = _COMPLETE, *, cache: str = "", stream: bool = False
    ) -> Iterator[load.Request]:
        headers = {**self._headers, "X-Nexus-Cache": cache} if cache else self._headers
        for text in texts:
            yield self._request(text, holds, headers, {"stream": True} if stream else {})

    def _request(
        self, text: str, holds: tuple[bytes, ...], headers: dict[str, str], more: dict[str, bool]
    ) -> load.Request:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}
        return load.post(CHAT, orjson.dumps(body), headers, holds)

    async def _ask_all(self, port: int, texts: Iterable[str]) -> dict[str, bytes]:
        waiting = iter(texts)
        answers: dict[str, bytes] = {}

        async def work() -> None:
            for text in waiting:
                answers[text] = await load.fetch(port, self._request(text, _COMPLETE, self._headers, {}))

        await asyncio.gather(*(work() for _ in range(FILLING_AT_ONCE)))
        return answers


def _cache_id(answer: bytes) -> bytes:
    found = _CACHE_ID.search(answer)
    if found is None:
        raise load.WrongAnswer(f"No X-Nexus-Cache-Id in:\n{answer[:1500].decode(errors='replace')}")
    return found[1]
