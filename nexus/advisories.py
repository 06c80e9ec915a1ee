"""`bin/audit [--sbom FILE]`: whether a locked package has a known weakness, and what a deployment is made of.

Exit status 0: none has; 1: some have, and which; 2: not all could be asked for, so nobody knows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nexus import sbom
from nexus.instance import ROOT

NONE, SOME, UNKNOWN = 0, 1, 2
TIMEOUT_S = 15
PATIENCE_S = 600
# Weaknesses that do not reach us, by their number, with the reason. Looked at whenever the lock changes.
ACCEPTED: dict[str, str] = {}


def ask(service: str) -> dict[str, Any] | str:
    """pip-audit's answer; or why there is none."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        "requirements.txt",
        "--require-hashes",
        "--disable-pip",
    ]
    command += ["--vulnerability-service", service, "--timeout", str(TIMEOUT_S)]
    command += ["--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE_S} s"
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return (done.stderr.strip() or "it gave no reason").splitlines()[-1]
    return answer


def weaknesses(answer: dict[str, Any]) -> Iterator[str]:
    """A line for each that is not accepted."""
    for package in answer["dependencies"]:
        for found in package.get("vulns", ()):
            names = {found["id"], *found.get("aliases", ())}
            if names.isdisjoint(ACCEPTED):
                fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
                yield f"{package['name']} {package['version']}: {', '.join(sorted(names))}; mended in {fixed}"


def unasked(answer: dict[str, Any]) -> list[str]:
    """Packages of which the service knows nothing: pip-audit passes them over, and calls that no weakness."""
    return [package["name"] for package in answer["dependencies"] if "skip_reason" in package]


def audit(service: str) -> int:
    answer = ask(service)
    if isinstance(answer, str):
        print(f"The advisory service ({service}) could not be asked: {answer}", file=sys.stderr)
        return UNKNOWN
    found, skipped = list(weaknesses(answer)), unasked(answer)
    print("\n".join(found), end="\n" if found else "")
    total = len(answer["dependencies"])
    if skipped or not total:
        some = ", ".join(skipped[:5]) + (" …" if len(skipped) > 5 else "")
        print(
            f"The advisory service ({service}) knows nothing of {len(skipped)} of {total} packages ({some}): it was not"
            " reached, or a mirror stands in for it. Nobody knows whether they have weaknesses.",
            file=sys.stderr,
        )
        return SOME if found else UNKNOWN
    print(f"{total} packages were asked for, {len(found)} weaknesses are known.")
    return SOME if found else NONE


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/audit", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="write the list of packages there, as CycloneDX JSON")
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="whom to ask (pypi)")
    options = parser.parse_args(arguments)
    if options.sbom:
        print(f"{sbom.write(ROOT, options.sbom)} packages are listed in {options.sbom}.")
    return audit(options.service)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
