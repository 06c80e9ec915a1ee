"""The savings, for who pays: figures that add up to the last digit, files, links to share, one dollar's walk."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import re
import uuid
import zlib
from base64 import a85decode
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core import signing
from django.db.models import Sum
from django.test import Client
from django.utils import timezone

from analytics import forecasts, savings, shares, spans
from analytics.events import HIT_SEMANTIC, UsageEvent
from analytics.models import HOUR_S, SavingsShare, UsageRecord, UsageRollup
from analytics.pages.share import OPENED_PER_MINUTE
from analytics.tasks import close_periods
from billing.models import LedgerEntry
from billing.tasks import report_meters
from tenants.db import schema_of
from tenants.models import AuditEvent, Role, Tenant
from tests.booked import NOON, at, book
from tests.conftest import Workspace
from tests.paying import Payments, subscribe
from tests.sockets import session_of
from tests.together import at_once
from tests.traffic import ended_ago, period_of
from tests.usage import COST_USD, miss

MakeMember = Callable[[Workspace, str], Any]
FREE = {"billed_tokens": 0, "cost_usd": Decimal(0)}
THEN = f"from={NOON:%Y-%m-%d}&to={NOON + dt.timedelta(days=1):%Y-%m-%d}"
PAGES = ("", "breakdown.csv", "report.pdf", "dollar/", "links/")


def path(workspace: Workspace, rest: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/savings/{rest}"


def said(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.content
    return str(answer.content.decode())


def read(answer: Any) -> str:
    async def blocks() -> bytes:
        return b"".join([block async for block in answer.streaming_content])

    assert answer.status_code == 200
    return asyncio.run(blocks()).decode()


def rows(workspace: Workspace, query: str) -> list[dict[str, str]]:
    answer = session_of(workspace.owner).get(f"{path(workspace, 'breakdown.csv')}?{query}")
    return list(csv.DictReader(io.StringIO(read(answer))))


def exact(page: str) -> list[Decimal]:
    """Saved, what it would have cost, what it did cost."""
    return [Decimal(text) for text in re.findall(r'class="exact">\$([\d.]+)<', page)]


def hit(workspace: Workspace, saved: str, **facts: Any) -> UsageEvent:
    return miss(workspace, outcome=HIT_SEMANTIC, **{**FREE, "saved_usd": Decimal(saved), "similarity": 0.93, **facts})


def odd(workspace: Workspace) -> list[UsageEvent]:
    """Amounts that no float adds up, on two days, of several models and tags; a failure; one without a price."""
    events = []
    for number in range(12):
        when, tags = at(days=number % 2, hours=number % 5), [["blue"], ["blue", "crimson"], None][number % 3]
        model = ("gpt-4o", "gpt-4o-mini", "claude-opus-4")[number % 3]
        events.append(hit(workspace, f"0.{number:02}00000001", at=when, tags=tags, model=model))
        events.append(miss(workspace, at=when, tags=tags, model=model, cost_usd=Decimal(f"0.1{number:02}0000003")))
    events.append(
        miss(workspace, at=at(), status=502, error="provider_failed", cost_usd=None, saved_usd=None, billed_tokens=0)
    )
    events.append(miss(workspace, at=at(1), model="unheard-of", cost_usd=None, saved_usd=None))
    book(workspace, *events)
    return events


def sums_of(events: list[UsageEvent]) -> tuple[Decimal, Decimal]:
    return (
        sum((event.saved_usd or Decimal(0) for event in events), Decimal(0)),
        sum((event.cost_usd or Decimal(0) for event in events), Decimal(0)),
    )


def test_the_equation_is_that_of_records_sums_and_ledger_to_the_last_digit(alice: Workspace) -> None:
    saved, cost = sums_of(odd(alice))
    page = said(session_of(alice.owner).get(f"{path(alice)}?{THEN}"))
    assert exact(page) == [saved, cost + saved, cost]
    with schema_of(alice.tenant):
        for books in (
            UsageRecord.objects.all(),
            UsageRollup.objects.filter(width_s=HOUR_S),
            LedgerEntry.objects.filter(tenant=alice.tenant),
        ):
            assert books.aggregate(saved=Sum("saved_usd"), cost=Sum("cost_usd")) == {"saved": saved, "cost": cost}
    assert "requests of models without a known price (1)" in page


@pytest.mark.parametrize("by", [by for by in savings.BY if by != savings.TAG])
def test_every_breakdown_adds_up_to_the_equation(alice: Workspace, by: str) -> None:
    saved, cost = sums_of(odd(alice))
    found = rows(alice, f"{THEN}&by={by}")
    assert sum(Decimal(row["saved_usd"]) for row in found) == saved
    assert sum(Decimal(row["cost_usd"]) for row in found) == cost
    assert sum(Decimal(row["would_have_cost_usd"]) for row in found) == cost + saved
    assert sum(int(row["requests"]) for row in found) == 26 and sum(int(row["hits"]) for row in found) == 12


def test_a_request_with_two_tags_is_in_both(alice: Workspace) -> None:
    events = odd(alice)
    found = {row["tag"]: Decimal(row["saved_usd"]) for row in rows(alice, f"{THEN}&by=tag")}
    for tag in ("blue", "crimson"):
        assert found[tag] == sums_of([event for event in events if tag in (event.tags or [])])[0]
    assert found[""] == sums_of([event for event in events if not event.tags])[0]


def test_tags_are_of_the_latest_records_and_the_page_says_since_when(
    alice: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(savings, "MAX_RECORDS", 2)
    book(alice, *(hit(alice, "0.5", at=at(hours=hour), tags=["blue"]) for hour in range(4)))
    assert [row["saved_usd"] for row in rows(alice, f"{THEN}&by=tag")] == ["1.0000000000"]
    page = said(session_of(alice.owner).get(f"{path(alice)}?{THEN}&by=tag"))
    assert f"since {NOON + dt.timedelta(hours=2):%-d %b %Y, %H:%M} UTC" in page


def test_an_amount_leads_to_the_requests_that_saved_it(alice: Workspace) -> None:
    book(alice, hit(alice, "0.25", at=at(), request_id="saved-it"), miss(alice, at=at(), request_id="paid-for"))
    client = session_of(alice.owner)
    for by in (savings.DAY, savings.MODEL, savings.KEY, savings.TIER):
        page = said(client.get(f"{path(alice)}?{THEN}&by={by}"))
        (link,) = re.findall(r'class="n money"><a href="([^"]+)"', page)
        behind = said(client.get(link.replace("&amp;", "&")))
        assert "saved-it" in behind and "paid-for" not in behind


def test_half_a_time_is_compared_with_as_much_of_the_time_before(alice: Workspace) -> None:
    now = dt.datetime(2026, 3, 10, 6, 30, tzinfo=dt.UTC)
    month = spans.span_of("month", now)
    assert (month.whole - month.start) == (month.before_end - month.before) == dt.timedelta(days=9, hours=6)
    assert month.before == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    late = spans.span_of("month", dt.datetime(2026, 3, 31, 6, tzinfo=dt.UTC))
    assert late.before_end == late.start
    last = spans.span_of("last-month", now)
    assert (last.start, last.end, last.is_open) == (month.before, month.start, False)
    day_before = NOON.replace(hour=0) - dt.timedelta(days=1)
    book(alice, hit(alice, "0.3", at=at()), hit(alice, "0.2", at=(day_before + dt.timedelta(hours=3)).timestamp()))
    page = said(session_of(alice.owner).get(f"{path(alice)}?from={NOON:%Y-%m-%d}&to={NOON:%Y-%m-%d}"))
    assert "+50.0 % more than before" in page


@pytest.mark.parametrize(
    "query", ["range=1h", "from=2026-02-31", "from=1999-01-01&to=1999-01-02", "from=2020-01-01&to=2026-01-01",
              "from=2999-01-01", "from=%00", "range=month&from=x", "to=0001-01-01"],
)  # fmt: skip
def test_a_time_that_is_none_is_said_and_never_fails(alice: Workspace, query: str) -> None:
    client = session_of(alice.owner)
    assert 'role="alert"' in said(client.get(f"{path(alice)}?{query}"), 400)
    assert client.get(f"{path(alice, 'report.pdf')}?{query}").status_code == 404
    assert client.get(f"{path(alice, 'breakdown.csv')}?{query}").status_code == 404


def test_a_forecast_goes_by_seven_days_and_says_how_sure_it_is() -> None:
    latest = [forecasts.Day(Decimal(2), Decimal(amount)) for amount in (10, 12, 8, 10, 10, 12, 8)]
    told = forecasts.reckon(forecasts.Day(Decimal(30), Decimal(100)), latest, Decimal(7))
    assert (told.saved_usd, told.cost_usd, told.per_day_usd) == (170, 44, 10)
    # Twice the deviation of sqrt(16/6), of seven days to come and of the mean of seven.
    assert round(told.high_usd - told.saved_usd, 4) == round(2 * (Decimal(16) / 6).sqrt() * Decimal(14).sqrt(), 4)
    calm = forecasts.reckon(forecasts.Day(), [forecasts.Day()] * 7, Decimal(7))
    assert calm.low_usd == calm.high_usd == 0


def test_there_is_no_forecast_from_less_than_three_days(alice: Workspace) -> None:
    now = timezone.now().replace(minute=30)
    book(alice, hit(alice, "0.5", at=(now - dt.timedelta(hours=60)).timestamp()))
    with schema_of(alice.tenant):
        assert forecasts.forecast(now) is None
    assert "needs three days" in said(session_of(alice.owner).get(path(alice)))
    book(alice, hit(alice, "0.5", at=(now - dt.timedelta(hours=80)).timestamp()))
    with schema_of(alice.tenant):
        told = forecasts.forecast(now)
    assert told is not None and told.days == 3
    assert told.per_day_usd == Decimal(1) / 6


def pdf_text(content: bytes) -> str:
    """What is drawn: the pages' streams, unpacked, without the escapes."""
    streams = re.findall(rb"stream\r?\n(.*?~>)\s*endstream", content, re.S)
    drawn = b"".join(zlib.decompress(a85decode(b"<~" + packed, adobe=True)) for packed in streams)
    return drawn.decode("latin-1").replace("\\(", "(").replace("\\)", ")")


