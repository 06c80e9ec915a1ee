"""What one call may do with the cache: the tenant's settings, narrowed by its headers and by LiteLLM's `cache` object.

A request can ask for less than the workspace allows, never for more: a higher threshold, a shorter life. Pure.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from analytics.events import BYPASS, MISS, REFRESH
from gateway.cache.policy import OwnRule
from gateway.errors import InvalidRequest
from gateway.redaction import Redaction
from gateway.types import CacheRules, Sampling

_NAMES = (
    b"x-nexus-cache",
    b"x-nexus-cache-namespace",
    b"x-nexus-cache-tags",
    b"x-nexus-cache-threshold",
    b"x-nexus-cache-ttl",
    b"cache-control",
)
HEADERS = frozenset(_NAMES)
# An app sends the same few again and again: what they ask for is worked out once.
_REMEMBERED = 256
MODES = ("off", "exact", "semantic", "shadow")
# The share of hits that is judged while so many have been; then the last. More at first, when nobody knows.
JUDGED_SHARES = ((100, 1.0), (500, 0.25), (float("inf"), 0.05))
# A near miss can only let the threshold down, and nobody was given a wrong answer.
NEAR_MISS_SHARE = 0.2
MAX_TAGS, MAX_TAG_CHARACTERS = 16, 64
LONGEST_S = 10 * 366 * 86400
Number = TypeVar("Number", int, float)
_NAMESPACE = re.compile(r"[\x21-\x7e]{1,64}")
_TAG = re.compile(rf"[\x21-\x2b\x2d-\x7e]{{1,{MAX_TAG_CHARACTERS}}}")


def rules_of(row: Mapping[str, Any], route: Mapping[str, Any] | None = None) -> CacheRules:
    """From a row of CacheSettings, with what CacheTuning has learned (gateway.setups); the defaults from {}.

    `route` is the route's own `cache`: it comes before the settings, but what was learned may be stricter still.
    """
    defaults = CacheRules()
    own = route or {}
    row = {**row, **own}
    semantic = row.get("semantic", defaults.semantic)
    threshold = row.get("threshold", defaults.threshold)
    learns = row.get("learn", True)
    if learns and row.get("learned_threshold") is not None:
        threshold = max(row["learned_threshold"], own.get("threshold", 0.0))
    shadow = row.get("shadow", False) or bool(learns and row.get("learned_off"))
    return CacheRules(
        read_exact=row.get("exact", defaults.read_exact),
        read_semantic=semantic,
        semantic=semantic,
        shadow=shadow,
        threshold=threshold,
        ttl_s=row.get("ttl_s", defaults.ttl_s),
        keep_stale_s=row.get("stale_if_error_s", 0),
        accept_stale_s=row.get("stale_if_error_s", 0),
        per_end_user=row.get("per_end_user", False),
        own=tuple(_own(rule) for rule in row.get("rules", ())),
        sampling=sampling_after(row.get("judged_hits") or 0) if shadow or _is_judged(row) else None,
        redaction=_redaction(row),
    )


def _redaction(row: Mapping[str, Any]) -> Redaction | None:
    names, words = row.get("redact") or (), row.get("redact_words") or ()
    if not names and not words:
        return None
    return Redaction(tuple(names), tuple(words), row.get("skip_redacted", False), row.get("mask_answers", False))


def _is_judged(row: Mapping[str, Any]) -> bool:
    """By a model, or by people."""
    return bool(row.get("judge_model") or row.get("review"))


def sampling_after(judged_hits: int) -> Sampling:
    share = next(share for below, share in JUDGED_SHARES if judged_hits < below)
    return Sampling(hits=share, near_misses=NEAR_MISS_SHARE, shadow=share)


def _own(rule: Mapping[str, Any]) -> OwnRule:
    return OwnRule(tuple(rule["words"].lower().split()), rule["kind"], rule.get("ttl_s"))


def narrowed(rules: CacheRules, headers: Mapping[bytes, bytes], body: Any) -> CacheRules:
    """`body` is the request's `cache` object, if it has one. Raises InvalidRequest."""
    asked = _asked_by_headers(tuple(map(headers.get, _NAMES)))
    if body is not None:
        asked = _both(asked, _asked_by_body(body))
    return _narrowed(rules, asked)


@functools.lru_cache(maxsize=_REMEMBERED)
def _narrowed(rules: CacheRules, asked: _Asked) -> CacheRules:
    bypass = asked.mode == "off" or asked.no_store
    semantic = rules.semantic and not bypass and asked.mode != "exact"
    return dataclasses.replace(
        rules,
        read_exact=rules.read_exact and not bypass and not asked.no_cache,
        read_semantic=semantic and not asked.no_cache,
        write=not bypass,
        semantic=semantic,
        shadow=rules.shadow or asked.mode == "shadow",
        max_age_s=asked.max_age_s,
        only_if_cached=asked.only_if_cached,
        threshold=max(rules.threshold, asked.threshold),
        ttl_s=rules.ttl_s if asked.ttl_s is None else min(rules.ttl_s, asked.ttl_s),
        accept_stale_s=rules.accept_stale_s if asked.stale_s is None else min(rules.keep_stale_s, asked.stale_s),
        namespace=asked.namespace,
        tags=asked.tags,
        fresh_outcome=BYPASS if bypass else REFRESH if asked.no_cache else MISS,
    )


