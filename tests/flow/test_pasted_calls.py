"""The calls that pages show are run as they are pasted into a shell, and answered."""

from __future__ import annotations

import html
import json
import pathlib
import re
import subprocess

import pytest
from django.test import Client

from tenants import apikeys, onboarding
from tests.conftest import Workspace

FORM = {"name": "shop", "priority": "default", "ends": "never", "budget_mode": "hard"}
# A page of a fresh workspace, and whether it has just made the key that it shows.
PAGES = {"keys/new": True, "start/": True, "": False, "playground/": False, "cache/entries/": False}


def pasted(page: str) -> str:
    found = re.search(r"<code[^>]*>(curl .+?)</code>", page, re.DOTALL)
    assert found
    return html.unescape(found[1])


@pytest.mark.parametrize("path", PAGES)
def test_the_call_that_a_page_shows_is_answered(
    alice: Workspace, server: str, tmp_path: pathlib.Path, settings: object, path: str
) -> None:
    settings.PUBLIC_URL = server  # type: ignore[attr-defined]
    client, makes_one = Client(), PAGES[path]
    client.force_login(alice.owner)
    address = f"/t/{alice.tenant.slug}/{path}"
    call = pasted((client.post(address, FORM) if makes_one else client.get(address)).content.decode())
    assert (onboarding.NO_KEY in call) != makes_one
    own = apikeys.issue(alice.tenant, scopes=["admin"]).text
    row = {"question": "Is it open?", "answer": "Always.", "model": "gpt-4o-mini"}
    (tmp_path / "faq.jsonl").write_text(json.dumps(row) + "\n")
    done = subprocess.run(
        ["bash", "-c", call.replace(onboarding.NO_KEY, own) + " --silent --show-error --max-time 30"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer.get("object") in ("chat.completion", "cache.import"), answer
