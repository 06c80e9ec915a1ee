"""What the rows of a file may be that is brought into the cache."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import orjson
from django.utils import timezone
from rest_framework import serializers

from billing.pricing import APART
from gateway.cache.rules import LONGEST_S, MAX_TAG_CHARACTERS, MAX_TAGS
from gateway.dialects.chat_fields import MAX_MODEL_CHARACTERS
from tenants.api import first_error
from tenants.bodies import Body
from tenants.management_views import printable

MAX_ROWS = 5_000
# More are not told at once.
MAX_ERRORS = 20
_DIGEST = r"^[0-9a-f]{32}\Z"
_COUNT = {"min_value": 0, "max_value": 2**31 - 1}


class BadRows(Exception):
    """Nothing was written. The message names the first lines that are wrong."""

    def __init__(self, errors: list[tuple[int, str]]) -> None:
        told = "; ".join(f"line {line}: {message}" for line, message in errors[:MAX_ERRORS])
        count = "1 row is" if len(errors) == 1 else f"{len(errors):,} rows are"
        super().__init__(f"{count} wrong, and nothing was written: {told}")


def _tag(value: str) -> None:
    if "," in value:
        raise serializers.ValidationError("A tag has no comma.")


def tags() -> serializers.ListField:
    tag = serializers.CharField(max_length=MAX_TAG_CHARACTERS, validators=[_tag])
    return serializers.ListField(child=tag, max_length=MAX_TAGS, default=list)


class _Kept(Body):
    namespace = serializers.CharField(max_length=64, allow_blank=True, default="")
    tags = tags()
    ttl_s = serializers.IntegerField(
        min_value=1, max_value=LONGEST_S, allow_null=True, default=None, help_text="The workspace's own at most."
    )
    pinned = serializers.BooleanField(default=False)


class QuestionRow(_Kept):
    question = serializers.CharField(trim_whitespace=False)
    answer = serializers.JSONField(help_text="A text, or a complete answer of Chat Completions.")
    model = serializers.CharField(max_length=MAX_MODEL_CHARACTERS, help_text="As apps ask for it.")
    system = serializers.CharField(trim_whitespace=False, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """As the request that will be sent."""
        messages = [{"role": "user", "content": attrs.pop("question")}]
        if "system" in attrs:
            messages.insert(0, {"role": "system", "content": attrs.pop("system")})
        return {**attrs, "request": {"model": attrs.pop("model"), "messages": messages}}


class RequestRow(_Kept):
    request = serializers.DictField(help_text="A body of Chat Completions, as apps send it.")
    answer = serializers.JSONField(help_text="A text, or a complete answer of Chat Completions.")


class KeptMeta(Body):
    provider = serializers.CharField(max_length=64)
    simulated = serializers.BooleanField()
    catalog = serializers.CharField(max_length=60, allow_blank=True)
    upstream_model = serializers.CharField(max_length=200)
    prompt_tokens = serializers.IntegerField(**_COUNT)
    cached_tokens = serializers.IntegerField(**_COUNT)
    completion_tokens = serializers.IntegerField(**_COUNT)
    token_details = serializers.DictField(child=serializers.IntegerField(**_COUNT), required=False)

    def validate_token_details(self, value: dict[str, int]) -> dict[str, int]:
        if unknown := value.keys() - {"cached", *APART}:
            raise serializers.ValidationError(f"No kinds of tokens: {', '.join(sorted(unknown))[:200]}.")
        return value


class KeptRow(Body):
    """As GET /api/cache/export has it."""

    fingerprint = serializers.RegexField(_DIGEST)
    scope = serializers.RegexField(_DIGEST, allow_blank=True)
    prompt = serializers.CharField(allow_blank=True, trim_whitespace=False)
    answer = serializers.DictField()
    meta = KeptMeta()
    namespace = serializers.CharField(max_length=64, allow_blank=True)
    tags = tags()
    end_user = serializers.RegexField(_DIGEST, allow_blank=True)
    model = serializers.CharField(max_length=MAX_MODEL_CHARACTERS, validators=[printable])
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    pinned = serializers.BooleanField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["pinned"] and attrs["expires_at"] is None:
            raise serializers.ValidationError({"expires_at": "Only what is pinned has no end."})
        if attrs["scope"] and not attrs["prompt"]:
            raise serializers.ValidationError({"prompt": "What has a scope is compared by it."})
        attrs["created_at"] = min(attrs["created_at"], timezone.now())
        if attrs["created_at"].year < 2000:
            raise serializers.ValidationError({"created_at": "There were no such answers then."})
        if attrs["expires_at"] is not None:
            attrs["expires_at"] = min(attrs["expires_at"], attrs["created_at"] + dt.timedelta(seconds=LONGEST_S))
        return attrs


class Row(NamedTuple):
    """`request`: a new answer to a request; otherwise an entry as it was taken out."""

    line: int
    request: bool
    values: dict[str, Any]


def read(body: bytes, first_line: int = 1) -> list[Row]:
    """JSON lines, or one JSON array. Raises BadRows."""
    rows: list[Row] = []
    errors: list[tuple[int, str]] = []
    for line, value in _values(body, first_line, errors):
        form = _form_of(value)
        row = form(data=value)
        if row.is_valid():
            rows.append(Row(line, form is not KeptRow, row.validated_data))
        else:
            errors.append((line, _told(row.errors)))
    if not errors and not rows:
        errors.append((first_line, "There is no row"))
    if errors:
        raise BadRows(errors)
    return rows


def _values(body: bytes, first_line: int, errors: list[tuple[int, str]]) -> list[tuple[int, Any]]:
    if body.lstrip()[:1] == b"[":
        try:
            values = list(enumerate(orjson.loads(body), first_line))
        except orjson.JSONDecodeError as error:
            raise BadRows([(first_line, f"the body is not valid JSON: {error}")]) from None
    else:
        values = []
        for line, text in enumerate(body.split(b"\n"), first_line):
            if text.strip() and len(values) <= MAX_ROWS:
                try:
                    values.append((line, orjson.loads(text)))
                except orjson.JSONDecodeError as error:
                    errors.append((line, f"not valid JSON: {error}"))
    if len(values) > MAX_ROWS:
        raise BadRows([(values[MAX_ROWS][0], f"up to {MAX_ROWS:,} rows at once; send the rest in another call")])
    return values


def _form_of(value: Any) -> type[Body]:
    if isinstance(value, dict):
        if "fingerprint" in value:
            return KeptRow
        if "request" in value:
            return RequestRow
    return QuestionRow


def _told(errors: Any) -> str:
    path, message = first_error(errors)
    return f"`{path.removeprefix('.')}`: {message}" if path else message
