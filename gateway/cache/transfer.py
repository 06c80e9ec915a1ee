"""Answers brought into the cache from a file, and taken out into one.

A row is a question or a request with its answer, and goes the same way as a call up to the hold: who asks it finds the
answer. Or it is an entry as `taken_out` wrote it, which goes back to its place. Nothing is written while any is wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import orjson
import psycopg
import redis
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway import admission, relay
from gateway.cache import entries, exact
from gateway.cache.embedding.base import EmbeddingError, TextRefused
from gateway.cache.entries import Embedded, Entry
from gateway.cache.semantic import entry_of
from gateway.dialects import openai_chat
from gateway.dialects.chat_fields import check_message
from gateway.errors import InvalidRequest, Unavailable
from gateway.runtime import Gateway
from gateway.types import Call, Meta
from tenants.db import table
from tenants.limits import NO_LIMITS
from tenants.models import Tenant
from tenants.principal import Principal

logger = logging.getLogger(__name__)

PROVIDER = "import"
# What has no vector by then gets one from gateway.cache.reembedding.
EMBED_S = 10.0
AT_ONCE, WRITE_BATCH, READ_BATCH = 8, 200, 100


class Result(NamedTuple):
    rows: int
    stored: int
    # Left alone: people have pinned another answer to the same request.
    kept_pinned: int
    expired: int
    # Of those that may be compared by meaning.
    embedded: int
    waiting: int


def principal_of(tenant: Tenant) -> Principal:
    """The workspace itself: no key's models or limits apply."""
    return Principal(
        tenant_id=tenant.pk,
        schema=tenant.schema_name,
        slug=tenant.slug,
        active=True,
        key_id=0,
        public_id="",
        secret_sha256=b"",
        plan="",
        limits=NO_LIMITS,
    )


# --- in --------------------------------------------------------------------------------------------------------------


async def entry_from_request(gateway: Gateway, principal: Principal, row: dict[str, Any]) -> Entry:
    """`row` has `request`, a Chat Completions body, and `answer`; perhaps `namespace`, `tags`, `ttl_s`, `pinned`.

    Raises GatewayError.
    """
    headers = {}
    if row.get("namespace"):
        headers[b"x-nexus-cache-namespace"] = row["namespace"].encode()
    if row.get("tags"):
        headers[b"x-nexus-cache-tags"] = ",".join(row["tags"]).encode()
    if row.get("ttl_s") is not None:
        headers[b"x-nexus-cache-ttl"] = b"%d" % row["ttl_s"]
    incoming = admission.Incoming(openai_chat, headers, _dumped(row["request"], "request"), "")
    call = await admission.prepare(gateway, principal, incoming)
    if not call.rules.write:
        raise InvalidRequest(
            "The workspace keeps answers by end user: `request.user` must say whose this is."
            if call.rules.per_end_user and not call.end_user
            else "This request asks not to be kept.",
            param="request",
        )
    if call.rules.ttl_s <= 0 and not row["pinned"]:
        raise InvalidRequest("It would be kept for 0 seconds.", param="ttl_s")
    body = answer_of(row["answer"], call.request.model)
    meta = _meta(call, body)
    return entry_of(call, _dumped(body, "answer"), meta, call.rules.ttl_s)._replace(pinned=row["pinned"])


def _meta(call: Call, body: dict[str, Any]) -> Meta:
    """Priced as the answer of whoever would have been asked first."""
    usage = relay.usage_of(body, call)
    first = call.plan.candidates[0]
    total = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    body["usage"] = {**total, "total_tokens": usage.total_tokens}
    entry_id = entry_id_of(call.principal.tenant_id, call.fingerprint)
    return Meta(
        entry_id, round(time.time(), 3), PROVIDER, False, first.provider.catalog, first.model, **usage._asdict()
    )


def entry_id_of(tenant_id: int, fingerprint: str) -> str:
    """The same each time that a file is brought in."""
    return hashlib.blake2b(b"%d:%s" % (tenant_id, fingerprint.encode()), digest_size=16).hexdigest()


