"""What is counted in plain Python: series stay few, buckets are Prometheus', processes add up, the dead count on."""

from __future__ import annotations

import os
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed
from prometheus_client.registry import Collector

from analytics.kept import Kept
from gateway import exposition, labels, metrics, scrape
from gateway.tallies import MAX_SERIES, OTHER, Book, Family, Row

ROOT = Path(__file__).resolve().parents[2]


@given(some.lists(some.floats(min_value=0, max_value=200), max_size=200))
def test_every_value_is_in_the_first_bucket_that_it_fits(values: list[float]) -> None:
    row = Row(metrics.REQUEST_S)
    for value in values:
        row.add(value)
    below = 0
    for bound, count in zip((*metrics.REQUEST_S, float("inf")), row.counts, strict=True):
        below += count
        assert below == sum(value <= bound for value in values)
    assert row.total == pytest.approx(sum(values))


@settings(deadline=None, max_examples=20)
@given(some.lists(some.text(), min_size=1, max_size=100, unique=True))
def test_garbage_models_make_no_series(names: list[str]) -> None:
    models = labels.Names(labels.MAX_MODELS, labels._model)
    assert {models.of(("openai", name)) for name in names} <= {OTHER, *KNOWN}


KNOWN = {"gpt-4o", "gpt-4o-mini", "gpt-4", "gpt-5", "o1", "o3"}


def test_thousands_of_names_are_few_labels_and_all_versions_of_a_model_are_one() -> None:
    models = labels.Names(labels.MAX_MODELS, labels._model)
    assert models.of(("openai", "gpt-4o")) == models.of(("openai", "gpt-4o-2024-08-06")) == "gpt-4o"
    assert {models.of(("openai", f"model-{number}")) for number in range(3_000)} == {OTHER}
    every = labels.Names[str](5, lambda name: name)
    assert {every.of(str(number)) for number in range(1_000)} == {*"01234", OTHER}
    assert len(every._known) <= labels.MAX_SPELLINGS


@given(some.text(max_size=200))
def test_routes_codes_methods_and_providers_are_never_a_clients_text(text: str) -> None:
    assert labels.method(text) in {*labels.METHODS, OTHER}
    assert labels.provider(text) in {*labels.KINDS, OTHER}
    code = labels.Names(labels.MAX_ERRORS, labels._error).of(text)
    assert code == OTHER or set(code) <= set(string.ascii_lowercase + string.digits + "_")
    assert len(labels.Names(labels.MAX_ROUTES, labels._route).of(text)) <= labels.ROUTE_CHARACTERS


@given(some.integers())
def test_a_status_is_http_s_or_other(code: int) -> None:
    assert labels.status(code) in {OTHER, *(str(known) for known in range(100, 600))}


def test_what_nobody_bounded_is_bounded_all_the_same() -> None:
    book = Book()
    tally, spread = book.tally("t", "", ("a",)), book.spread("s", "", (1.0,), ("a",))
    for number in range(3 * MAX_SERIES):
        tally.add((str(number),))
        spread.add(0.5, (str(number),))
    assert len(tally.cells) == len(spread.rows) == MAX_SERIES + 1
    assert sum(cell.count for cell in tally.cells.values()) == 3 * MAX_SERIES
    assert tally.cells[(OTHER,)].count == 2 * MAX_SERIES


COUNT = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")
import django
django.setup()
from gateway import exposition, metrics, process_gauges, reporting
metrics.CACHE_HITS.add(("exact",), int(sys.argv[1]))
metrics.HTTP_SECONDS.row(("GET", "/", "none")).add_with(0.003, "req-" + sys.argv[1], "")
process_gauges.opened("/ws/chat")
if sys.argv[2] == "killed":
    exposition.write(exposition.folder(), exposition.snapshot())
    os._exit(1)
