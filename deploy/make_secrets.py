"""Makes the secrets that docker-compose.yml reads, once: `python3 deploy/make_secrets.py [--host NAME]`.

Standard library and `openssl` only, as it runs before anything is installed. What is there already is kept: a new
encryption key would not open what is stored.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"
DAYS = 397
# Files are read by users without rights in containers, which are others' than who makes them.
READABLE, PRIVATE = 0o644, 0o700


def password() -> str:
    # In URLs as it is.
    return secrets.token_hex(24)


def made(folder: Path) -> dict[str, Callable[[], str]]:
    """Name of the file → what it gets, in this order: URLs hold passwords."""

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="ascii")

    return {
        "secret_key": lambda: secrets.token_urlsafe(48),
        "encryption_keys": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "postgres_password": password,
        "redis_password": password,
        "metrics_token": password,
        "grafana_password": password,
        "database_url": lambda: f"postgresql://nexus:{read('postgres_password')}@postgres:5432/nexus",
        "redis_url": lambda: f"redis://:{read('redis_password')}@redis:6379/0",
        "redis.conf": lambda: f"requirepass {read('redis_password')}\n",
        "openai_api_key": lambda: "",
        "stripe_secret_key": lambda: "",
        "email_url": lambda: "",
    }


def write(file: Path, text: str) -> None:
    """Whole or not at all."""
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, encoding="ascii")
    draft.chmod(READABLE)
    draft.rename(file)


def make_certificate(folder: Path, host: str) -> None:
    """Signed by itself, to begin with: browsers and SDKs refuse it until a real one takes its place."""
    if shutil.which("openssl") is None:
        raise SystemExit("openssl is missing: install it, or put tls.crt and tls.key into deploy/secrets yourself.")
    names = f"subjectAltName=DNS:{host},DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", str(DAYS), "-subj", f"/CN={host}", "-addext", names]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"openssl could not make the certificate: {done.stderr.strip().splitlines()[-1]}")
    for name in ("tls.key", "tls.crt"):
        (folder / name).chmod(READABLE)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Makes the secrets that deployments read, once.")
    parser.add_argument("--host", default="localhost", help="the name by which people reach it (localhost)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they are kept (deploy/secrets)")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    os.umask(0o022)
    folder.mkdir(parents=True, exist_ok=True)
    # Whoever may not enter the folder reads none of them.
    folder.chmod(PRIVATE)
    for name, make in made(folder).items():
        if not (folder / name).exists():
            write(folder / name, make())
            print(f"made {folder / name}")
    if not (folder / "tls.key").exists():
        make_certificate(folder, options.host)
        print(f"made {folder / 'tls.crt'}, signed by itself, for {options.host}")
    print("Keep a copy of encryption_keys elsewhere: without it nobody reads what is stored, and no backup has it.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
