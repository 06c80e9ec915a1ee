"""The rows of tests/matrix/node, where its packages are installed: `npm ci --prefix tests/matrix/node`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.matrix.recorded import billed_to_who_left
from tests.matrix.upstreams import UPSTREAMS, Upstream, make_workspace

FOLDER = Path(__file__).parent / "node"
TIMEOUT_S = 60

# The SDKs come from npm, which neither the product nor `bin/test` needs or installs: by hand, `npm ci` in FOLDER.
pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(), reason="its packages are missing: npm ci --prefix tests/matrix/node"
    ),
]


@pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda upstream: upstream.name)
def test_javascripts_sdks_do_not_notice_the_gateway(server: str, upstream: Upstream, urls: dict[str, str]) -> None:
    workspace = make_workspace(urls)
    environment = {
        "NEXUS_URL": server,
        "NEXUS_API_KEY": workspace.key,
        "NEXUS_MODEL": upstream.plain,
        "NEXUS_TOOLS_MODEL": upstream.tools,
        "NEXUS_REFUSED_MODEL": upstream.refused,
        "NEXUS_OVERLOADED_MODEL": upstream.overloaded,
        "NEXUS_ENDLESS_MODEL": upstream.endless,
    }
    run = subprocess.run(
        ["node", "matrix.mjs"],
        cwd=FOLDER,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert [row for row in rows if not row["passed"]] == []
    assert rows and run.returncode == 0, run.stderr
    for row in rows:
        if row["feature"] == "cancel":
            assert billed_to_who_left(workspace, row["dialect"], upstream.endless) > 0
