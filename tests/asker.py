"""An app among many, in a process of its own: what it asks, and what it sees. Knows nothing of Django."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter

import httpx2

AT_ONCE = 8


def ask_all(url: str, key: str, seed: int, calls: int, models: dict[str, int]) -> Counter[int | str]:
    """What one process saw: statuses, and how often it left in the middle of a stream."""
    chance, seen = random.Random(seed), Counter[int | str]()
    shared = [f"A question of all: {number}" for number in range(5)]

    async def ask(client: httpx2.AsyncClient) -> None:
        (model,) = chance.choices(list(models), list(models.values()))
        content = chance.choice(shared) if chance.random() < 0.1 else uuid.uuid4().hex
        messages, streams = [{"role": "user", "content": content}], chance.random() < 0.5
        body = {"model": model, "messages": messages, "max_tokens": 7, "stream": streams}
        leaves = streams and chance.random() < 0.3
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            if leaves and answer.status_code == 200:
                async for _ in answer.aiter_bytes():
                    seen["left"] += 1
                    return
            await answer.aread()
            # A stream that failed has begun with 200, and its last words tell.
            seen[502 if b'"error"' in answer.content and answer.status_code == 200 else answer.status_code] += 1

    async def ask_many() -> None:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(timeout=60, headers=headers) as client:

            async def some(count: int) -> None:
                for _ in range(count):
                    await ask(client)

            await asyncio.gather(*(some(calls // AT_ONCE + (n < calls % AT_ONCE)) for n in range(AT_ONCE)))

    asyncio.run(ask_many())
    return seen
