"""Links that are secrets: no log has one, no search engine and no cache keeps its page."""

from __future__ import annotations

import json
import logging
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from nexus import logs
from tests.conftest import Workspace
from tests.flow.test_accounts import address, link_in, sign_up
from tests.flow.test_team_pages import invite, link_of
from tests.post import mail_to
from tests.servers import ROOT

TOKEN = "a1-B2_c3:d4"
LINKS = {
    "shared savings": reverse("shared-savings", args=[TOKEN]),
    "an invitation": reverse("invitation", args=[TOKEN]),
    "an address to confirm": reverse("account_confirm_email", args=[TOKEN]),
    "a new password": reverse("account_reset_password_from_key", kwargs={"uidb36": "a1", "key": TOKEN}),
}


def logged(link: str) -> str:
    record = logging.LogRecord("django.request", logging.WARNING, "", 0, "Not Found: %s", (link,), None)
    return str(json.loads(logs.Formatter().format(record))["event"])


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_no_log_line_has_the_secret(link: str) -> None:
    for seen in (link, f"http://localhost:8000{link}?a=b", f"/login/?next={quote(link, safe='')}", f"'{link}'"):
        line = logged(seen)
        assert "B2_c3" not in line and "d4" not in line and "***" in line and line.startswith("Not Found: ")
    assert logged("/t/acme/requests/a1-B2_c3/") == "Not Found: /t/acme/requests/a1-B2_c3/"


def test_a_traceback_has_it_neither() -> None:
    try:
        raise ValueError(LINKS["shared savings"])
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "m", (), (ValueError, error, error.__traceback__))
    assert "ValueError" in logs.Formatter().format(record)
    assert "B2_c3" not in logs.Formatter().format(record)
    assert "B2_c3" not in logs.Formatter("text").format(record)


def test_what_django_logs_of_a_link_that_is_over_is_masked(settings: Any) -> None:
    assert settings.LOGGING["formatters"]["own"]["()"] == "nexus.logs.Formatter"
    handler = next(one for one in logging.getLogger().handlers if isinstance(one.formatter, logs.Formatter))
    assert isinstance(handler, logging.StreamHandler)


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_the_proxy_has_the_same_rule(link: str) -> None:
    conf = (ROOT / "deploy/nginx/nexus.conf").read_text(encoding="utf-8")
    rule = re.search(r'"~(\S+)" "\$\{known\}\*\*\*"', conf)
    assert rule is not None
    found = re.match(rule[1].replace("?<known>", "?P<known>"), link)
    assert found is not None and link.startswith(found["known"]) and "B2_c3" not in found["known"]
    assert "$http_referer" not in conf and "$request_uri" not in conf and "access_log /dev/stdout" in conf


def hidden(answer: Any) -> None:
    assert "noindex" in answer["X-Robots-Tag"] and answer["Referrer-Policy"] in {"no-referrer", "strict-origin"}
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))


def test_their_pages_are_kept_by_nobody(alice: Workspace) -> None:
    email = address()
    invite(alice, email)
    client = Client()
    sign_up(client, (new := address()))
    for link in (link_of(alice, email), link_in(mail_to(new)[0]), LINKS["shared savings"], LINKS["an invitation"]):
        hidden(client.get(link))
