"""The words that descriptions are written with: JSON Schema as OpenAPI 3.0 has it."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def text(description: str = "", **more: Any) -> Schema:
    return _described({"type": "string", **more}, description)


def named(*values: str, description: str = "") -> Schema:
    """One of these texts."""
    return _described({"type": "string", "enum": list(values)}, description)


def number(low: float, high: float, description: str = "") -> Schema:
    return _described({"type": "number", "minimum": low, "maximum": high}, description)


def whole(low: int | None = None, high: int | None = None, description: str = "") -> Schema:
    bounds = {name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None}
    return _described({"type": "integer", **bounds}, description)


def boolean(description: str = "") -> Schema:
    return _described({"type": "boolean"}, description)


def listed(items: Schema, description: str = "", **more: Any) -> Schema:
    return _described({"type": "array", "items": items, **more}, description)


def mapped(values: Schema, description: str = "") -> Schema:
    return _described({"type": "object", "additionalProperties": values}, description)


def anything(description: str = "") -> Schema:
    """An object of any fields."""
    return _described({"type": "object", "additionalProperties": True}, description)


def either(*shapes: Schema, description: str = "") -> Schema:
    return _described({"anyOf": list(shapes)}, description)


def fields(
    needed: dict[str, Schema] | None = None,
    possible: dict[str, Schema] | None = None,
    *,
    description: str = "",
    only_these: bool = False,
) -> Schema:
    """An object. Null is as good as absent, so what is possible may be null."""
    shape: Schema = {"type": "object"}
    shape["properties"] = {**(needed or {}), **{name: or_null(each) for name, each in (possible or {}).items()}}
    if needed:
        shape["required"] = list(needed)
    if only_these:
        shape["additionalProperties"] = False
    return _described(shape, description)


def or_null(shape: Schema) -> Schema:
    if "$ref" in shape:
        return {"allOf": [shape], "nullable": True}
    # What is not among the values of an enum is not possible, nullable or not.
    values = {"enum": [*shape["enum"], None]} if "enum" in shape else {}
    return {**shape, **values, "nullable": True}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _described(shape: Schema, description: str) -> Schema:
    return {**shape, "description": description} if description else shape