def test_the_report_says_the_same_on_one_or_two_pages(alice: Workspace) -> None:
    saved, cost = sums_of(odd(alice))
    answer = session_of(alice.owner).get(f"{path(alice, 'report.pdf')}?{THEN}")
    assert answer.status_code == 200 and answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", answer.content)) in (1, 2)
    text = pdf_text(answer.content)
    for part in (f"${saved:.10f}", f"${cost:.10f}", f"${cost + saved:.10f}", "gpt-4o-mini", "How it is computed"):
        assert part in text, part


def test_names_are_no_markup_in_the_report(alice: Workspace) -> None:
    Tenant.objects.filter(pk=alice.tenant.pk).update(name="<img src='file:///etc/passwd'/> & 東京 (x) \\")
    book(alice, hit(alice, "0.25", at=at(), model="</para><b>bold & bad"), hit(alice, "0.25", at=at(), model="模型"))
    answer = session_of(alice.owner).get(f"{path(alice, 'report.pdf')}?{THEN}")
    assert answer.status_code == 200 and "</para><b>bold & bad" in pdf_text(answer.content)


def test_no_cell_of_the_file_is_a_formula(alice: Workspace) -> None:
    book(alice, hit(alice, "0.25", at=at(), model="=HYPERLINK(1)", tags=["+1"]))
    assert rows(alice, f"{THEN}&by=model")[0]["model"] == "'=HYPERLINK(1)"
    assert rows(alice, f"{THEN}&by=tag")[0]["tag"] == "'+1"


