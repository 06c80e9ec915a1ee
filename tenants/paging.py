"""Lists a page at a time, by where the page before ended: no row twice and none left out, whatever comes meanwhile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from tenants.bodies import Body


class PageQuery(Body):
    """The parameters of every list that has pages."""

    limit = serializers.IntegerField(min_value=1, max_value=500, default=100)
    cursor = serializers.CharField(max_length=400, required=False, help_text="`next` of the page before.")


class Page(NamedTuple):
    rows: list[Any]
    next: str | None


class Order(NamedTuple):
    """By which fields, the last of which is unique. `name` tells one list's cursors from another's."""

    name: str
    fields: Sequence[str]
    descending: bool = False

    def page(self, found: QuerySet[Any], limit: int, cursor: str | None) -> Page:
        """Raises ValidationError for a cursor that is none of this list's."""
        place = None if cursor is None else self.read(cursor)
        rows = self.after(found, place)[: limit + 1]
        kept = list(rows)
        more, kept = len(kept) > limit, kept[:limit]
        return Page(kept, self.write(self.place_of(kept[-1])) if more else None)

    def after(self, found: QuerySet[Any], place: Sequence[Any] | None) -> QuerySet[Any]:
        """In order, from where a page ended."""
        if place is not None:
            found = found.filter(self._beyond(found.model, place))
        return found.order_by(*(f"-{name}" if self.descending else name for name in self.fields))

    def place_of(self, row: Model) -> list[str]:
        values = [getattr(row, name) for name in self.fields]
        return [value.isoformat() if isinstance(value, dt.datetime) else str(value) for value in values]

    def write(self, place: Sequence[Any]) -> str:
        return signing.dumps(list(place), salt=self._salt)

    def read(self, cursor: str) -> list[str]:
        try:
            place: list[str] = signing.loads(cursor, salt=self._salt)
        except signing.BadSignature:
            raise ValidationError({"cursor": gettext("This is no `next` of a page of this list.")}) from None
        return place

    @property
    def _salt(self) -> str:
        return f"tenants.paging.{self.name}"

    def _beyond(self, model: type[Model], place: Sequence[Any]) -> Q:
        values = [
            model._meta.get_field(name).to_python(value)  # type: ignore[union-attr]
            for name, value in zip(self.fields, place, strict=True)
        ]
        than = "lt" if self.descending else "gt"
        beyond, same = Q(), Q()
        for name, value in zip(self.fields, values, strict=True):
            beyond |= same & Q(**{f"{name}__{than}": value})
            same &= Q(**{name: value})
        # Follows from the rest, and is what an index on the first field is asked.
        return beyond & Q(**{f"{self.fields[0]}__{than}e": values[0]})
