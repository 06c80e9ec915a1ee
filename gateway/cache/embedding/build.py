"""Makes the graph file once and keeps it: `python -m gateway.cache.embedding.build --cache-dir DIR`.

The file's name carries the recipe, so another recipe builds another file. It is all that serving
needs: the tokenizer is in it. Any number of processes may ask for it at once: one builds, the others wait.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.cache.embedding import recipe, weights
from gateway.cache.embedding.base import ModelUnavailable
from gateway.cache.embedding.weights import Report

logger = logging.getLogger(__name__)


def ensure(cache_dir: Path, *, source_dir: Path | None = None, report: Report = logger.info) -> Path:
    """The graph's path. Seconds of CPU and 300 MB of disk the first time; `report` gets a line a step."""
    path = cache_dir / f"{recipe.NAME}.onnx"
    if path.exists():  # before the lock: a finished model may lie in a folder that is read-only
        return path
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _only_builder(cache_dir, report):
            if not path.exists():
                _build(path, source_dir, report)
    except OSError as error:
        raise ModelUnavailable(
            f"Cannot build the embedding model in {cache_dir}: {error}. "
            "Give the folder 300 MB of free space and this user the right to write."
        ) from error
    return path


def _build(path: Path, source_dir: Path | None, report: Report) -> None:
    # Here, because onnx costs a serving process memory and it needs none of it.
    import onnx

    from gateway.cache.embedding import graph

    started = time.monotonic()
    scratch_dir = path.parent / ".building"
    # Ours by the lock: what lies there was left by a process that died.
    shutil.rmtree(scratch_dir, ignore_errors=True)
    scratch_dir.mkdir()
    try:
        files = weights.find(source_dir, scratch_dir, report)
        report("Assembling the graph.")
        assembled = graph.assemble(weights.tensors(files.weights))
        report("Quantising to int8.")
        model = graph.quantise(assembled, scratch_dir / "quantised.onnx")
        onnx.helper.set_model_props(
            model, {"name": recipe.NAME, "tokenizer": files.tokenizer.read_text(encoding="utf-8")}
        )
        finished = scratch_dir / path.name
        with open(finished, "wb") as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        os.replace(finished, path)
    finally:
        shutil.rmtree(scratch_dir, ignore_errors=True)
    report(f"Built {path} in {time.monotonic() - started:.1f} s.")


@contextlib.contextmanager
def _only_builder(cache_dir: Path, report: Report) -> Iterator[None]:
    """A lock of the kernel's: it ends with the process, so it is never left over."""
    with open(cache_dir / ".lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("Waiting for another process that is building the model.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.cache.embedding.build", description="Builds the model.")
    parser.add_argument("--cache-dir", type=Path, required=True, help="where the built model is kept")
    parser.add_argument(
        "--source-dir",
        type=Path,
        default=os.environ.get("NEXUS_MODEL_SOURCE_DIR") or None,
        help="folder with model.safetensors and tokenizer.json (default: NEXUS_MODEL_SOURCE_DIR, if set)",
    )
    options = parser.parse_args(arguments)
    try:
        path = ensure(options.cache_dir, source_dir=options.source_dir, report=lambda line: print(line, flush=True))
    except ModelUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The embedding model is ready: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
