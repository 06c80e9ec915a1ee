"""What a running gateway's /metrics says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import httpx2
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed
from prometheus_client.samples import Sample

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Page(NamedTuple):
    samples: list[Sample]
    text: str

    def value(self, name: str, **labels: str) -> float:
        """The sum of all that have these labels, whatever their others are."""
        return sum(one.value for one in self.of(name, **labels))

    def of(self, name: str, **labels: str) -> list[Sample]:
        return [one for one in self.samples if one.name == name and labels.items() <= one.labels.items()]

    def labels(self, name: str, label: str) -> set[str]:
        return {one.labels[label] for one in self.of(name)}


def scrape(server: str) -> Page:
    answer = httpx2.get(f"{server}/metrics", headers={"Accept": OPENMETRICS}, timeout=30)
    assert answer.status_code == 200
    families = list(parsed(answer.text))  # type: ignore[no-untyped-call]
    return Page([one for family in families for one in family.samples], answer.text)


def until(server: str, check: Callable[[Page], bool]) -> Page:
    """A request is counted when it has ended: the client has its answer a moment before."""
    end = time.monotonic() + 20
    while True:
        page = scrape(server)
        if check(page) or time.monotonic() > end:
            assert check(page), page.text
            return page
