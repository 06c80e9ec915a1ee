"""docs/metrics.md has every metric with its labels and its help; alerts lead to parts of the runbook that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import REGISTRY

from analytics import backlog, gauges
from gateway import metrics, process_gauges

ROOT = Path(__file__).resolve().parents[2]
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())


class Told(NamedTuple):
    name: str
    labels: tuple[str, ...]
    help: str


def all_metrics() -> Iterator[Told]:
    for tally in metrics.BOOK.tallies.values():
        yield Told(f"{tally.family.name}_total", tally.family.labels, tally.family.help)
    for family in (*(spread.family for spread in metrics.BOOK.spreads.values()), *process_gauges.FAMILIES):
        yield Told(family.name, family.labels, family.help)
    for name, help_text in backlog.HELP.items():
        suffix = "_total" if name in backlog.COUNTERS else ""
        yield Told(f"{name}{suffix}", backlog.LABELS.get(name, ()), help_text)
    for name, help_text in gauges.GAUGES.values():
        yield Told(name, (), help_text)
    for own in (metrics.EMBEDDING_REQUESTS, metrics.SEMANTIC_SKIPPED, metrics.CACHE_ROWS_LOST):
        yield Told(f"{own._name}_total", own._labelnames, own._documentation)
    seconds = metrics.EMBEDDING_SECONDS
    yield Told(seconds._name, seconds._labelnames, seconds._documentation)


def rules() -> list[dict[str, Any]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("told", list(all_metrics()), ids=lambda told: str(told.name))
def test_every_metric_is_documented_with_its_labels_and_help(told: Told) -> None:
    lines = (ROOT / "docs" / "metrics.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"| `{told.name}` |")]
    assert line.split("|")[2].strip() == (", ".join(f"`{label}`" for label in told.labels) or "–")
    assert told.help in line


def test_no_metric_of_ours_is_hidden_from_the_docs() -> None:
    documented = {told.name.removesuffix("_total") for told in all_metrics()}
    assert {metric.name for metric in REGISTRY.collect() if metric.name.startswith("nexus_")} <= documented


def test_names_are_prometheus_names_and_no_label_could_name_a_tenant() -> None:
    for told in all_metrics():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", told.name), told.name
        assert not {"tenant", "workspace", "key", "user", "path", "prompt"} & set(told.labels)
    names = [told.name for told in all_metrics()]
    assert len(names) == len(set(names))


def anchors() -> set[str]:
    titles = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_it_is_and_leads_to_the_runbook(rule: dict[str, Any]) -> None:
    told = rule["annotations"]
    assert told["summary"].endswith(".") and told["description"].endswith(".")
    page, _, anchor = told["runbook_url"].partition("#")
    assert page == "docs/runbook.md" and anchor in anchors()
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_alerts_ask_for_metrics_that_there_are() -> None:
    known = {told.name for told in all_metrics()} | {"up"}
    known |= {f"{name}_{part}" for name in set(known) for part in ("bucket", "count", "sum")}
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            expression = re.sub(r'"[^"]*"', "", rule["expr"])
            asked = set(re.findall(r"\b(?:nexus|http|llm|cache|provider)_[a-z_]+\b(?!=)", expression))
            assert asked <= known, rule


def test_every_alert_has_a_test_that_it_fires_and_one_that_it_does_not() -> None:
    tests = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for rule in rules():
        assert {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]} == {True, False}


DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_dashboards_ask_for_metrics_that_there_are_and_hide_nothing(path: Path) -> None:
    board = json.loads(path.read_text())
    known = {told.name for told in all_metrics()}
    known |= {f"{name}_{part}" for name in set(known) for part in ("bucket", "count", "sum")}
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            expression = re.sub(r'"[^"]*"', "", target["expr"])
            asked = set(re.findall(r"\b(?:nexus|http|llm|cache|provider)_[a-z_]+\b(?!=)", expression)) - {"provider"}
            assert asked <= known, (panel["title"], asked - known)
            assert target["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_what_is_the_same_from_every_process_is_never_added_up() -> None:
    shared = [*backlog.HELP, *(name for name, _ in gauges.GAUGES.values())]
    expressions = [target["expr"] for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]
                   for target in panel.get("targets", ())]  # fmt: skip
    expressions += [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    for expression in expressions:
        for name in shared:
            assert not re.search(rf"sum(?: by \([^)]*\))? ?\({name}\b", expression), expression
