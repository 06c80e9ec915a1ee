"""What the management API reads: JSON of bounded size and depth, in which no field is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import orjson
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

# 500 models' names, or 20 targets, are a tenth of this.
MAX_BYTES = 256 * 1024


class TooLarge(APIException):
    status_code = 413
    default_code = "request_too_large"


class JsonParser(BaseParser):
    """Refuses what Postgres would not take, or Python not read: deep nesting, infinity, halves of characters."""

    media_type = "application/json"

    def parse(self, stream: BinaryIO, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise TooLarge(f"The body may have up to {MAX_BYTES:,} bytes.")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}.", "invalid_json") from None


class Body(serializers.Serializer[Any]):
    """A typing error in a field's name must not pass for its default."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            for name in data:
                if name not in self.fields:
                    known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
                    raise serializers.ValidationError(
                        {name: gettext("There is no such field. There are: %(known)s.") % {"known": known}}
                    )
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number: neither a text, “nan” among them, nor true."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)  # type: ignore[no-any-return]
