"""What `docker-compose.yml` and `deploy/kubernetes` name is there, and nothing runs with rights it does not need."""

from __future__ import annotations

import importlib.util
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nexus import env, serve, startup, upgrade
from nexus.instance import ROOT

BASE = ROOT / "deploy" / "kubernetes" / "base"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "nexusgateway"]
# What it takes, beside waiting for streams, until what was used is settled (gateway.runtime.DRAIN_S).
SETTLING_S = 20
PATHS = {"/readyz", "/healthz"}


def objects() -> list[dict[str, Any]]:
    files = [BASE / name for name in kustomization()["resources"]]
    return [found for file in files for found in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def kustomization() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    return found


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects() if each["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """Templates by the name of what makes them."""
    return {name: each["spec"]["template"] for kind in ("Deployment", "Job") for name, each in of_kind(kind).items()}


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def is_setting(name: str) -> bool:
    variable = env.VARIABLES.get(name.removesuffix("_FILE"))
    return variable is not None and (not name.endswith("_FILE") or variable.secret)


def modules(command: list[str] | str) -> Iterator[str]:
    text = command if isinstance(command, str) else " ".join(command)
    yield from re.findall(r"-m (nexus\.\w+)", text)


def test_every_setting_that_is_given_is_one() -> None:
    given = {name for service in OURS for name in SERVICES[service]["environment"]}
    given |= set(of_kind("ConfigMap")["nexus"]["data"])
    given |= {each["name"] for pod in pods().values() for each in pod["spec"]["containers"][0].get("env", [])}
    # The compose file's own, and OpenTelemetry's.
    others = {"NEXUS_GATEWAY_PROCESSES", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert {name for name in given - others if not is_setting(name)} == set()


# --- docker-compose.yml ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_and_an_end_to_what_it_uses(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert "privileged" not in service and "cap_add" not in service


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in {"migrate", "operator", "jaeger"}])
def test_a_service_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    for module in modules(service.get("command", "")):
        assert importlib.util.find_spec(module), module


def test_secrets_are_files_and_never_in_the_environment() -> None:
    secret = {name for name, variable in env.VARIABLES.items() if variable.secret}
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert variable not in secret, name
            if variable.endswith(("_FILE", "__FILE")):
                assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_no_server_is_ended_before_it_has_ended_its_streams() -> None:
    for name in ("gateway", "web"):
        environment = SERVICES[name]["environment"]
        needed = float(environment["NEXUS_DRAIN_DELAY_S"]) + 30 + SETTLING_S
        assert seconds(SERVICES[name]["stop_grace_period"]) >= needed
    upstreams = (ROOT / "deploy/nginx/upstreams.conf").read_text(encoding="utf-8")
    idle_s = [seconds(found) for found in re.findall(r"keepalive_timeout (\d+s);", upstreams)]
    # What nginx keeps is gone before the server shuts its door.
    assert max(idle_s) < float(SERVICES["gateway"]["environment"]["NEXUS_DRAIN_DELAY_S"])
    assert set(re.findall(r"server (\w+):8000", upstreams)) <= set(SERVICES)


def test_only_the_proxy_is_reached_from_outside() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert name == "nginx" or port.startswith("127.0.0.1:")
    assert COMPOSE["networks"]["inner"] == {"internal": True}


def test_every_role_is_checked_before_it_starts() -> None:
    checked = {name: re.search(r"nexus\.startup (\w+)", str_of(SERVICES[name]["command"])) for name in OURS}
    assert {found[1] if found else "" for found in checked.values()} == set(startup.ROLES)


def test_every_command_after_a_check_is_one_that_it_understands() -> None:
    commands = [pod["spec"]["containers"][0]["command"] for pod in pods().values()]
    commands += [SERVICES[name]["command"] for name in OURS if SERVICES[name]["command"][0] == "python"]
    for command in commands:
        assert command[:3] == ["python", "-m", "nexus.startup"]
        options = startup.parse(command[3:])
        if options.command[:3] == ["python", "-m", "nexus.serve"]:
            assert serve.parse(options.command[3:]).plane == options.role
        elif options.command[:3] == ["python", "-m", "nexus.upgrade"]:
            upgrade.parse(options.command[3:])
        else:
            assert options.command[0] in {"celery", "python"}


def str_of(command: list[str] | str) -> str:
    return command if isinstance(command, str) else " ".join(command)


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "deploy" / "make_secrets.py"), "--folder", str(tmp_path / "secrets")]
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    assert subprocess.run([*command, "--host", "gw.example"], check=False, capture_output=True).returncode == 0
    files = {file.name: file.read_bytes() for file in (tmp_path / "secrets").iterdir()}
    assert {Path(each["file"]).name for each in COMPOSE["secrets"].values()} == set(files)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert files["postgres_password"] in files["database_url"]
    assert subprocess.run(command, check=False, capture_output=True).stdout.count(b"made") == 0
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "secrets").iterdir()}


def test_the_image_runs_as_a_user_without_rights() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = text.rpartition("\nFROM ")[2]
    assert last.startswith("base\n") and "USER" not in last
    base = text.partition(" AS base\n")[2].partition("\nFROM ")[0]
    assert re.findall(r"^USER (\S+)$", base, re.MULTILINE) == ["10001:10001"]
    assert "secrets" not in re.findall(r"^COPY (.*)$", text, re.MULTILINE)
    assert "deploy" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for module in modules(text.replace('", "', " ")):
        assert importlib.util.find_spec(module), module


# --- deploy/kubernetes ----------------------------------------------------------------------------------------------


def test_every_file_is_part_of_the_whole() -> None:
    assert {file.name for file in BASE.glob("*.yaml")} == {*kustomization()["resources"], "kustomization.yaml"}


@pytest.mark.parametrize("name", pods())
def test_a_pod_has_no_rights_and_an_end_to_what_it_uses(name: str) -> None:
    pod = pods()[name]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] in of_kind("ServiceAccount")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
        assert {each["configMapRef"]["name"] for each in container["envFrom"]} <= set(of_kind("ConfigMap"))
        for module in modules(container["command"]):
            assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("name", of_kind("Deployment"))
def test_a_deployment_finds_its_pods_and_probes_what_is_there(name: str) -> None:
    deployment = of_kind("Deployment")[name]["spec"]
    template = deployment["template"]
    assert deployment["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    ports = {port["name"] for port in container.get("ports", [])}
    for kind in ("startupProbe", "livenessProbe"):
        probe = container[kind]
        if "httpGet" in probe:
            assert probe["httpGet"]["path"] in PATHS and probe["httpGet"]["port"] in ports
        elif "exec" in probe:
            assert probe["exec"]["command"] == ["python", "-m", "nexus.probe", name]
        else:
            assert probe["grpc"]["port"] == container["ports"][0]["containerPort"]


def test_what_objects_name_is_there() -> None:
    deployments, services = of_kind("Deployment"), of_kind("Service")
    labels = {name: pod["metadata"]["labels"] for name, pod in pods().items()}
    for service in services.values():
        assert any(service["spec"]["selector"].items() <= each.items() for each in labels.values())
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
    for budget in of_kind("PodDisruptionBudget").values():
        assert any(budget["spec"]["selector"]["matchLabels"].items() <= each.items() for each in labels.values())
    for ingress in of_kind("Ingress").values():
        for rule in ingress["spec"]["rules"]:
            assert all(path["backend"]["service"]["name"] in services for path in rule["http"]["paths"])


def test_all_is_denied_that_no_policy_names() -> None:
    policies = of_kind("NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    named: set[str] = set()
    for policy in policies.values():
        selector = policy["spec"]["podSelector"]
        named |= {name for rule in selector.get("matchExpressions", []) for name in rule["values"]}
        named |= set(selector.get("matchLabels", {}).values())
    assert named == set(pods())


def test_pods_are_given_the_time_that_their_streams_have() -> None:
    data = of_kind("ConfigMap")["nexus"]["data"]
    needed = float(data["NEXUS_DRAIN_DELAY_S"]) + float(data["NEXUS_DRAIN_TIMEOUT_S"]) + SETTLING_S
    for name in ("gateway", "web"):
        assert pods()[name]["spec"]["terminationGracePeriodSeconds"] >= needed


def test_every_secret_that_is_read_is_in_the_example() -> None:
    example = yaml.safe_load((BASE.parent / "secret.example.yaml").read_text(encoding="utf-8"))
    read = {Path(value).name for name, value in of_kind("ConfigMap")["nexus"]["data"].items() if name.endswith("_FILE")}
    assert read == set(example["stringData"])
    assert example["metadata"]["name"] == "nexus"


def test_there_is_one_beat_and_never_a_second_one() -> None:
    beat = of_kind("Deployment")["beat"]["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


def test_the_autoscaler_asks_for_a_metric_that_the_adapter_offers() -> None:
    rules = yaml.safe_load((BASE.parent / "prometheus-adapter.yaml").read_text(encoding="utf-8"))["rules"]["custom"]
    offered = {rule["name"]["as"] for rule in rules}
    scaler = of_kind("HorizontalPodAutoscaler")["gateway"]["spec"]["metrics"]
    asked = {each["pods"]["metric"]["name"] for each in scaler if each["type"] == "Pods"}
    assert asked == offered
    assert all(f"`{name}`" in (ROOT / "docs/metrics.md").read_text(encoding="utf-8") for name in asked)


@pytest.mark.parametrize("overlay", ["base", "overlays/production", "overlays/small"])
def test_kustomize_puts_it_together(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is missing")
    command = [kubectl, "kustomize", str(BASE.parent / overlay)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    images = {
        container["image"]
        for each in yaml.safe_load_all(made.stdout)
        if each["kind"] in {"Deployment", "Job"}
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"registry.example.com/nexusgateway:0.1.0"}
