"""Where the API's checks say something is wrong, as the fields of a page's form have it."""

from __future__ import annotations

from typing import Any

from django import forms


def faults(detail: Any, path: str = "") -> dict[str, str]:
    """Of a ValidationError's detail: path, such as `targets.1.weight`, to the first thing that is wrong there."""
    inner: Any = ()
    if isinstance(detail, dict):
        inner = detail.items()
    elif isinstance(detail, list) and any(isinstance(each, dict | list) for each in detail):
        inner = enumerate(detail)
    elif detail:
        return {path: str(detail[0] if isinstance(detail, list) else detail)}
    found: dict[str, str] = {}
    for name, each in inner:
        below = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
        found |= faults(each, below) if each else {}
    return found


def blame(form: forms.Form, found: dict[str, str]) -> None:
    """Each fault beside the field whose name is the last in its path; the others above the form."""
    for path, message in found.items():
        names = [name for name in path.split(".") if not name.isdecimal()]
        form.add_error(names[-1] if names and names[-1] in form.fields else None, message)