def without_cache(rules: CacheRules) -> CacheRules:
    """Nothing is looked up, and nothing kept."""
    return dataclasses.replace(
        rules, read_exact=False, read_semantic=False, write=False, semantic=False, fresh_outcome=BYPASS
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    mode: str = ""
    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None
    stale_s: int | None = None
    ttl_s: int | None = None
    threshold: float = 0.0
    namespace: str = ""
    tags: tuple[str, ...] = ()


def _both(headers: _Asked, body: _Asked) -> _Asked:
    """The stricter of the two; two namespaces are a contradiction."""
    if headers.namespace and body.namespace and headers.namespace != body.namespace:
        raise InvalidRequest("X-Nexus-Cache-Namespace and `cache.namespace` differ; send one.", param="cache.namespace")
    return dataclasses.replace(
        headers,
        no_store=headers.no_store or body.no_store,
        no_cache=headers.no_cache or body.no_cache,
        max_age_s=_least(headers.max_age_s, body.max_age_s),
        ttl_s=_least(headers.ttl_s, body.ttl_s),
        namespace=headers.namespace or body.namespace,
    )


def _least(one: Number | None, other: Number | None) -> Number | None:
    return other if one is None else one if other is None else min(one, other)


@functools.lru_cache(maxsize=_REMEMBERED)
def _asked_by_headers(values: tuple[bytes | None, ...]) -> _Asked:
    """`values` are those of _NAMES, None for a header that was not sent."""
    given = {
        name: value.decode("latin-1").strip() for name, value in zip(_NAMES, values, strict=True) if value is not None
    }
    mode = given.get(b"x-nexus-cache", "").lower()
    if mode not in MODES and b"x-nexus-cache" in given:
        raise InvalidRequest(f"X-Nexus-Cache must be {', '.join(MODES[:-1])} or {MODES[-1]}.", param="X-Nexus-Cache")
    parts = (part.strip().partition("=") for part in given.get(b"cache-control", "").lower().split(",") if part.strip())
    directives = {name.strip(): value.strip() for name, _, value in parts}
    max_age_s = _directive_s(directives, "max-age")
    ttl_s, namespace = given.get(b"x-nexus-cache-ttl"), given.get(b"x-nexus-cache-namespace")
    return _Asked(
        mode=mode,
        no_store="no-store" in directives,
        no_cache="no-cache" in directives,
        only_if_cached="only-if-cached" in directives,
        max_age_s=None if max_age_s is None else float(max_age_s),
        stale_s=_directive_s(directives, "stale-if-error"),
        ttl_s=None if ttl_s is None else _seconds(ttl_s, "X-Nexus-Cache-TTL"),
        threshold=_threshold(given.get(b"x-nexus-cache-threshold")),
        namespace="" if namespace is None else _namespace(namespace),
        tags=_tags(given.get(b"x-nexus-cache-tags", "")),
    )


def _directive_s(directives: dict[str, str], name: str) -> int | None:
    return None if name not in directives else _seconds(directives[name], f"Cache-Control's {name}", "Cache-Control")


def _seconds(text: str, what: str, param: str = "") -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest(f"{what} must be a whole number of seconds.", param=param or what)
    return min(int(text[:12]), LONGEST_S)


def _threshold(given: str | None) -> float:
    if given is None:
        return 0.0
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidRequest(
            "X-Nexus-Cache-Threshold must be a number from 0 to 1; it can only raise the workspace's own.",
            param="X-Nexus-Cache-Threshold",
        )
    return value


def _namespace(given: str, param: str = "X-Nexus-Cache-Namespace") -> str:
    # An empty one is somebody's name that was lost on the way: not to be answered from the cache of all.
    if not _NAMESPACE.fullmatch(given):
        raise InvalidRequest(f"{param} must be 1 to 64 printable ASCII characters without spaces.", param=param)
    return given


def _tags(given: str) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag for part in given.split(",") if (tag := part.strip())))
    if len(tags) > MAX_TAGS or not all(_TAG.fullmatch(tag) for tag in tags):
        raise InvalidRequest(
            f"X-Nexus-Cache-Tags must be up to {MAX_TAGS} tags with commas between them, each of 1 to"
            f" {MAX_TAG_CHARACTERS} printable ASCII characters without spaces.",
            param="X-Nexus-Cache-Tags",
        )
    return tags


def _asked_by_body(body: Any) -> _Asked:
    """LiteLLM's `cache: {"no-cache", "no-store", "ttl", "s-maxage", "namespace", "use-cache"}`."""
    if not isinstance(body, dict):
        raise InvalidRequest("`cache` must be an object.", param="cache")
    found: dict[str, Any] = {}
    for name, value in body.items():
        if name not in _IN_BODY:
            names = ", ".join(_IN_BODY)
            raise InvalidRequest(f"There is no `cache.{name}`; there is: {names}.", param=f"cache.{name}")
        field, read = _IN_BODY[name]
        found[field] = read(value, f"cache.{name}")
    # Here every request uses the cache that may.
    if not found.pop("use_cache", True):
        found["no_store"] = True
    return _Asked(**found)


def _flag(value: Any, param: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"`{param}` must be true or false.", param=param)
    return value


def _whole_seconds(value: Any, param: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise InvalidRequest(f"`{param}` must be a number of seconds.", param=param)
    return min(int(value), LONGEST_S)


def _body_namespace(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"`{param}` must be a text.", param=param)
    return _namespace(value, param)


_IN_BODY: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "no-cache": ("no_cache", _flag),
    "no-store": ("no_store", _flag),
    "ttl": ("ttl_s", _whole_seconds),
    "s-maxage": ("max_age_s", _whole_seconds),
    "s-max-age": ("max_age_s", _whole_seconds),
    "namespace": ("namespace", _body_namespace),
    "use-cache": ("use_cache", _flag),
}
