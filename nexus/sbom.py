"""What a deployment is made of, as CycloneDX has it: the packages of requirements.txt with their hashes. Made from that
file alone, so the same file makes the same list.
"""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_PACKAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)(?: *; *(?P<when>[^\\]+?))? *\\?$"
)
_HASH = re.compile(r" +--hash=sha256:([0-9a-f]{64})")
# Of the same lock the same number.
_NAMESPACE = uuid.UUID("6f6d4b52-0d0e-5c8e-9f0a-6e65787573aa")


class Package(NamedTuple):
    """One that is locked. `when` is its environment marker, empty where it is always there."""

    name: str
    version: str
    when: str
    sha256s: list[str]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def packages(lock: str) -> Iterator[Package]:
    """Raises ValueError where a line is none that bin/lock writes."""
    package: Package | None = None
    for line in lock.splitlines():
        if found := _HASH.match(line):
            if package is None:
                raise ValueError(f"a hash of no package: {line}")
            package.sha256s.append(found[1])
        elif line.strip() and not line.lstrip().startswith("#"):
            match = _PACKAGE.match(line)
            if match is None:
                raise ValueError(f"not a line of bin/lock's: {line}")
            if package is not None:
                yield package
            package = Package(match["name"], match["version"], (match["when"] or "").strip(), [])
    if package is not None:
        yield package


def made(root: Path) -> dict[str, Any]:
    """CycloneDX 1.6."""
    lock = (root / "requirements.txt").read_text(encoding="utf-8")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, lock)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": name, "name": name, "version": version}},
        "components": [_component(package) for package in packages(lock)],
    }


def _component(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        # One for each file that may be installed: which one, the machine decides.
        "externalReferences": [
            {
                "type": "distribution",
                # Whichever index it is installed from.
                "url": package.purl,
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }
            for sha256 in package.sha256s
        ],
    }
    if package.when:
        component["properties"] = [{"name": "nexus:marker", "value": package.when}]
    return component


def write(root: Path, file: Path) -> int:
    """How many packages there are."""
    bill = made(root)
    file.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    return len(bill["components"])
