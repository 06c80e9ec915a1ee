"""Webhook endpoints, and the delivery of events to them: signed, in order, again until the answer is 2xx."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable

import aiohttp
import orjson
import stripe

from tests.fakes.stripe.account import Account, merged_metadata, newest_first, random_text
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.faults import Object, invalid
from tests.fakes.stripe.rendering import page, within

# Waits between tries. Stripe goes on for three days; here the next event's turn comes sooner.
BACKOFF_S = (0.1, 0.2, 0.4, 0.8, 1.6)
ANSWER_TIMEOUT_S = 20
ANSWER_KEPT = 500


def create_endpoint(account: Account, given: Object) -> Object:
    _require_url(given["url"])
    fields = {
        "api_version": given.get("api_version"),
        "application": None,
        "description": given.get("description") or None,
        "enabled_events": given["enabled_events"],
        "metadata": given.get("metadata") or {},
        "status": "enabled",
        "url": given["url"],
    }
    secret = f"whsec_{random_text(32)}"
    endpoint = account.add("webhook_endpoint", fields, secret=secret)
    # Told this once.
    return {**endpoint, "secret": secret}


def _require_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")


def update_endpoint(account: Account, given: Object, id_: str) -> Object:
    endpoint = account.get("webhook_endpoint", id_)
    if "url" in given:
        _require_url(given["url"])
    endpoint.update({name: given[name] for name in ("url", "enabled_events", "description") if name in given})
    if "metadata" in given:
        endpoint["metadata"] = merged_metadata(endpoint["metadata"], given["metadata"])
    if "disabled" in given:
        endpoint["status"] = "disabled" if given["disabled"] else "enabled"
    return endpoint


def list_endpoints(account: Account, given: Object) -> Object:
    return page(account, newest_first(account.all("webhook_endpoint")), given, "/v1/webhook_endpoints")


def delete_endpoint(account: Account, given: Object, id_: str) -> Object:
    return account.remove(account.get("webhook_endpoint", id_))


def list_events(account: Account, given: Object) -> Object:
    chosen = equal(account.all("event"), given, ("type",))
    if "types" in given:
        chosen = [each for each in chosen if each["type"] in given["types"]]
    return page(account, newest_first(within(chosen, "created", given.get("created"))), given, "/v1/events")


def wants(endpoint: Object, event: Object) -> bool:
    chosen = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in chosen or event["type"] in chosen)


def signature(body: bytes, secret: str) -> str:
    """By real time: the receiver's clock is not the fake's."""
    at = int(time.time())
    signed = stripe.WebhookSignature._compute_signature(f"{at}.{body.decode()}", secret)
    return f"t={at},v1={signed}"


class Deliveries:
    """Sends what happened to who wants it, one event after the other."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.held = False
        self._seen = 0
        self._queue: deque[str] = deque()
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def forget(self) -> None:
        self._queue.clear()
        self._seen = 0
        self.held = False

    def collect(self) -> None:
        """Takes up the events since the last time."""
        ids = self.account.kinds.get("event", [])
        endpoints = self.account.all("webhook_endpoint")
        for id_ in ids[self._seen :]:
            event = self.account.objects[id_]
            event["pending_webhooks"] = sum(wants(each, event) for each in endpoints)
            if event["pending_webhooks"]:
                self._queue.append(id_)
        self._seen = len(ids)
        self._wake()

    def hold(self) -> None:
        """Keeps what happens from now on until `release`."""
        self.held = True

    def release(self) -> None:
        self.held = False
        self._wake()

    def _wake(self) -> None:
        if self._queue and not self.held:
            self._idle.clear()
            self._work.set()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())

    async def drained(self) -> None:
        """Returns when nothing waits any more that may be sent."""
        await self._idle.wait()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            while self._queue and not self.held:
                id_ = self._queue.popleft()
                await self._deliver(id_, BACKOFF_S)
                event = self.account.find(id_)
                if self.held and event and event["pending_webhooks"]:
                    # It was cut short, and goes on with the others later.
                    self._queue.appendleft(id_)
            self._work.clear()
            self._idle.set()

    async def deliver(self, ids: Iterable[str]) -> list[Object]:
        """Sends exactly these, in this order, each once to whoever wants it; what was answered."""
        answers = []
        for id_ in ids:
            self.account.get("event", id_)
        for id_ in ids:
            answers += await self._deliver(id_, ())
        return answers

    async def _deliver(self, id_: str, backoff_s: tuple[float, ...]) -> list[Object]:
        event = self.account.find(id_)
        if event is None:
            return []
        answers = []
        for endpoint in self.account.all("webhook_endpoint"):
            if wants(endpoint, event):
                answers.append(await self._send(endpoint, event, backoff_s))
        done = sum(200 <= (answer["status"] or 0) < 300 for answer in answers)
        event["pending_webhooks"] = max(0, len(answers) - done)
        return answers

    async def _send(self, endpoint: Object, event: Object, backoff_s: tuple[float, ...]) -> Object:
        body = orjson.dumps(event, option=orjson.OPT_INDENT_2)
        for wait_s in (*backoff_s, None):
            answer = await self._post(endpoint, body)
            notes = self.account.notes.get(event["id"])
            if notes is None:
                # The account was reset meanwhile.
                break
            notes["attempts"].append(answer)
            if 200 <= (answer["status"] or 0) < 300 or wait_s is None or self.held:
                break
            await asyncio.sleep(wait_s)
            if self.account.find(endpoint["id"]) is None:
                break
        return {**answer, "event": event["id"]}

    async def _post(self, endpoint: Object, body: bytes) -> Object:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self.account.notes[endpoint["id"]]["secret"]),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        answer: Object = {"endpoint": endpoint["id"], "at": int(time.time()), "status": None, "answer": ""}
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(endpoint["url"], data=body, headers=headers, allow_redirects=False) as response,
            ):
                text = (await response.text(errors="replace"))[:ANSWER_KEPT]
                return answer | {"status": response.status, "answer": text}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return answer | {"answer": f"{type(error).__name__}: {error}"}