def entry_as_kept(principal: Principal, row: dict[str, Any], stale_s: int) -> Entry:
    """From a row that `taken_out` wrote. Raises InvalidRequest."""
    created_at, expires_at = row["created_at"], row["expires_at"]
    meta = Meta(
        entry_id=entry_id_of(principal.tenant_id, row["fingerprint"]), created_at=created_at.timestamp(), **row["meta"]
    )
    return Entry(
        scope=row["scope"],
        fingerprint=row["fingerprint"],
        namespace=row["namespace"],
        tags=tuple(row["tags"]),
        end_user=row["end_user"],
        model=row["model"],
        prompt=row["prompt"],
        answer=_dumped(answer_of(row["answer"], row["model"]), "answer"),
        meta=meta,
        ttl_s=0 if expires_at is None else max(0, int((expires_at - created_at).total_seconds())),
        stale_s=stale_s,
        pinned=row["pinned"],
    )


def _dumped(value: dict[str, Any], name: str) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        raise InvalidRequest(f"`{name}` is nested too deeply.", param=name) from None


def answer_of(answer: Any, model: str) -> dict[str, Any]:
    """A text, or a Chat Completions answer that has come to its end. Raises InvalidRequest."""
    if isinstance(answer, str):
        if not answer.strip():
            raise InvalidRequest("`answer` is empty.", param="answer")
        message = {"role": "assistant", "content": answer, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        made = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "created": int(time.time())}
        return {**made, "model": model, "choices": [choice]}
    if not isinstance(answer, dict):
        raise InvalidRequest("`answer` must be a text, or an answer of Chat Completions.", param="answer")
    _check_answer(answer)
    return answer


def _check_answer(answer: dict[str, Any]) -> None:
    """As far as dialects look into it: what they cannot render must not wait for its first hit."""
    for name, kind in (("id", str), ("model", str), ("created", int)):
        if not isinstance(answer.get(name, kind()), kind):
            raise InvalidRequest(f"`answer.{name}` is no {kind.__name__}.", param=f"answer.{name}")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not 0 < len(choices) <= 128:
        raise InvalidRequest("`answer.choices` must be a list of 1 to 128 choices.", param="answer.choices")
    for at, choice in enumerate(choices):
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict) or not isinstance(message.get("content"), str) or not message["content"]:
            raise _incomplete(at)
        check_message(at, {**message, "role": "assistant"})
        if choice.get("finish_reason") != "stop" or message.get("tool_calls") or message.get("function_call"):
            raise _incomplete(at)


def _incomplete(at: int) -> InvalidRequest:
    return InvalidRequest(
        f"`answer.choices[{at}]` must have a message with a text, call no tool, and have the `finish_reason` “stop”:"
        " only complete answers are kept.",
        param=f"answer.choices[{at}]",
    )


async def put(gateway: Gateway, principal: Principal, found: Sequence[Entry], expired: int) -> Result:
    """Writes rows before what Redis has of them (gateway.cache.exact). Raises Unavailable; then send all again."""
    try:
        left_alone = await _pinned(gateway, principal, [entry.fingerprint for entry in found if not entry.pinned])
        # In one order, so that two who bring the same wait for each other instead of deadlocking.
        going = sorted((each for each in found if each.fingerprint not in left_alone), key=lambda e: e.fingerprint)
        until, embedded, waiting = time.monotonic() + EMBED_S, 0, 0
        for at in range(0, len(going), WRITE_BATCH):
            pairs = await _with_vectors(gateway, going[at : at + WRITE_BATCH], until)
            embedded += sum(vector is not None for _, vector in pairs)
            waiting += sum(vector is None and bool(entry.scope) for entry, vector in pairs)
            async with gateway.pool.connection() as connection, connection.transaction():
                # One statement cannot both delete and insert the vector of an id that stays.
                await connection.execute(
                    sql.SQL("DELETE FROM {} WHERE entry_id = ANY(%s)").format(
                        table(principal.schema, "gateway_cachevector")
                    ),
                    ([uuid.UUID(entry.meta.entry_id) for entry, _ in pairs],),
                )
                for entry, vector in pairs:
                    await entries.store(connection, principal.schema, entry, vector)
            await asyncio.to_thread(exact.write, principal.tenant_id, [_kept(entry) for entry, _ in pairs])
    except (psycopg.Error, PoolTimeout, redis.RedisError) as error:
        logger.error("answers for tenant %s could not be brought in: %s", principal.tenant_id, error)
        raise Unavailable("The cache could not be written to the end; send the same again.", retry_after_s=2) from error
    return Result(len(found) + expired, len(going), len(left_alone), expired, embedded, waiting)