def test_many_models_are_one_more_row_and_all_in_the_file(alice: Workspace) -> None:
    book(alice, *(hit(alice, "0.01", at=at(), model=f"model-{number:03}") for number in range(60)))
    page = said(session_of(alice.owner).get(f"{path(alice)}?{THEN}&by=model"))
    assert page.count('<th scope="row"') == 52 and "All others" in page
    assert len(rows(alice, f"{THEN}&by=model")) == 60


@pytest.mark.parametrize("role", Role)
def test_every_member_sees_and_takes_away_and_payers_share(
    alice: Workspace, make_member: MakeMember, role: str
) -> None:
    client = session_of(make_member(alice, role))
    for rest in PAGES[:4]:
        assert client.get(path(alice, rest)).status_code == 200, rest
    payer = role in (Role.OWNER, Role.ADMIN, Role.FINANCE)
    assert (path(alice, "links/") in said(client.get(path(alice)))) == payer
    assert client.get(path(alice, "links/")).status_code == (200 if payer else 403)
    wish = {"range": "month", "lives_days": "7"}
    assert client.post(path(alice, "links/"), wish).status_code == (200 if payer else 403)


def test_mallory_finds_nothing_of_alice(alice: Workspace, mallory: Workspace) -> None:
    token, share = share_of(alice)
    theirs = session_of(mallory.owner)
    for rest in (*PAGES, f"links/{share.pk}/revoke/"):
        assert theirs.get(path(alice, rest)).status_code == 404
        assert theirs.post(path(alice, rest)).status_code == 404
    # The numbers of Alice's links, and the ids of her requests, lead nowhere below Mallory's own address.
    assert theirs.post(path(mallory, f"links/{share.pk + 1000}/revoke/")).status_code == 404
    book(alice, hit(alice, "0.25", at=at()))
    with schema_of(alice.tenant):
        record = UsageRecord.objects.get()
    assert theirs.get(f"{path(mallory, 'dollar/')}?request={record.pk}").status_code == 404
    assert Client().get(token).status_code == 200


