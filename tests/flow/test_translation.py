"""Ready for another language: what a page says comes from a catalogue, but for data; numbers and days are written as
that language has them, and programs are answered in English all the same.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from analytics import alerts
from analytics.alerts import telling
from analytics.alerts.kinds import KINDS
from analytics.alerts.posting import BROKE_OFF
from analytics.figures import duration, percent
from billing.figures import count, usd
from gateway.cache import learning
from tenants import kept, writing
from tests import every_page, pseudo
from tests.alerts import letters, send_until
from tests.conftest import PASSWORD, Workspace, new_workspace
from tests.every_page import SECTIONS, Look
from tests.filled import NAME, Filled, fill, session_of
from tests.management import call
from tests.paying import Payments
from tests.post import mail_to
from tests.sockets import live_feed, update

pytestmark = pytest.mark.usefixtures("no_alerts_waiting")

ROOT = Path(__file__).parents[2]

# What is the same in every language, each with an example.
SAME = [
    r"Anthropic|Azure OpenAI|Cohere|DeepSeek|Google Gemini|Groq|Mistral|Ollama|OpenAI|OpenRouter|Together|vLLM|openai",
    r"Nexus ?Gateway|Nexus|Gateway|Stripe|Google|GitHub",
    # Plans are named by who sells them; the last one is sold by tests of alerts.
    r"Free|Pro|Scale|Tiny",
    r"Python|Node|LangChain|curl|CSV",
    # Versions on the operators' page.
    r"Django|Postgres|Redis|celery|channels|dj-stripe|django-allauth|django-unfold|pgvector|psycopg|redis|stripe",
    r"UTC|USD|ms|s|p50|p95|[\d.]+[KMG]",
    # Words of the API, as apps send and get them.
    r"HIT-EXACT|HIT-SEMANTIC|MISS|REFRESH|BYPASS",
    r"cheapest|complexity|fallback|fastest|fixed|weighted|simple|complex|auto|admin|cache|figures|own",
    # Ids, keys, addresses, codes with dots or underscores, moments for programs, invoices of the fake Stripe.
    r"nk-[\w-]*…?|[0-9a-f]{12,}|[0-9a-f-]{36}|\w+-\d{4}",
    r"\S+@\S+|https?://\S+|[\w-]+(?:\.[\w-]+)+",
    r"[a-z]+_[a-z_]+|STRIPE_SECRET_KEY",
    r"\d{4}-\d\d-\d\d[T\d:.Z+]*",
    r"(?:gpt|claude)-[\w.-]+|own/\S+|refund status\*",
]
# What the fixture gave names to.
NAMED = [
    NAME, "house-fast", "house", "fake", "Checkout assistant", "laptop of Emil", "default", "checkout", "import", "faq",
    "shop", "kb:v12", "user-4711", "Board of directors", "Chat of the platform team", "Alice Lindqvist-Østergård",
    "Bea Okoye", "Chidi Lind", "Dora Weiss", "Emil Haddad", "semantic tier", "Laptop",
    "The blue security key in the office safe",
]  # fmt: skip
_DATA = re.compile("|".join([*map(re.escape, NAMED), *(rf"(?<!\w)(?:{one})(?!\w)" for one in SAME)]))
# Whole pages, or parts of them, that may say more outside of catalogues: with why.
LEFT = {
    # Values before and after, and who did it, as they were written down at the time.
    "audit": ("b", "del", "ins", "small", "details", "a"),
    # Questions and answers of the workspace's own traffic.
    "cache": ("a",), "cache-entries": ("a",), "cache-review": ("p", "mark", "td", "td@title"),
    # The guards' reasons are the API's, in words of the two questions.
    "cache-guards": ("p", "span"),
    # What failed, and with which words of the program.
    "admin-failures": ("td", "code"),
    # Lines that Stripe wrote.
    "billing-change": ("th",), "savings-dollar": ("p",),
    # A label that allauth's own form has in no catalogue; and what browsers call themselves.
    "mfa_add_webauthn": ("label",), "mfa_edit_webauthn": ("label",), "usersessions_list": ("td", "td@title"),
    # The front page's questions are in the language in which its example is asked.
    "landing": ("p", "span"),
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(paid: Payments) -> Filled:
    return fill(paid)


@pytest.fixture(autouse=True)
def spoken() -> Iterator[None]:
    with pseudo.spoken():
        yield


def browser(user: Any = None) -> Client:
    """That asks for the pseudo-language."""
    client = Client(headers={"Accept-Language": pseudo.LANGUAGE})
    if user is not None:
        client.cookies[settings.SESSION_COOKIE_NAME] = session_of(user)
    return client


def forgotten(client: Client, looks: Iterable[Look]) -> list[str]:
    """What these pages say that nobody could translate, and numbers that broke."""
    found = set()
    for look in looks:
        if look.place == "docs":
            # It is the API's description, which is in English.
            continue
        answer = client.get(look.path, follow=look.leads_on)
        assert answer.headers["Content-Language"] == pseudo.LANGUAGE, look.path
        reader = pseudo.read(answer.content.decode())
        said = [each for each in reader.found if each.where not in LEFT.get(look.place, ())]
        left = [each._replace(text=_DATA.sub("", each.text)) for each in said]
        wrong = [*(each for each in left if re.search(r"[^\W\d_]", each.text)), *reader.broken]
        found |= {f"{look.place}: {each.where}: {each.text}" for each in wrong}
    return sorted(found)


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", SECTIONS)
def test_a_workspaces_pages_say_nothing_that_is_in_no_catalogue(filled: Filled, section: str) -> None:
    slug = filled.workspace.tenant.slug
    assert forgotten(browser(filled.workspace.owner), every_page.looks_at(section, slug, filled.parts)) == []


def test_nor_do_they_where_there_is_nothing_yet() -> None:
    empty = new_workspace("free")
    client = browser(empty.owner)
    for section in SECTIONS:
        assert forgotten(client, every_page.looks_at(section, empty.tenant.slug, None)) == []


def test_nor_do_pages_of_accounts_and_for_strangers(filled: Filled) -> None:
    assert forgotten(browser(), every_page.for_strangers(filled)) == []
    assert forgotten(browser(filled.plain), every_page.of_plain_account(filled)) == []
    assert forgotten(browser(filled.guarded), every_page.of_guarded_account(filled)) == []


def test_nor_do_the_operators_own_pages(filled: Filled) -> None:
    """Models and their columns are named after the code, in English: of the admin these are left out."""
    client, left = browser(filled.operator), []
    for line in forgotten(client, every_page.of_operators(filled)):
        if not re.search(r": (a|h2|div|span): ", line):
            left.append(line)
    assert left == []


_NO_TEXT = re.compile(
    r"{% block body_class %}.*?{% endblock %}|{%\s*comment.*?{%\s*endcomment\s*%}|{#.*?#}"
    r"|{%\s*blocktranslate\b.*?{%\s*endblocktranslate\s*%}|<(script|style|code|pre)\b.*?</\1>|{%.*?%}|{{.*?}}",
    re.DOTALL,
)


def test_no_template_says_anything_outside_of_its_tags() -> None:
    """Also what no page of these tests happens to show."""
    wrong = []
    for path in sorted(path for path in (ROOT / "templates").rglob("*.*") if path.suffix in (".html", ".txt")):
        if path.parts[-2] == "evaluation":
            continue
        page = _NO_TEXT.sub("", path.read_text())
        for found in pseudo.read(page).found:
            if re.search(r"[^\W\d_]{2}", _DATA.sub("", found.text)):
                wrong.append(f"{path.relative_to(ROOT)}: {found.where}: {found.text}")
    assert wrong == []


def test_scripts_get_their_words_from_the_page() -> None:
    """By data- attributes and json_script: a sentence in a script would be in one language for all."""
    wrong = []
    for path in sorted((ROOT / "static" / "nexus").glob("*.js")):
        code = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
        for literal in re.findall(r'"([^"\n]*)"|`([^`]*)`', code):
            text = re.sub(r"\$\{[^}]*\}", "", "".join(literal))
            if re.search(r"(?:^|[ .])[A-Z][a-z]+ [a-z]", text) or 'toLocaleString("en"' in code:
                wrong.append(f"{path.name}: {text}")
    assert wrong == []


# --- numbers and days ------------------------------------------------------------------------------------------------

AT = dt.datetime(2026, 9, 5, 20, 4, 7, tzinfo=dt.UTC)


def test_numbers_and_days_are_written_as_the_language_has_them() -> None:
    with pseudo.speaking():
        assert usd(Decimal("1234.5")) == "$1\xa0234,50" and count(-1_200_000) == "−1\xa0200\xa0000"
        assert (percent(0.125), duration(1_234)) == ("12,5 %", "1,23 s")
        assert writing.day(AT).startswith("5. ⟦") and writing.day(AT).endswith("⟧ 2026")
        assert writing.moment(AT).endswith(" 20:04 UTC")
    assert usd(Decimal("1234.5")) == "$1,234.50" and percent(0.125) == "12.5 %"
    assert (writing.day(AT), writing.moment(AT)) == ("5 Sep 2026", "5 Sep 2026, 20:04 UTC")
    assert writing.number(Decimal("0.005"), 2) == f"{Decimal('0.005'):.2f}" and writing.exact(1000.5) == "1,000.5"


# --- what is made for several people, or later -----------------------------------------------------------------------


async def test_a_feed_speaks_the_language_of_each_page(alice: Workspace) -> None:
    tenant, owner = alice.tenant, alice.owner
    async with live_feed(tenant, owner) as plain, live_feed(tenant, owner, f"language={pseudo.LANGUAGE}") as other:
        assert (await update(plain))["deltas"]["requests"][0] == "none before either"
        assert (await update(other))["deltas"]["requests"][0] == "⟦none before either⟧"
    async with live_feed(tenant, owner, "language=tlh") as unknown:
        assert (await update(unknown))["deltas"]["requests"][0] == "none before either"


def test_a_page_asks_for_the_feed_in_its_own_language(alice: Workspace) -> None:
    path = f"/t/{alice.tenant.slug}/"
    assert f"language={pseudo.LANGUAGE}" in browser(alice.owner).get(path).content.decode()
    client = Client()
    client.force_login(alice.owner)
    assert "language=en" in client.get(path).content.decode()


def test_an_alert_is_kept_without_words_and_told_in_the_readers() -> None:
    facts = {
        "percent": 80, "used": 1_200, "limit": 1_500, "mode": "hard", "used_usd": "12.50", "limit_usd": "20",
        "plan": "pro", "span": "2026-11-01T00:00:00+00:00", "amount_usd": "49.00",
        "grace_until": "2026-11-28T00:00:00+00:00",
        "reason": learning._STAYS.format(threshold="0.90", rate="1.0%", known="20 verdicts", budget="2.0%"),
        "error": BROKE_OFF.format(why="OSError"), "consequence": "It is switched off now.", "url": "https://a.example",
    }  # fmt: skip
    for kind in KINDS:
        title, line = telling.title_of(kind, facts), telling.line_of(kind, facts)
        assert pseudo.OPEN not in title + line and title and line
        with pseudo.speaking():
            said = pseudo.read(f"<p>{telling.title_of(kind, facts)}</p><p>{telling.line_of(kind, facts)}</p>")
        assert [each for each in said.found if each.text != "https://a.example"] == [], kind
    assert telling.line_of("budget_monthly", facts).startswith(
        "12.50 of 20 USD (80 % reached) in the period from 1 Nov"
    )
    with pseudo.speaking():
        assert "12,50" in telling.line_of("budget_monthly", facts)


def test_a_sentence_that_was_kept_is_found_again_with_what_it_holds() -> None:
    stays = learning._STAYS.format(threshold="0.90", rate="1.0%", known="20 verdicts and 3 reports", budget="2.0%")
    assert kept.read(stays) == stays and kept.read("What nobody keeps {so}.") == "What nobody keeps {so}."
    with pseudo.speaking():
        assert kept.read(stays).count(pseudo.OPEN) == 2 and "⟦20 verdicts and 3 reports⟧" in kept.read(stays)
        assert (
            kept.read(BROKE_OFF.format(why="{0.__class__}")) == "⟦It could not be reached or broke off: {0.__class__}.⟧"
        )


def test_letters_of_a_request_are_in_its_language_and_those_of_workers_in_english(alice: Workspace) -> None:
    email = f"reader-{alice.tenant.slug}@example.com"
    browser().post("/signup/", {"email": email, "name": "Tea", "password": PASSWORD})
    (confirmation,) = mail_to(email)
    assert confirmation.subject.startswith(pseudo.OPEN)
    assert alerts.raise_alert(alice.tenant, "drift", "books", {"drift_requests": 3}, "one") is not None
    send_until(lambda: letters(alice))
    assert letters(alice)[0].subject.endswith("The books differ") and "Workspace: " in letters(alice)[0].body


def test_programs_are_answered_in_english_whatever_they_ask_for(filled: Filled) -> None:
    client = Client(headers={"Accept-Language": pseudo.LANGUAGE})
    sent = client.post("/api/register", {"email": "nobody"}, content_type="application/json")
    assert sent.status_code == 400 and pseudo.OPEN not in sent.content.decode()
    for path in ("/api/routes", "/api/alerts/rules", "/api/billing/plans", "/api/nothing"):
        answer = call(filled.workspace, "GET", path, **{"Accept-Language": pseudo.LANGUAGE})
        assert answer.headers["Content-Language"] == "en" and pseudo.OPEN not in answer.content.decode(), path