async def _pinned(gateway: Gateway, principal: Principal, fingerprints: list[str]) -> set[str]:
    query = sql.SQL("SELECT fingerprint FROM {} WHERE pinned AND fingerprint = ANY(%s)").format(
        table(principal.schema, "gateway_cacheentry")
    )
    async with gateway.pool.connection() as connection:
        cursor = await connection.execute(query, (fingerprints,))
        return {row[0] for row in await cursor.fetchall()}


async def _with_vectors(gateway: Gateway, batch: Sequence[Entry], until: float) -> list[tuple[Entry, Embedded | None]]:
    pairs: list[tuple[Entry, Embedded | None]] = []
    for at in range(0, len(batch), AT_ONCE):
        some = batch[at : at + AT_ONCE]
        pairs += await asyncio.gather(*(_with_vector(gateway, entry, until) for entry in some))
    return pairs


async def _with_vector(gateway: Gateway, entry: Entry, until: float) -> tuple[Entry, Embedded | None]:
    if not entry.scope or time.monotonic() > until:
        return entry, None
    try:
        return entry, Embedded(await gateway.embedder.embed(entry.prompt), gateway.embedder.name)
    except TextRefused:
        return entry._replace(scope=""), None
    except EmbeddingError:
        return entry, None


def _kept(entry: Entry) -> exact.Kept:
    """What is left of its time."""
    ttl_s = None if entry.pinned else max(1, int(entry.meta.created_at + entry.ttl_s - time.time()))
    return exact.Kept(entry.fingerprint, entry.meta.write(), entry.answer, ttl_s)


# --- out -------------------------------------------------------------------------------------------------------------

_COLUMNS = (
    "id", "fingerprint", "scope", "prompt", "answer", "meta", "namespace", "tags", "end_user", "model", "created_at",
    "expires_at", "pinned",
)  # fmt: skip


async def taken_out(pool: AsyncConnectionPool[Any], schema: str, query: dict[str, Any]) -> AsyncIterator[bytes]:
    """Blocks of JSON lines, for `entry_as_kept`. `query` has `tag`, `namespace`, `model`, or none of them.

    Raises psycopg.Error, PoolTimeout.
    """
    conditions = {"tag": "tags @> ARRAY[%(tag)s]::varchar[]", "namespace": "namespace = %(namespace)s"}
    conditions["model"] = "model = %(model)s"
    asked = [sql.SQL(condition) for name, condition in conditions.items() if name in query]
    text = sql.SQL("SELECT {columns} FROM {entries} WHERE {asked} ORDER BY id LIMIT {batch}").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        entries=table(schema, "gateway_cacheentry"),
        asked=sql.SQL(" AND ").join([sql.SQL("id > %(last)s AND (pinned OR expires_at > now())"), *asked]),
        batch=sql.Literal(READ_BATCH),
    )
    last = uuid.UUID(int=0)
    while True:
        async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(text, {**query, "last": last})
            rows = await cursor.fetchall()
        if rows:
            last = rows[-1]["id"]
            yield b"".join(_line(row) for row in rows)
        if len(rows) < READ_BATCH:
            return


def _line(row: dict[str, Any]) -> bytes:
    meta = {name: value for name, value in row["meta"].items() if name not in {"entry_id", "created_at"}}
    del row["id"]
    row |= {"meta": meta, "answer": orjson.Fragment(bytes(row["answer"]))}
    if row["pinned"]:
        row["expires_at"] = None
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
