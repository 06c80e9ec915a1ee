"""Prometheus' own programs with what is in deploy/: they scrape a gateway under real traffic, every panel of every
dashboard shows something, and every alert can be evaluated. Left out, with the reason, where Debian's package is not.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import yaml
from django.db import connections
from websockets.sync.client import connect

from gateway import setups
from nexus.ports import free_port
from tests import servers
from tests.calls import chat, make_route
from tests.conftest import Workspace, new_workspace
from tests.pages import as_user

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
TOKEN = "a-token-for-the-scraper"
MODEL = "gpt-4o-mini"
PATIENCE_S = 90
# No package of Python's brings a Prometheus, and bin/test asks for none: where the machine has one, it is tried.
pytestmark = pytest.mark.skipif(  # Debian's: bin/test installs nothing as root.
    not (shutil.which("prometheus") and shutil.which("promtool")), reason="prometheus and promtool are not installed"
)


def promtool(*words: str | Path, given: str | None = None) -> str:
    done = subprocess.run(
        ["promtool", *map(str, words)], input=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yml")
    promtool("check", "rules", RULES)


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", DEPLOY / "prometheus" / "alerts_test.yml")


class Monitored(NamedTuple):
    gateway: str
    prometheus: str

    def ask(self, what: str, **parameters: Any) -> Any:
        answer = httpx2.get(f"{self.prometheus}/api/v1/{what}", params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def values(self, expression: str) -> list[float]:
        """What there is now, without NaN: nothing divided by nothing."""
        found = self.ask("query", query=expression)["result"]
        return [value for one in found if not math.isnan(value := float(one["value"][1]))]


@pytest.fixture(scope="module")
def monitored(database: None, provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """A gateway with traffic of all kinds, and a Prometheus with the configuration of deploy/ that scrapes it."""
    folder = tmp_path_factory.mktemp("prometheus")
    stop = threading.Event()
    with servers.gateway(NEXUS_METRICS_TOKEN=TOKEN) as gateway, scraping(gateway.url, folder) as prometheus:
        app = App(gateway.url, provider)
        calling = threading.Thread(target=app.call_until, args=(stop,))
        calling.start()
        try:
            yield Monitored(gateway.url, prometheus)
        finally:
            stop.set()
            calling.join()


@contextlib.contextmanager
def scraping(gateway: str, folder: Path) -> Iterator[str]:
    port = free_port()
    address = f"127.0.0.1:{port}"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(gateway, address, folder)))
    promtool("check", "config", folder / "prometheus.yml")
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--enable-feature=exemplar-storage", "--log.level=warn"]
    process = subprocess.Popen(command)
    try:
        until(lambda: is_ready(f"http://{address}/-/ready"))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def configuration(gateway: str, prometheus: str, folder: Path) -> dict[str, Any]:
    """That of deploy/, in a hurry, with addresses of this machine and a token of its own."""
    (folder / "token").write_text(TOKEN)
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        group["interval"] = "1s"
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    told: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    told["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    told["rule_files"] = [str(folder / "alerts.yml")]
    for job in told["scrape_configs"]:
        if "authorization" in job:
            job["authorization"] = {"credentials_file": str(folder / "token")}
        job.pop("dns_sd_configs", None)
        target = prometheus if job["job_name"] == "prometheus" else gateway.removeprefix("http://")
        job["static_configs"] = [{"targets": [target]}]
    return told


def is_ready(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(url, timeout=5).status_code == 200
    return False


def until(check: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.2)


class App:
    """Calls of all kinds, again and again."""

    def __init__(self, gateway: str, provider: str) -> None:
        self._gateway = gateway
        self._alice, self._bob = new_workspace(), new_workspace(requests_per_minute=1)
        for workspace in (self._alice, self._bob):
            setups.configure_provider(
                workspace.tenant, name="fake", kind="openai", base_url=f"{provider}/v1", api_key="sk-upstream"
            )
        make_route(self._alice, "house", "status-503", MODEL)

    def call_until(self, stop: threading.Event) -> None:
        try:
            with as_user(self._gateway, self._alice.owner) as browser:
                while not stop.is_set():
                    with contextlib.suppress(httpx2.HTTPError, OSError):
                        self._call(self._alice, browser)
        finally:
            # This thread's own.
            connections.close_all()

    def _call(self, alice: Workspace, browser: httpx2.Client) -> None:
        question = f"How do I get from {uuid.uuid4().hex} to Baltimore by train?"
        for text in (question, question, f"{question[:-1]} please?"):
            chat(self._gateway, alice.key, MODEL, text)
        chat(self._gateway, alice.key, MODEL, stream=True)
        chat(self._gateway, alice.key, "house")
        chat(self._gateway, alice.key, "status-400")
        chat(self._gateway, self._bob.key, MODEL)
        browser.get(f"/t/{alice.tenant.slug}/")
        headers = {"Authorization": f"Bearer {alice.key}"}
        with connect(f"{self._gateway.replace('http', 'ws')}/ws/chat", additional_headers=headers) as socket:
            socket.send(json.dumps({"message": uuid.uuid4().hex, "model": MODEL}))
            while "delta" in json.loads(socket.recv()):
                continue


def expressions() -> Iterator[tuple[str, str]]:
    for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                asked = target["expr"].replace("$__rate_interval", "1m").replace("$provider", ".*")
                yield f"{path.stem}: {panel['title']}", asked


def test_the_gateway_is_scraped_with_its_token(monitored: Monitored) -> None:
    until(lambda: monitored.values('up{job="gateway"}') == [1.0])
    assert httpx2.get(f"{monitored.gateway}/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404


def test_every_panel_of_every_dashboard_shows_something(monitored: Monitored) -> None:
    asked = list(expressions())
    assert len(asked) > 80
    missing: list[tuple[str, str]] = []

    def all_show() -> bool:
        missing[:] = [(panel, asking) for panel, asking in asked if not monitored.values(asking)]
        return not missing

    with contextlib.suppress(AssertionError):
        until(all_show)
    assert not missing


def test_every_rule_can_be_evaluated(monitored: Monitored) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in monitored.ask("rules")["groups"] for rule in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert {rule["name"]: rule.get("lastError") for rule in rules() if rule["health"] != "ok"} == {}
    written = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert len(rules()) == len(written)


def test_a_request_is_found_from_a_bucket(monitored: Monitored) -> None:
    request_id = f"req-{uuid.uuid4().hex}"

    def is_told() -> bool:
        httpx2.get(f"{monitored.gateway}/v1/models", headers={"X-Request-Id": request_id})
        found = monitored.ask(
            "query_exemplars", query="http_request_duration_seconds_bucket", start=time.time() - 300, end=time.time()
        )
        return any(one["labels"].get("request_id") == request_id for series in found for one in series["exemplars"])

    until(is_told)


def test_promtool_finds_nothing_to_say_about_the_page(monitored: Monitored) -> None:
    page = httpx2.get(f"{monitored.gateway}/metrics", timeout=30).text
    promtool("check", "metrics", given=page)
