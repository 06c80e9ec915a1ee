"""The machine's own nginx with `deploy/nginx`, in front of servers on loopback: as in production but for addresses,
certificate and ports. For measurements, and for tests of what gets through.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nexus.bench.installation import accepts
from nexus.instance import ROOT
from nexus.ports import free_port
from nexus.preflight import Trouble

SOURCES = ROOT / "deploy" / "nginx"
START_S = 20
HOST = "localhost"


class Front(NamedTuple):
    """`certificate` is the one to trust."""

    url: str
    port: int
    plain_port: int
    certificate: Path
    log: Path
    process: subprocess.Popen[bytes]


def nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


def render(folder: Path, gateways: Sequence[int], webs: Sequence[int], *, port: int, plain_port: int) -> Path:
    """The configuration, written to `folder`; the path of its main file."""
    make_certificate(folder)
    for name in ("nginx.conf", "nexus.conf", "redirect.conf", "upstreams.conf", "tls.conf"):
        text = (SOURCES / name).read_text(encoding="utf-8")
        for old, new in (
            ("/tmp/", f"{folder}/"),
            ("/dev/stdout", str(folder / "access.log")),
            ("/dev/stderr", str(folder / "error.log")),
            ("/run/secrets/", f"{folder}/"),
            ("listen 8443", f"listen 127.0.0.1:{port}"),
            ("listen 8080", f"listen 127.0.0.1:{plain_port}"),
            ("resolver 127.0.0.11 valid=2s;\n", ""),
            *((f"    server {plane}:8000 resolve", _servers(ports)) for plane, ports in _planes(gateways, webs)),
        ):
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "nginx.conf"


def _planes(gateways: Sequence[int], webs: Sequence[int]) -> list[tuple[str, Sequence[int]]]:
    return [("gateway", gateways), ("web", webs)]


def _servers(ports: Sequence[int]) -> str:
    """All but the last whole: what follows in the file belongs to that one."""
    options = "max_fails=3 fail_timeout=2s"
    whole = "".join(f"    server 127.0.0.1:{port} {options};\n" for port in ports[:-1])
    return f"{whole}    server 127.0.0.1:{ports[-1]}"


def make_certificate(folder: Path, *names: str) -> None:
    """`tls.crt` and `tls.key`: signed by itself, for loopback and `names`, for a year."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else HOST)])
    now = dt.datetime.now(dt.UTC)
    called: list[x509.GeneralName] = [x509.DNSName(each) for each in (HOST, *names)]
    called += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(called), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.key").write_bytes(private)
    (folder / "tls.key").chmod(0o600)


@contextlib.contextmanager
def running(folder: Path, gateways: Sequence[int], webs: Sequence[int]) -> Iterator[Front]:
    """From when it takes connections to the end of the body. Raises Trouble."""
    binary = nginx()
    if binary is None:
        raise Trouble("nginx is missing; on Debian: apt-get install nginx-light.")
    port, plain_port = free_port(), free_port()
    conf = render(folder, gateways, webs, port=port, plain_port=plain_port)
    command = [binary, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(conf), "-g", "daemon off;"]
    process = subprocess.Popen(command)
    try:
        until = time.monotonic() + START_S
        while not accepts(port):
            if process.poll() is not None or time.monotonic() > until:
                raise Trouble(f"nginx did not start; {folder / 'error.log'} says why.")
            time.sleep(0.05)
        yield Front(f"https://{HOST}:{port}", port, plain_port, folder / "tls.crt", folder / "access.log", process)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
