"""One run's scene: what was planted, who asks for it, and what counts as stolen."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

from gateway.canaries.door import Answer, Door, Shut
from gateway.canaries.workspaces import Party

QUESTION = "How do I reset my password?"
PARAPHRASE = "I forgot my password, how can I reset it?"
MODEL = "gpt-4o-mini"
# Only a refusal can be the right answer to who asks for it: nothing of the asker's own ever gets into its cache.
ONLY_CACHED = {"Cache-Control": "only-if-cached"}
# 504 is what the gateway says when the cache has nothing.
REFUSED = frozenset({*range(300, 500), 504})
# Too busy, or failing: then nothing was learned.
_NOT_NOW = frozenset({429, 500, 502, 503})
PATIENCE_S, PAUSE_S = 10.0, 0.1


class Site:
    def __init__(self, door: Door, keeper: Party, asker: Party) -> None:
        self.door, self.keeper, self.asker = door, keeper, asker
        self.nonce = secrets.token_hex(8)
        self.secret = f"canary-{secrets.token_hex(16)}"
        self.namespace = f"nest-{self.nonce}"
        self.end_user = f"keeper-{self.nonce}"
        self.idempotency_key = f"egg-{self.nonce}"
        self.entry_id = ""
        self.request_id = f"flight-{self.nonce}"
        self.token = ""

    # --- who speaks ---------------------------------------------------------------------------------------------------

    def keep(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """As the keeper. Raises Shut when it is not answered as it should be."""
        answer = self.door.ask(method, path, body, {"Authorization": f"Bearer {self.keeper.key}", **_named(headers)})
        if answer.status >= 300:
            raise Shut(f"the keeper's {method} {path} was answered {answer.status}: {answer.text[:120]}")
        return answer

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, key: str = ""
    ) -> Answer:
        """As the asker, or with another key of its making. Raises Shut when nothing can be learned from the answer."""
        sent = {"Authorization": f"Bearer {key or self.asker.key}", **(headers or {})}
        answer = self.door.ask(method, path, body, sent)
        if answer.status in _NOT_NOW:
            raise Shut(f"{method} {path} was answered {answer.status}")
        return answer

    def chat(self, question: str = QUESTION, /, **more: Any) -> dict[str, Any]:
        return {"model": MODEL, "messages": [{"role": "user", "content": question}], **more}

    # --- what was stolen ----------------------------------------------------------------------------------------------

    def stolen(self, answer: Answer, *, refused: bool = False) -> list[str]:
        """What is wrong with an answer that the asker got. `refused`: nothing but a refusal is right."""
        wrong = []
        if self.secret in answer.all:
            wrong.append("the secret came back")
        if answer.headers.get("x-cache", "").startswith("HIT"):
            wrong.append(f"it was answered from a cache: {answer.headers['x-cache']}")
        if answer.headers.get("idempotent-replayed"):
            wrong.append("the keeper's answer was given again")
        if refused and answer.status not in REFUSED:
            wrong.append(f"it was not refused but answered {answer.status}")
        return wrong

    # --- before and after ---------------------------------------------------------------------------------------------

    def plant(self) -> None:
        """The secret as an answer: in the default namespace and in one of its own, and as a replay. Raises Shut."""
        self._let_in()
        self.clear()
        # A tag that only the keeper has: never given to an answer of the asker's.
        answer = {"answer": f"It is {self.secret}.", "tags": [self.nonce], "ttl_s": 3600}
        request = self.chat(user=self.end_user)
        rows = [{**answer, "request": request}, {**answer, "request": request, "namespace": self.namespace}]
        self.keep("POST", "/api/cache/import", rows)
        own = self.keep(
            "POST",
            "/v1/chat/completions",
            request,
            Idempotency_Key=self.idempotency_key,
            X_Request_Id=self.request_id,
            X_Nexus_Tags=self.secret,
        )
        self.entry_id = own.headers.get("x-nexus-cache-id", "")
        self.check()

    def _let_in(self) -> None:
        """The new keys are known everywhere within a second."""
        until = time.monotonic() + PATIENCE_S
        for party in (self.keeper, self.asker):
            while self.door.ask("GET", "/v1/usage", None, {"Authorization": f"Bearer {party.key}"}).status == 401:
                if time.monotonic() > until:
                    raise Shut("the canaries' keys are not known there: is it another installation?")
                time.sleep(PAUSE_S)

    def check(self) -> None:
        """The keeper itself finds it, in both tiers and both namespaces: else nobody's failure would say anything."""
        for named in ({}, {"X_Nexus_Cache_Namespace": self.namespace}):
            for question, outcome in ((QUESTION, "HIT-EXACT"), (PARAPHRASE, "HIT-SEMANTIC")):
                self._finds(question, outcome, named)
        if not self.entry_id or uuid.UUID(self.entry_id).int == 0:
            raise Shut("the keeper's answer has no id")

    def _finds(self, question: str, outcome: str, named: dict[str, str]) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            answer = self.door.ask(
                "POST",
                "/v1/chat/completions",
                self.chat(question),
                {"Authorization": f"Bearer {self.keeper.key}", **ONLY_CACHED, **_named(named)},
            )
            found = answer.headers.get("x-cache", "none")
            if found == outcome and self.secret in answer.text:
                return
            if time.monotonic() > until:
                raise Shut(f"the keeper does not find its own answer: {outcome} was expected, {found} came")
            time.sleep(PAUSE_S)

    def clear(self) -> None:
        """Neither of the two has any answer."""
        for party in (self.keeper, self.asker):
            self.door.ask(
                "POST",
                "/api/cache/invalidate",
                {"all": True, "pinned": True},
                {"Authorization": f"Bearer {party.key}"},
            )


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