def test_ids_that_are_none_lead_nowhere(alice: Workspace) -> None:
    client = session_of(alice.owner)
    for reference in ("x", str(uuid.uuid4()), "%00", "x" * 3000):
        assert client.get(f"{path(alice, 'dollar/')}?request={reference}").status_code == 404
    assert client.get(path(alice, "links/99999999999999999999/revoke/")).status_code == 404


# One dollar's way


def walk(workspace: Workspace, query: str = THEN) -> str:
    return said(session_of(workspace.owner).get(f"{path(workspace, 'dollar/')}?{query}"))


def facts(page: str) -> list[dict[str, str]]:
    """What each station says, by name."""
    stations = page.partition('<ol class="walk">')[2].partition("</ol>")[0].split("<li ")[1:]
    pairs = [re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", station, re.S) for station in stations]
    return [{name: re.sub(r"<[^>]*>", "", value).strip() for name, value in found} for found in pairs]


def test_a_saved_dollar_is_followed_to_its_ledger_row(alice: Workspace) -> None:
    book(alice, miss(alice, at=at()), hit(alice, "0.10", at=at()))
    book(alice, hit(alice, "0.75", at=at(), request_id="dearest"))
    page = walk(alice)
    request, record, hour, ledger, period, _invoice = facts(page)
    with schema_of(alice.tenant):
        kept = UsageRecord.objects.get(request_id="dearest")
    assert request["Request"] == "dearest" and record["Record"] == str(kept.pk)
    assert (record["Cost"], record["Saved"]) == ("$0.0000000000", "$0.7500000000")
    assert hour == {"Requests": "2", "Cost": "$0.0000000000", "Saved": "$0.8500000000"}
    assert "The records behind it (2) add up to exactly this." in page
    # Its own batch, not the other one of the same key and day: for a hit 1 request, and nothing to pay.
    entry = LedgerEntry.objects.get(tenant=alice.tenant, saved_usd=Decimal("0.75"))
    assert ledger["Row"].startswith(f"#{entry.pk},") and ledger["Batch"] == str(entry.batch)
    assert (ledger["Requests"], ledger["Tokens billed"], ledger["Cost"]) == ("1", "0", "$0.0000000000")
    assert period["Requests"] == "3" and period["Saved"] == "$0.8500000000"
    link = page.partition('id="story" href="')[2].partition('"')[0]
    assert "dearest" in said(session_of(alice.owner).get(link))


def test_another_request_is_followed_when_it_is_chosen(alice: Workspace) -> None:
    book(alice, hit(alice, "0.75", at=at()), hit(alice, "0.25", at=at(), request_id="the-other"))
    with schema_of(alice.tenant):
        other = UsageRecord.objects.get(request_id="the-other")
    assert facts(walk(alice, f"{THEN}&request={other.pk}"))[0]["Request"] == "the-other"


def test_where_the_batch_is_not_known_the_rows_of_the_day_stand_for_it(alice: Workspace) -> None:
    book(alice, hit(alice, "0.75", at=at()))
    with schema_of(alice.tenant):
        # As after a backup was restored.
        UsageRecord.objects.update(error="")
    page = walk(alice)
    assert "not known any more" in page and facts(page)[3]["Rows"] == "1"


def test_the_way_of_a_dollar_leads_to_its_closed_period(alice: Workspace) -> None:
    period = ended_ago(alice, dt.timedelta(hours=1))
    inside = {"at": period.end.timestamp() - 10, "period": int(period.start.timestamp())}
    book(alice, hit(alice, "0.75", **inside), miss(alice, **inside))
    close_periods()
    page = walk(alice, "range=7d")
    assert "The closed period" in page and "never changed" in page
    assert facts(page)[4] == {"Requests": "2", "Cost": f"${COST_USD:.10f}", "Saved": "$0.7500000000"}


def test_nothing_to_follow_is_said(alice: Workspace) -> None:
    assert "could be followed" in walk(alice)


def test_a_metered_plans_dollar_leads_to_the_line_of_its_invoice(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, "scale")
    paid.stripe.do("deliver")
    start = period_of(buyer).start
    now = {"at": timezone.now().timestamp(), "period": int(start.timestamp())}
    book(buyer, hit(buyer, "0.75", **now), miss(buyer, **now, paid_by_platform=True, cost_usd=Decimal("1.25")))
    assert "the line is made when the period ends" in walk(buyer, "range=7d")
    assert report_meters() >= 1
    paid.stripe.pass_days(32)
    page = walk(buyer, "range=7d")
    assert facts(page)[5] == {"requests": "2", "model cost, micro-USD": "1,250,000"}
    charged = re.findall(r'class="line"><strong>\$([\d.]+)</strong> (.*?) <span', page)
    # Two requests among those included, the hit being one; and what the miss alone has cost.
    assert sorted(charged) == [
        ("0.00", "2 × NexusGateway Scale (Tier 1 at $0)"),
        ("1.25", "1250000 × NexusGateway Scale"),
    ]


# Links


def share_of(workspace: Workspace, **wish: Any) -> tuple[str, SavingsShare]:
    """The path that a new link leads to, and its row."""
    given = {"range": "month", "lives_days": "7", **wish}
    page = said(session_of(workspace.owner).post(path(workspace, "links/"), given))
    address = page.partition('id="link">')[2].partition("<")[0]
    with schema_of(workspace.tenant):
        return "/share" + address.partition("/share")[2], SavingsShare.objects.latest("pk")


@pytest.fixture
def visitor() -> Iterator[Client]:
    """From an address of their own."""
    yield Client(REMOTE_ADDR=f"203.0.113.{uuid.uuid4().int % 250 + 1}")


def these_days(**more: Any) -> dict[str, Any]:
    return {"range": "custom", "first": f"{NOON:%Y-%m-%d}", "last": f"{NOON + dt.timedelta(days=1):%Y-%m-%d}", **more}


def test_a_link_shows_the_savings_and_nothing_else(alice: Workspace, visitor: Client) -> None:
    events = odd(alice)
    link, share = share_of(alice, **these_days(label="Board"))
    answer = visitor.get(link)
    page = said(answer)
    saved, cost = sums_of(events)
    assert exact(page) == [saved, cost + saved, cost] and alice.tenant.name in page
    for secret in (
        alice.api_key.name,
        alice.api_key.public_id,
        alice.owner.email,
        "blue",
        "crimson",
        "Board",
        "/t/",
        events[0].request_id,
    ):
        assert not secret or secret not in page, secret
    assert answer["Referrer-Policy"] == "no-referrer" and "noindex" in answer["X-Robots-Tag"]
    assert "no-store" in answer["Cache-Control"]
    with schema_of(alice.tenant):
        share.refresh_from_db()
    assert share.opened_at is not None
    assert link.split("/")[3] not in f"{vars(share)}"


def test_a_link_names_keys_only_where_that_was_chosen(alice: Workspace, visitor: Client) -> None:
    type(alice.api_key).objects.filter(pk=alice.api_key.pk).update(name="checkout-bot")
    odd(alice)
    assert "checkout-bot" not in said(visitor.get(share_of(alice, **these_days())[0]))
    assert "checkout-bot" in said(visitor.get(share_of(alice, **these_days(shows_keys="on"))[0]))


def test_a_link_that_is_over_looks_like_one_that_never_was(alice: Workspace, visitor: Client) -> None:
    never = said(visitor.get("/share/savings/no-such-link/"), 404)
    link, share = share_of(alice)
    assert visitor.get(link).status_code == 200
    session_of(alice.owner).post(path(alice, f"links/{share.pk}/revoke/"))
    assert without_token(said(visitor.get(link), 404)) == without_token(never)
    link, share = share_of(alice)
    with schema_of(alice.tenant):
        SavingsShare.objects.filter(pk=share.pk).update(expires_at=timezone.now())
    assert without_token(said(visitor.get(link), 404)) == without_token(never)
    page = said(session_of(alice.owner).get(path(alice, "links/")))
    assert "revoked" in page and "expired" in page
    actions = list(
        AuditEvent.objects.filter(tenant=alice.tenant, action__startswith="savings.").values_list("action", flat=True)
    )
    assert sorted(actions) == ["savings.shared", "savings.shared", "savings.unshared"]


def without_token(page: str) -> str:
    return re.sub(r"X-CSRFToken[^}]*", "", page)


def test_of_a_suspended_workspace_no_link_works(alice: Workspace, visitor: Client) -> None:
    link, _share = share_of(alice)
    Tenant.objects.filter(pk=alice.tenant.pk).update(status=Tenant.Status.SUSPENDED)
    assert visitor.get(link).status_code == 404


def test_mallory_cannot_make_a_link_to_alice(alice: Workspace, mallory: Workspace, visitor: Client) -> None:
    link, share = share_of(mallory)
    token = link.split("/")[3]
    _id, secret = signing.loads(token, salt="analytics.shares")
    # Signed by us, of a secret that is Mallory's: it is in no table of Alice's.
    crossed = signing.dumps([alice.tenant.pk, secret], salt="analytics.shares")
    forged = signing.dumps([alice.tenant.pk, secret], key="guessed", salt="analytics.shares")
    for bad in (crossed, forged, token[:-1], token + "A", token.replace(":", ".", 1), "%00", "é" * 50, "x" * 5000,
                signing.dumps([alice.tenant.pk, share.token_sha256], salt="analytics.shares"),
                signing.dumps([alice.tenant.pk, secret], salt="tenants.paging.audit")):  # fmt: skip
        assert visitor.get(f"/share/savings/{bad}/").status_code == 404, bad
    assert visitor.post(link).status_code == 405


def test_links_are_opened_so_often_from_one_address_and_no_more(alice: Workspace) -> None:
    link, _share = share_of(alice)
    busy = Client(REMOTE_ADDR=f"2001:db8:{uuid.uuid4().hex[:4]}::1")
    for _ in range(OPENED_PER_MINUTE):
        assert busy.get("/share/savings/x/").status_code == 404
    assert busy.get(link).status_code == 429
    assert Client(REMOTE_ADDR="198.51.100.7").get(link).status_code == 200


@pytest.mark.parametrize(
    "wish", [{"range": "1h"}, {"range": "custom"}, {"range": "custom", "first": "2026-02-31", "last": "x"},
             {"range": "custom", "first": "2999-01-01", "last": "2999-01-02"}, {"lives_days": "400"},
             {"label": "x" * 81}, {"label": "\0"}],
)  # fmt: skip
def test_a_link_that_cannot_be_is_explained(alice: Workspace, wish: dict[str, str]) -> None:
    answer = session_of(alice.owner).post(path(alice, "links/"), {"range": "month", "lives_days": "7", **wish})
    assert 'class="wrong"' in said(answer, 400)


def test_a_page_with_a_link_makes_no_other_when_it_is_loaded_again(alice: Workspace) -> None:
    client = session_of(alice.owner)
    mark = re.search(r'name="once" value="([^"]+)"', said(client.get(path(alice, "links/"))))
    assert mark
    given = {"range": "month", "lives_days": "7", "once": mark[1]}
    assert 'id="link"' in said(client.post(path(alice, "links/"), given))
    again = client.post(path(alice, "links/"), given, follow=True)
    assert 'id="link"' not in said(again) and "sent before" in said(again)
    with schema_of(alice.tenant):
        assert SavingsShare.objects.count() == 1


def test_two_links_at_once_do_not_share_the_last_place(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_ALIVE", 1)
    given = {"range": "month", "lives_days": "7"}
    posts = [lambda: session_of(alice.owner).post(path(alice, "links/"), given).status_code for _ in range(4)]
    assert sorted(at_once(*posts)) == [200, 400, 400, 400]


def test_there_are_so_many_links_at_a_time(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_ALIVE", 1)
    share_of(alice)
    answer = session_of(alice.owner).post(path(alice, "links/"), {"range": "month", "lives_days": "7"})
    assert "Revoke one first" in said(answer, 400)