reporting.leave()
"""


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(exposition.FOLDER, str(tmp_path))
    return tmp_path


def counted_by_another(count: int, end: str) -> None:
    command = [sys.executable, "-c", COUNT, str(count), end]
    subprocess.run(command, cwd=ROOT, env=dict(os.environ), check=False, timeout=120)


def sample(text: str, name: str, **wanted: str) -> float:
    return sum(
        one.value
        for family in parsed(text)  # type: ignore[no-untyped-call]
        for one in family.samples
        if one.name == name and wanted.items() <= one.labels.items()
    )


OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def test_counts_of_processes_add_up_and_the_dead_count_on_without_their_gauges(shared: Path) -> None:
    before = metrics.CACHE_HITS.cell(("exact",)).count
    counted_by_another(3, "left")
    counted_by_another(4, "killed")
    text = scrape.written(OPENMETRICS)[0].decode()
    assert sample(text, "cache_hit_total", tier="exact") == before + 7
    assert sample(text, "nexus_websockets", route="/ws/chat") == 1
    assert 'request_id="req-4"' in text
    (killed,) = (path for path in shared.glob("*.json") if orjson.loads(path.read_bytes())["at"])
    old = orjson.loads(killed.read_bytes())
    killed.write_bytes(orjson.dumps({**old, "at": time.time() - 2 * exposition.ALIVE_S}))
    text = scrape.written(OPENMETRICS)[0].decode()
    assert sample(text, "cache_hit_total", tier="exact") == before + 7
    assert sample(text, "nexus_websockets", route="/ws/chat") == 0


def test_a_file_that_cannot_be_read_hides_no_other(shared: Path) -> None:
    counted_by_another(5, "left")
    (shared / "tallies-1-x.json").write_bytes(b"{")
    before = metrics.CACHE_HITS.cell(("exact",)).count
    assert sample(scrape.written(OPENMETRICS)[0].decode(), "cache_hit_total", tier="exact") == before + 5


def histogram(*rows: Any) -> list[Any]:
    family = Family("f", "", ("a",), (1.0, 2.0))
    text = "".join(exposition._histogram(family, [{"rows": {"f": [row]}} for row in rows], openmetrics=True))
    return [one for found in parsed(f"{text}# EOF\n") for one in found.samples]  # type: ignore[no-untyped-call]


def test_rows_of_another_version_with_other_buckets_are_left_out() -> None:
    found = histogram((["x"], [1, 2, 3], 4.0, []), (["x"], [1, 2], 3.0, []))
    assert [one.value for one in found if one.name == "f_count"] == [6]


def test_an_exemplar_never_has_a_long_text_of_a_client() -> None:
    row = Row((1.0, 2.0))
    row.add_with(0.5, "x" * 128, "a" * 32)
    first, *_ = histogram((["x"], row.counts, row.total, list(row.exemplars.items())))
    assert first.exemplar.labels == {"trace_id": "a" * 32}


PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
PLAIN = string.ascii_letters + string.digits + "_.:-"


@given(some.text(PRINTABLE), some.text(string.printable, max_size=128), some.floats(0, 1e9))
def test_whatever_a_label_or_a_request_id_is_the_page_can_be_read(label: str, request_id: str, value: float) -> None:
    row = Row((1.0, 2.0))
    row.add_with(value, request_id, "")
    found = histogram(([label], row.counts, row.total, list(row.exemplars.items())))
    assert {one.labels["a"] for one in found} == {label}
    is_plain = 0 < len(request_id) <= 64 and set(request_id) <= set(PLAIN)
    assert {one.exemplar.labels.get("request_id") for one in found if one.exemplar} == {
        request_id if is_plain else None
    }
    assert next(one.value for one in found if one.name == "f_sum") == value


class Slow(Collector):
    """Gives its values when it is let."""

    def __init__(self) -> None:
        self.let, self.asked = threading.Event(), 0

    def collect(self) -> Iterator[Metric]:
        self.asked += 1
        self.let.wait(30)
        yield GaugeMetricFamily("nexus_slow", "Slow.", value=self.asked)


def values(kept: Kept) -> list[Any]:
    return [one.value for metric in kept.collect() for one in metric.samples]


def test_who_asks_meanwhile_waits_for_the_same_reading_and_gets_what_was_read_last() -> None:
    slow = Slow()
    kept = Kept(slow, fresh_s=0, patience_s=0.05)
    assert [values(kept) for _ in range(3)] == [[], [], []]
    assert slow.asked == 1
    slow.let.set()
    patient = Kept(slow, fresh_s=60, patience_s=30)
    assert values(patient) == [2]
    assert values(patient) == [2], "what is fresh is not read again"


class Failing(Collector):
    def collect(self) -> Iterator[Metric]:
        raise OSError("away")


def test_what_cannot_be_read_leaves_the_rest_of_the_page() -> None:
    assert values(Kept(Failing(), patience_s=30)) == []
