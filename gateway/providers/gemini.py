"""Google's Gemini API: generateContent, streamGenerateContent, batchEmbedContents.

Signatures of thoughts travel as `extra_content` (docs/dialects.md). An answer with pictures or sound is a failure:
nothing in the form between carries them.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson

from gateway.errors import ProviderFailed, ProviderRefused
from gateway.providers import answer, form
from gateway.providers.gemini_requests import embedding_requests, request, resource
from gateway.providers.http import Http
from gateway.types import ProviderConfig

BASE_URL = "https://generativelanguage.googleapis.com"
# Texts of one batchEmbedContents.
MAX_BATCH = 100


class Gemini:
    """`http` reads errors with `read_error`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def complete(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        url, headers = _endpoint(config, payload["model"], "generateContent")
        body = request(config, payload)
        with _credential_faults(config):
            raw = await self._http.fetch(config, url, headers, body)
        found = answer.load(raw, config)
        with answer.reading(config):
            return whole(config, payload["model"], found)

    async def stream(self, config: ProviderConfig, payload: dict[str, Any]) -> AsyncIterator[bytes]:
        url, headers = _endpoint(config, payload["model"], "streamGenerateContent?alt=sse")
        body, chunks = request(config, payload), _Chunks(config, payload["model"])
        with _credential_faults(config):
            async with contextlib.aclosing(self._http.events(config, url, headers, body)) as events:
                async for data in events:
                    found = answer.load(data, config)
                    with answer.reading(config):
                        made = list(chunks.of(found))
                    for chunk in made:
                        yield chunk
        with answer.reading(config):
            made = chunks.end()
        for chunk in made:
            yield chunk

    async def embed(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        url, headers = _endpoint(config, payload["model"], "batchEmbedContents")
        requests = embedding_requests(config, payload)
        vectors: list[Any] = []
        tokens: int | None = None
        for start in range(0, len(requests), MAX_BATCH):
            with _credential_faults(config):
                raw = await self._http.fetch(config, url, headers, {"requests": requests[start : start + MAX_BATCH]})
            found = answer.load(raw, config)
            with answer.reading(config):
                vectors += [embedding["values"] for embedding in found["embeddings"]]
                counted = (found.get("usageMetadata") or {}).get("promptTokenCount")
                tokens = tokens if counted is None else (tokens or 0) + int(counted)
        texts = form.inputs(payload, config)
        if len(vectors) != len(texts):
            raise ProviderFailed(f"{config.name} sent {len(vectors)} of {len(texts)} vectors.", provider=config.name)
        return answer.embeddings(payload["model"], texts, vectors, tokens)


def _endpoint(config: ProviderConfig, model: str, method: str) -> tuple[str, dict[str, str]]:
    base = (config.base_url or BASE_URL).rstrip("/")
    collection, _, name = resource(model).partition("/")
    url = f"{base}/v1beta/{collection}/{urllib.parse.quote(name, safe='')}:{method}"
    return url, {"x-goog-api-key": config.api_key}


# --- errors --------------------------------------------------------------------------------------------------------

# Reasons of a 400 that are about our credential or account, not about the request.
_CREDENTIAL_FAULTS = frozenset({"API_KEY_INVALID", "FAILED_PRECONDITION"})


def read_error(body: dict[str, Any]) -> dict[str, Any]:
    """google.rpc.Status: the reason is in an ErrorInfo, the field in a BadRequest, when they are there at all."""
    error = body.get("error")
    if not isinstance(error, dict):
        return {"message": error}
    found = {"message": error.get("message"), "code": error.get("status")}
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        found["code"] = detail.get("reason") or found["code"]
        violations = detail.get("fieldViolations")
        if isinstance(violations, list) and violations and isinstance(violations[0], dict):
            found["param"] = violations[0].get("field")
    return found


@contextlib.contextmanager
def _credential_faults(config: ProviderConfig) -> Iterator[None]:
    """Google answers a wrong key with 400: for the client that is no fault of the request."""
    try:
        yield
    except ProviderRefused as error:
        if error.code not in _CREDENTIAL_FAULTS:
            raise
        failure = ProviderFailed(f"{config.name} refused its credential: {error.message}", provider=config.name)
        failure.retryable = False
        raise failure from error


# --- the answer ----------------------------------------------------------------------------------------------------

_FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION",
            "PUP_LIMITED_DISABLED", "MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}  # fmt: skip


def whole(config: ProviderConfig, model: str, found: dict[str, Any]) -> bytes:
    """A complete answer from a GenerateContentResponse."""
    choices: list[dict[str, Any]] = []
    for at, candidate in enumerate(_candidates(found)):
        said = _said(config, candidate)
        finish_reason = _finish_reason(config, candidate, called="tool_calls" in said)
        if finish_reason is None:
            raise ProviderFailed(f"{config.name} sent an answer without an end.", provider=config.name)
        if finish_reason == "content_filter":
            said.setdefault("refusal", _refusal(candidate))
        message = {"role": "assistant", "content": None if "tool_calls" in said else "", "refusal": None, **said}
        choice = {"index": candidate.get("index", at), "message": message, "logprobs": _logprobs(candidate)}
        choices.append({**choice, "finish_reason": finish_reason})
    return answer.Answer(found.get("modelVersion") or model, found.get("responseId") or "").complete(
        choices, _usage(found)
    )


class _Chunks:
    """Those of one stream of partial GenerateContentResponses; each has what is new, and all that was used so far."""

    def __init__(self, config: ProviderConfig, model: str) -> None:
        self._config, self._model = config, model
        self._answer: answer.Answer | None = None
        self._usage: dict[str, Any] | None = None
        # Tool calls by candidate, and candidates that have ended.
        self._calls: dict[int, int] = {}
        self._ended: set[int] = set()

    def of(self, found: dict[str, Any]) -> Iterator[bytes]:
        if "error" in found:
            message = read_error(found).get("message")
            raise ProviderFailed(f"{self._config.name} broke off: {message}", provider=self._config.name)
        self._usage = _usage(found) or self._usage
        if self._answer is None:
            self._answer = answer.Answer(found.get("modelVersion") or self._model, found.get("responseId") or "")
        for at, candidate in enumerate(_candidates(found)):
            yield from self._of_candidate(self._answer, candidate.get("index", at), candidate)

    def _of_candidate(self, into: answer.Answer, index: int, candidate: dict[str, Any]) -> Iterator[bytes]:
        if index not in self._calls:
            self._calls[index] = 0
            yield into.chunk({"role": "assistant", "content": ""}, index=index)
        said = _said(self._config, candidate)
        for call in said.get("tool_calls", ()):
            call["index"] = self._calls[index]
            self._calls[index] += 1
        finish_reason = _finish_reason(self._config, candidate, called=self._calls[index] > 0)
        if finish_reason == "content_filter":
            said.setdefault("refusal", _refusal(candidate))
        if said or finish_reason:
            logprobs = _logprobs(candidate)
            yield into.chunk(said, index=index, finish_reason=finish_reason, logprobs=logprobs)
        if finish_reason:
            self._ended.add(index)

    def end(self) -> list[bytes]:
        """Raises ProviderFailed when the stream ended before its answers did."""
        if self._answer is None or not self._calls or self._ended != self._calls.keys():
            name = self._config.name
            raise ProviderFailed(f"{name} ended the stream before it was complete.", provider=name)
        return [] if self._usage is None else [self._answer.last(self._usage)]


def _candidates(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A prompt that was blocked has none: it is answered with a refusal."""
    candidates: list[dict[str, Any]] = found.get("candidates") or []
    reason = (found.get("promptFeedback") or {}).get("blockReason")
    if reason and not candidates:
        return [{"finishReason": "SAFETY", "finishMessage": f"The prompt was blocked: {reason}."}]
    return candidates


def _refusal(candidate: dict[str, Any]) -> str:
    return str(candidate.get("finishMessage") or f"The answer was blocked: {candidate['finishReason']}.")


def _finish_reason(config: ProviderConfig, candidate: dict[str, Any], *, called: bool) -> str | None:
    """None while it goes on. Reasons such as MALFORMED_FUNCTION_CALL are failures: asking again may help."""
    reason = candidate.get("finishReason")
    if reason is None or reason == "FINISH_REASON_UNSPECIFIED":
        return None
    if reason not in _FINISH_REASONS:
        message = f"{config.name} gave up with {reason}: {candidate.get('finishMessage') or 'no reason given'}"
        raise ProviderFailed(message, provider=config.name)
    return "tool_calls" if called and reason == "STOP" else _FINISH_REASONS[reason]


def _said(config: ProviderConfig, candidate: dict[str, Any]) -> dict[str, Any]:
    """The fields of a message that a candidate's parts make, without those that they do not."""
    said: dict[str, Any] = {}
    for part in (candidate.get("content") or {}).get("parts") or ():
        signature = part.get("thoughtSignature")
        extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
        if "functionCall" in part:
            call = part["functionCall"]
            arguments = orjson.dumps(call.get("args") or {}).decode()
            made = answer.tool_call(call.get("id") or "", call["name"], arguments)
            said.setdefault("tool_calls", []).append({**made, **extra})
        elif "text" in part or extra:
            name = "reasoning_content" if part.get("thought") else "content"
            if part.get("text"):
                said[name] = said.get(name, "") + part["text"]
            said |= extra
        else:
            kinds = ", ".join(sorted(part)) or "nothing"
            message = f"{config.name} answered with a part that is neither text nor a call: {kinds}."
            raise ProviderFailed(message, provider=config.name)
    return said


def _logprobs(candidate: dict[str, Any]) -> dict[str, Any] | None:
    result = candidate.get("logprobsResult") or {}
    chosen = result.get("chosenCandidates")
    if not chosen:
        return None
    tops = result.get("topCandidates") or [{}] * len(chosen)
    content = []
    for token, top in zip(chosen, tops, strict=True):
        others = [answer.logprob(one["token"], one["logProbability"]) for one in top.get("candidates") or ()]
        content.append({**answer.logprob(token["token"], token["logProbability"]), "top_logprobs": others})
    return {"content": content, "refusal": None}


def _usage(found: dict[str, Any]) -> dict[str, Any] | None:
    """Thoughts are billed as output; what server-side tools added, as input."""
    counted = found.get("usageMetadata")
    if not counted:
        return None
    thoughts = counted.get("thoughtsTokenCount") or 0
    return answer.usage(
        counted.get("promptTokenCount", 0) + counted.get("toolUsePromptTokenCount", 0),
        counted.get("candidatesTokenCount", 0) + thoughts,
        cached=counted.get("cachedContentTokenCount"),
        reasoning=thoughts,
        sent=_modalities(counted, "promptTokensDetails", "toolUsePromptTokensDetails"),
        sent_cached=_modalities(counted, "cacheTokensDetails"),
        said=_modalities(counted, "candidatesTokensDetails"),
    )


# A page of a document is read as a picture; moving pictures cost what other tokens do, but for a few live models.
_MODALITIES = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image"}


def _modalities(counted: dict[str, Any], *names: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name in names:
        for detail in counted.get(name) or ():
            if modality := _MODALITIES.get(detail.get("modality")):
                sums[modality] = sums.get(modality, 0) + int(detail.get("tokenCount") or 0)
    return sums
