"""The file that a tenant travels in: a tar of compressed parts, with their counts and SHA-256 at its end, sealed with
the transfer key. Written and read in constant memory. Refuses, before anything is read of it, a file that was cut off
or changed, or that was sealed with another key.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson
from cryptography.fernet import Fernet, InvalidToken

FORMAT = 1
MANIFEST, CONTENTS = "manifest.json", "contents.json"
PART_BYTES = 4 << 20
_LEVEL = 1
_LARGEST_LIST = 64 << 20


class Damaged(Exception):
    """The file is not what was written, or not whole; the words are for an operator."""


class Part(NamedTuple):
    table: str
    rows: int
    content: bytes


class TransferKey:
    """Encrypts the secrets in a file, and seals it."""

    def __init__(self, text: bytes) -> None:
        """Raises ValueError."""
        self._box = Fernet(text.strip())
        self._mac = hashlib.sha256(b"nexus.moving.seal" + base64.urlsafe_b64decode(text.strip())).digest()

    @classmethod
    def make(cls, path: Path) -> TransferKey:
        """Readable by its owner only. Raises FileExistsError."""
        text = Fernet.generate_key()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(text + b"\n")
        return cls(text)

    def encrypt(self, secret: str) -> str:
        return self._box.encrypt(secret.encode()).decode()

    def decrypt(self, text: str) -> str:
        """Raises Damaged."""
        try:
            return self._box.decrypt(text.encode()).decode()
        except InvalidToken:
            raise Damaged("A secret in the file cannot be read with this transfer key.") from None

    def seal(self, contents: bytes) -> str:
        return hmac.new(self._mac, contents, hashlib.sha256).hexdigest()


class Writer:
    def __init__(self, file: IO[bytes], key: TransferKey, manifest: dict[str, Any]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115  closed by `close`
        self._key = key
        self._contents: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}
        self._add(MANIFEST, orjson.dumps({"format": FORMAT, **manifest}), table="", rows=0)

    def part(self, table: str, rows: int, content: bytes) -> None:
        number = self._numbers[table] = self._numbers.get(table, -1) + 1
        packed = gzip.compress(content, _LEVEL, mtime=0)
        self._add(f"{table}/{number:06d}.gz", packed, table=table, rows=rows)

    def close(self) -> dict[str, int]:
        """The rows of each table."""
        contents = orjson.dumps(self._contents)
        self._put(CONTENTS, self._key.seal(contents).encode() + b"\n" + contents)
        self._tar.close()
        rows: dict[str, int] = {}
        for one in self._contents[1:]:
            rows[one["table"]] = rows.get(one["table"], 0) + one["rows"]
        return rows

    def _add(self, name: str, packed: bytes, *, table: str, rows: int) -> None:
        self._put(name, packed)
        digest = hashlib.sha256(packed).hexdigest()
        self._contents.append({"name": name, "table": table, "rows": rows, "sha256": digest})

    def _put(self, name: str, packed: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(packed), 0o600
        self._tar.addfile(entry, io.BytesIO(packed))
        _forget(self._tar)


class Reader:
    """A file that has been found whole."""

    def __init__(self, path: Path, key: TransferKey) -> None:
        """Reads all of it once. Raises Damaged, OSError."""
        self._path = path
        digests: list[tuple[str, str]] = []
        contents = manifest = b""
        for name, packed in self._members():
            if name == CONTENTS:
                contents = packed
            else:
                digests.append((name, hashlib.sha256(packed).hexdigest()))
                manifest = packed if name == MANIFEST else manifest
        seal, _, listed = contents.partition(b"\n")
        if not listed:
            raise Damaged(f"{path} is not whole: its end is missing. Export again.")
        if not hmac.compare_digest(seal, key.seal(listed).encode()):
            raise Damaged(f"{path} was not sealed with this transfer key, or was changed.")
        parts = orjson.loads(listed)
        if digests != [(one["name"], one["sha256"]) for one in parts]:
            raise Damaged(f"{path} is damaged: its parts are not those that were written. Copy it again.")
        self._rows = {one["name"]: one["rows"] for one in parts}
        self.manifest: dict[str, Any] = orjson.loads(manifest)
        if self.manifest["format"] != FORMAT:
            raise Damaged(f"{path} is of format {self.manifest['format']}; this version reads {FORMAT}.")

    def parts(self) -> Iterator[Part]:
        for name, packed in self._members():
            if name not in {MANIFEST, CONTENTS}:
                yield Part(name.partition("/")[0], self._rows[name], gzip.decompress(packed))

    def _members(self) -> Iterator[tuple[str, bytes]]:
        try:
            with tarfile.open(self._path, mode="r|") as tar:
                while (entry := tar.next()) is not None:
                    if entry.size > _LARGEST_LIST or (file := tar.extractfile(entry)) is None:
                        raise Damaged(f"{self._path} is no file of tenant_export: {entry.name[:80]!r}.")
                    yield entry.name, file.read()
                    _forget(tar)
        except (tarfile.TarError, EOFError) as error:
            raise Damaged(f"{self._path} is damaged, or no file of tenant_export: {error}.") from error


def _forget(tar: tarfile.TarFile) -> None:
    """It keeps all that it has seen, for who wants to look."""
    tar.members.clear()  # type: ignore[attr-defined]
