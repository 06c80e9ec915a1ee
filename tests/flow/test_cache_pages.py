"""A workspace's pages about its cache, without a browser: who may do what, what is shown, what strangers send."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from gateway import explain
from gateway.cache import tuning
from gateway.models import CacheEntry, CacheSettings, CacheTuning, Verdict
from gateway.pages import difference
from gateway.pages.urls import CACHE
from tenants import keyspace, pace
from tenants.db import schema_of
from tenants.models import AuditEvent, Role
from tests import judged
from tests.cached import ask, entry_of, exact_keys, keep, until
from tests.conftest import Workspace
from tests.sockets import session_of

LOOKS = ["", "guards", "threshold/", "shadow/", "policy/"]
READS = ["entries/", "review/", "explain/"]
ACTS = {
    "threshold/apply": {"threshold": "0.9"},
    "shadow/switch": {"shadow": "on"},
    "policy/change": {"part": "budget"},
    "policy/reset": {},
    "review/collect": {"review": "on"},
    "review/undo": {},
    "invalidate/": {"by": "all", "step": "confirm"},
}
PATHS = [
    str(each.pattern).removeprefix("t/<slug:slug>/cache/").replace("<uuid:id>", str(uuid.UUID(int=1))) for each in CACHE
]


def cache(workspace: Workspace, path: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/cache/{path}"


def page_of(client: Client, workspace: Workspace, path: str = "", status: int = 200) -> str:
    answer = client.get(cache(workspace, path))
    assert answer.status_code == status, (path, answer.status_code)
    return " ".join(answer.content.decode().split())


def send(client: Client, workspace: Workspace, path: str, **given: Any) -> str:
    """What the page says after it."""
    answer = client.post(cache(workspace, path), given, follow=True)
    return " ".join(answer.content.decode().split())


def of(workspace: Workspace) -> list[Verdict]:
    with schema_of(workspace.tenant):
        return list(Verdict.objects.order_by("at", "id"))


def settings_of(workspace: Workspace) -> CacheSettings:
    with schema_of(workspace.tenant):
        return CacheSettings.objects.first() or CacheSettings()


def make_entry(workspace: Workspace, prompt: str = "Why is tea hot?", **fields: Any) -> CacheEntry:
    """A row alone, which is what lists and pages look at."""
    now = timezone.now()
    answer = b'{"choices": [{"message": {"content": "Because of <b>water</b>."}}]}'
    meta = {"provider": "own", "upstream_model": "gpt-4o-mini", "simulated": False, "prompt_tokens": 5}
    values: dict[str, Any] = {"scope": "", "fingerprint": uuid.uuid4().hex, "model": "gpt-4o-mini", "prompt": prompt}
    values |= {"answer": answer, "meta": {**meta, "completion_tokens": 7}, "created_at": now}
    values |= {"expires_at": now + dt.timedelta(days=1), "stale_until": now + dt.timedelta(days=1)}
    with schema_of(workspace.tenant):
        return CacheEntry.objects.create(**{**values, **fields})


def at_the_server(server: str, workspace: Workspace, path: str, **given: str) -> httpx2.Response:
    """By a browser's session: what embeds a text needs a running gateway."""
    session = session_of(workspace.owner).cookies[settings.SESSION_COOKIE_NAME].value
    token = "a" * 32
    cookies = {settings.SESSION_COOKIE_NAME: session, settings.CSRF_COOKIE_NAME: token}
    if not given:
        return httpx2.get(f"{server}{cache(workspace, path)}", cookies=cookies, timeout=30)
    body = {**given, "csrfmiddlewaretoken": token}
    headers = {"Origin": server}
    return httpx2.post(f"{server}{cache(workspace, path)}", data=body, cookies=cookies, headers=headers, timeout=30)


# --- who may what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_cannot_tell_any_cache_page_from_none(alice: Workspace, mallory: Workspace, path: str) -> None:
    client = session_of(mallory.owner)
    for slug in (alice.tenant.slug, "there-is-no-such"):
        for method in ("get", "post"):
            assert getattr(client, method)(f"/t/{slug}/cache/{path}").status_code == 404
    assert Client().get(cache(alice, path)).status_code == 302


def test_what_is_alices_cannot_be_reached_through_mallorys_own_pages(alice: Workspace, mallory: Workspace) -> None:
    entry = make_entry(alice)
    (sample,) = judged.put_aside(alice, count=1)
    client = session_of(mallory.owner)
    assert client.get(cache(mallory, f"entries/{entry.pk}/")).status_code == 404
    for act in ("pin", "drop"):
        assert client.post(cache(mallory, f"entries/{entry.pk}/{act}"), {"pinned": "on"}).status_code == 404
    assert "Somebody else" in send(client, mallory, f"review/{sample.pk}", verdict="wrong")
    found = entry_of(alice, entry.pk.hex)
    assert found is not None and not found.pinned and of(alice)[0].right is None


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_who_may_not_read_prompts_sees_figures_alone(
    alice: Workspace, make_member: Callable[..., Any], role: str
) -> None:
    entry = make_entry(alice, "A very secret question", hits=5)
    (sample,) = judged.put_aside(alice, "shadow", count=1)
    client = session_of(make_member(alice, role))
    for path in LOOKS:
        page = page_of(client, alice, path)
        assert "secret question" not in page and sample.question not in page, path
        # On the policy's page the forms are there to be read.
        assert path == "policy/" or f'method="post" action="{cache(alice)}' not in page, path
        assert "Save answers" not in page and "Forget the verdicts" not in page
    for path in [*READS, f"entries/{entry.pk}/", "invalidate/"]:
        assert "Owner, Admin, Developer" in page_of(client, alice, path, 403)
    for path, given in {**ACTS, f"entries/{entry.pk}/pin": {}, f"review/{sample.pk}": {"verdict": "right"}}.items():
        assert client.post(cache(alice, path), given).status_code == 403, path
    assert entry_of(alice, entry.pk.hex) is not None and of(alice)[0].right is None


def test_a_developer_may_do_all_of_it(alice: Workspace, make_member: Callable[..., Any]) -> None:
    client = session_of(make_member(alice, Role.DEVELOPER))
    for path in [*LOOKS, *READS, "invalidate/", "policy/reset"]:
        page_of(client, alice, path)
    for path, given in ACTS.items():
        assert client.post(cache(alice, path), given).status_code in (302, 400), path


def test_a_form_of_another_site_changes_nothing(alice: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)
    assert client.post(cache(alice, "shadow/switch"), {"shadow": "on"}).status_code == 403
    assert not settings_of(alice).shadow


# --- overview, entries -----------------------------------------------------------------------------------------------


def test_an_empty_cache_says_what_to_do(alice: Workspace) -> None:
    client = session_of(alice.owner)
    assert "Nothing is kept yet" in page_of(client, alice)
    assert "Nothing is kept yet" in page_of(client, alice, "entries/")
    assert "No samples are put aside" in page_of(client, alice, "review/")
    assert "Nothing to plot yet" in page_of(client, alice, "threshold/")
    assert "Try the semantic tier without giving any of its answers" in page_of(client, alice, "shadow/")
    assert "No answer has been kept for comparing yet" in page_of(client, alice, "guards")


def test_the_overview_shows_tiers_and_what_needs_somebody(alice: Workspace) -> None:
    judged.ask_many(alice, 60)
    judged.put_aside(alice, count=3)
    judged.judge_many(alice, 60, wrong_below=0.95)
    tuning.tune(alice.tenant)
    page = page_of(session_of(alice.owner), alice, "?days=30")
    assert "3 samples wait for a verdict." in page and "of 60 answers" in page
    with schema_of(alice.tenant):
        tuned = CacheTuning.objects.get()
    assert tuned.off or tuned.threshold is not None
    assert ("the semantic tier is off" in page) == tuned.off


def test_entries_are_found_by_what_they_are(alice: Workspace) -> None:
    late = timezone.now() - dt.timedelta(minutes=1)
    make_entry(alice, "Tea of today", tags=["shop"], namespace="uk")
    make_entry(alice, "Old tea", pinned=True, model="gpt-4o")
    make_entry(alice, "Coffee", expires_at=late)
    client = session_of(alice.owner)

    def found(query: str) -> set[str]:
        page = page_of(client, alice, f"entries/?{query}")
        return {prompt for prompt in ("Tea of today", "Old tea", "Coffee") if f">{prompt}</a>" in page}

    assert found("") == {"Tea of today", "Old tea", "Coffee"}
    assert found("q=tea") == {"Tea of today", "Old tea"}
    assert found("tag=shop") == found("namespace=uk") == found("q=tea&pinned=no") == {"Tea of today"}
    assert found("pinned=yes") == found("model=gpt-4o") == {"Old tea"}
    assert found("expired=yes") == {"Coffee"}
    assert found("tier=meaning") == set() and found("tier=exact&order=oldest") == {"Tea of today", "Old tea", "Coffee"}
    for wrong in ("order=sideways", "cursor=forged", "q=" + "a" * 201, "q=a%00b"):
        assert 'role="alert"' in page_of(client, alice, f"entries/?{wrong}", 400)


def test_pages_of_entries_leave_none_out(alice: Workspace) -> None:
    for number in range(53):
        make_entry(alice, f"question-{number:03}")
    client = session_of(alice.owner)
    first = client.get(cache(alice, "entries/"))
    second = client.get(cache(alice, f"entries/?cursor={first.context['listed'].next}"))
    prompts = [row["prompt"] for page in (first, second) for row in page.context["listed"].rows]
    assert prompts == [f"question-{number:03}" for number in reversed(range(53))] and not second.context["older"]


def test_an_entry_tells_what_it_says_and_why_it_was_given(alice: Workspace) -> None:
    entry = make_entry(alice, "<script>alert(1)</script>", tags=["kb"])
    judged.ask_many(alice, 30, entry_id=entry.pk.hex)
    judged.judge_many(alice, 1, entry_id=entry.pk)
    page = page_of(session_of(alice.owner), alice, f"entries/{entry.pk}/")
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "Because of &lt;b&gt;water&lt;/b&gt;." in page and "HIT-SEMANTIC" in page
    assert "The question was similar enough" in page and "Another place." in page


def test_a_long_answer_is_folded(alice: Workspace) -> None:
    entry = make_entry(alice, answer=b'{"choices": [{"message": {"content": "%s"}}]}' % (b"word " * 1000))
    page = page_of(session_of(alice.owner), alice, f"entries/{entry.pk}/")
    assert "5,000 characters" in page and "The rest of it" in page


def test_an_entry_is_pinned_unpinned_and_dropped_with_its_traces(server: str, alice: Workspace) -> None:
    entry_id = keep(server, alice, "How long should green tea steep?")
    path = f"entries/{uuid.UUID(entry_id)}/"
    client = session_of(alice.owner)
    assert "Pinned: it stays" in send(client, alice, path + "pin", pinned="on")
    assert set(exact_keys(alice).values()) == {-1}
    assert "Unpinned" in send(client, alice, path + "pin")
    assert "Drop this answer?" in page_of(client, alice, path + "drop") and entry_of(alice, entry_id) is not None
    assert "Dropped." in send(client, alice, path + "drop")
    assert entry_of(alice, entry_id) is None and not exact_keys(alice)
    assert client.post(cache(alice, path + "drop")).status_code == 404
    events = AuditEvent.objects.filter(tenant=alice.tenant, actor=alice.owner).order_by("pk")
    assert [event.action.partition(".")[2] for event in events if event.action.startswith("cache.")] == [
        "entry_pinned", "entry_unpinned", "entry_deleted"
    ]  # fmt: skip


def test_entries_are_found_by_meaning_the_nearest_first(server: str, alice: Workspace) -> None:
    judged.keep_faq(server, alice)
    answer = at_the_server(server, alice, "entries/?q=shipping+abroad&by=meaning")
    assert answer.status_code == 200 and "How long does delivery to Norway take?" in answer.text
    assert "The nearest first" in answer.text and "reset my password" not in answer.text


def test_guards_are_counted_among_the_newest_answers(server: str, alice: Workspace) -> None:
    judged.keep_faq(server, alice)
    ask(server, alice, "Is the 3 litre pot fit for induction?")
    page = page_of(session_of(alice.owner), alice, "guards")
    assert "numbers differ: 3 against 5" in page
    assert "1 had a question in the cache" in page


# --- the review queue ------------------------------------------------------------------------------------------------


def test_a_verdict_is_kept_with_who_gave_it_and_the_next_sample_comes(alice: Workspace) -> None:
    first, second, third = judged.put_aside(alice, count=3)
    client = session_of(alice.owner)
    assert f"review/{first.pk}" in page_of(client, alice, "review/")
    page = send(client, alice, f"review/{first.pk}", verdict="wrong")
    assert f"review/{second.pk}" in page and "You have judged 1 today." in page and alice.owner.email in page
    said = of(alice)[0]
    assert (said.right, said.source, said.reviewer_id) == (False, "person", alice.owner.pk)
    skipping = client.get(cache(alice, "review/")).context["next"]
    assert f"review/{third.pk}" in page_of(client, alice, f"review/?after={skipping}")
    assert of(alice)[1].right is None


def test_the_last_verdict_is_undone_and_no_other(alice: Workspace) -> None:
    judged.put_aside(alice, count=2)
    client = session_of(alice.owner)
    for sample in of(alice):
        send(client, alice, f"review/{sample.pk}", verdict="right")
    assert "That was the last one" not in send(client, alice, "review/undo")
    first, second = of(alice)
    assert first.right and (second.right, second.source, second.judged_at, second.reviewer_id) == (None, "", None, None)
    assert "There is nothing to undo." in send(client, alice, "review/undo") and of(alice)[0].right


def test_who_judged_and_who_took_it_back_is_written_down_without_the_texts(alice: Workspace) -> None:
    (sample,) = judged.put_aside(alice, count=1)
    client = session_of(alice.owner)
    send(client, alice, f"review/{sample.pk}", verdict="wrong")
    send(client, alice, "review/undo")
    rows = AuditEvent.objects.filter(tenant=alice.tenant, action__startswith="cache.judge").order_by("pk")
    assert [(row.action, row.actor, row.target, row.before, row.after) for row in rows] == [
        ("cache.judged", alice.owner, sample.pk.hex, {"right": None}, {"right": False}),
        ("cache.judgement_undone", alice.owner, sample.pk.hex, {"right": False}, {"right": None}),
    ]


def test_two_people_judge_one_sample_once(alice: Workspace, make_member: Callable[..., Any]) -> None:
    (sample,) = judged.put_aside(alice, count=1)
    send(session_of(alice.owner), alice, f"review/{sample.pk}", verdict="right")
    page = send(session_of(make_member(alice, Role.ADMIN)), alice, f"review/{sample.pk}", verdict="wrong")
    assert "Somebody else has judged this one" in page
    assert (of(alice)[0].right, of(alice)[0].reviewer_id) == (True, alice.owner.pk)


@pytest.mark.parametrize("given", [{}, {"verdict": "maybe"}, {"verdict": "right", "of": "nothing", "after": "x"}])
def test_what_is_no_verdict_is_none(alice: Workspace, given: dict[str, str]) -> None:
    (sample,) = judged.put_aside(alice, count=1)
    answer = session_of(alice.owner).post(cache(alice, f"review/{sample.pk}"), given, follow=True)
    assert answer.status_code == 200
    assert of(alice)[0].right is (True if given.get("verdict") == "right" else None)


def test_people_have_the_last_word_on_what_the_model_said(alice: Workspace) -> None:
    judged.judge_many(alice, 1)
    (before,) = of(alice)
    client = session_of(alice.owner)
    assert "The model says: right." in page_of(client, alice, "review/?of=judged")
    send(client, alice, f"review/{before.pk}", verdict="wrong", of="judged")
    (after,) = of(alice)
    # Still paid for by the judge's budget.
    assert (after.right, after.source, after.cost_usd) == (False, "model", before.cost_usd)
    send(client, alice, "review/undo")
    (undone,) = of(alice)
    assert (undone.right, undone.judged_at, undone.reviewer_id) == (True, before.judged_at, None)


def test_peoples_verdicts_on_samples_move_the_threshold(alice: Workspace) -> None:
    judged.put_aside(alice, count=30, similarity=0.86)
    with schema_of(alice.tenant):
        Verdict.objects.update(right=False, source="person", judged_at=timezone.now(), reviewer_id=alice.owner.pk)
    tuning.tune(alice.tenant)
    with schema_of(alice.tenant):
        tuned = CacheTuning.objects.get()
    assert tuned.off and tuned.figures["verdicts"] == 30 and tuned.figures["reports"] == 0


def test_samples_are_put_aside_for_people_when_they_ask_for_them(server: str, alice: Workspace) -> None:
    client = session_of(alice.owner)
    assert "From now on samples" in send(client, alice, "review/collect", review="on")
    keep(server, alice, "How long should green tea steep?")

    def is_sampled() -> bool:
        ask(server, alice, "How long should I let green tea steep?", headers={"X-Nexus-Cache-TTL": "0"})
        return bool(of(alice))

    until(is_sampled)
    assert "How long should" in page_of(client, alice, "review/")


def test_what_differs_is_marked() -> None:
    asked, known = difference.compare("How far is Rome?", "How far is new Paris?")
    assert [piece.text for piece in asked if piece.differs] == ["Rome"]
    assert [piece.text for piece in known if piece.differs] == ["new Paris"]
    assert "".join(piece.text for piece in known) == "How far is new Paris?"
    assert difference.compare("A", "a") == ([("A", False)], [("a", False)])
    assert difference.compare("x " * 5000, "y")[0] == [("x " * 5000, False)]


# --- thresholds, shadow mode -----------------------------------------------------------------------------------------


def test_a_higher_threshold_gives_fewer_hits_and_is_said_to_be_so(alice: Workspace) -> None:
    judged.ask_many(alice, 300)
    judged.judge_many(alice, 200, wrong_below=0.9)
    client = session_of(alice.owner)
    answer = client.get(cache(alice, "threshold/?threshold=0.95"))
    rows = {row["threshold"]: row for row in answer.context["rows"]}
    assert len(rows) == 26 and answer.context["row"] == rows["0.95"]
    hits = [int(row["hits"].replace(",", "")) for row in answer.context["rows"]]
    assert hits == sorted(hits, reverse=True) and hits[0] > hits[20] > 0
    assert rows["0.80"]["verdict"] == "over" and rows["0.92"]["rate"] == "0.0 %"
    low, high = (float(rows["0.85"][name].split()[0]) for name in ("low", "high"))
    assert low < float(rows["0.85"]["rate"].split()[0]) < high
    for odd in ("nan", "7", "-1", "x", "0.1"):
        assert page_of(client, alice, f"threshold/?threshold={odd}")


def test_hits_are_those_that_were_given_and_near_misses_count_by_their_weight(alice: Workspace) -> None:
    judged.ask_many(alice, 100)
    judged.put_aside(alice, "near_miss", count=2, similarity=0.805, weight=5.0)
    context = session_of(alice.owner).get(cache(alice, "threshold/")).context
    rows = {row["threshold"]: int(row["hits"]) for row in context["rows"]}
    assert rows["0.75"] - rows["0.81"] == 10 and rows["0.81"] == rows["0.85"]
    assert context["few"] and "Too little is known" in page_of(session_of(alice.owner), alice, "threshold/")


def test_a_chosen_threshold_holds_and_is_audited(alice: Workspace) -> None:
    client = session_of(alice.owner)
    assert "The threshold is 0.91" in send(client, alice, "threshold/apply", threshold="0.91")
    assert settings_of(alice).threshold == 0.91
    event = AuditEvent.objects.get(tenant=alice.tenant, action="cache_settings.changed")
    assert (event.actor, (event.before or {})["threshold"], (event.after or {})["threshold"]) == (
        alice.owner,
        0.85,
        0.91,
    )
    assert event.ip_address == "127.0.0.1"
    for wrong in ("0.4", "1.1", "nan", "inf", "", "x" * 300):
        assert 'role="alert"' in send(client, alice, "threshold/apply", threshold=wrong)
    assert settings_of(alice).threshold == 0.91


def test_shadow_mode_is_reported_and_switched(alice: Workspace) -> None:
    client = session_of(alice.owner)
    assert "Shadow mode is on" in send(client, alice, "shadow/switch", shadow="on") and settings_of(alice).shadow
    judged.ask_many(alice, 100, shadow=True)
    judged.put_aside(alice, "shadow", count=4)
    with schema_of(alice.tenant):
        for place, sample in enumerate(Verdict.objects.all()[:3]):
            Verdict.objects.filter(pk=sample.pk).update(right=place > 0, source="model", judged_at=timezone.now())
    context = client.get(cache(alice, "shadow/")).context
    assert context["found"] > 20 and (context["said"]["right"], context["said"]["wrong"]) == ("2", "1")
    assert context["said"]["rate"] == "33.3 %" and context["said"]["waiting"] == "1"
    assert "shadow mode: meaning is only compared" in page_of(client, alice)
    assert "Shadow mode is off" in send(client, alice, "shadow/switch") and not settings_of(alice).shadow


# --- policy ----------------------------------------------------------------------------------------------------------

ANSWERS = {"part": "answers", "exact": "on", "threshold": "0.88", "ttl_s": "2", "ttl_s_unit": "d"}
ANSWERS |= {"stale_if_error_s": "30", "stale_if_error_s_unit": "min"}


def test_each_form_of_the_policy_is_saved_on_its_own(alice: Workspace) -> None:
    client = session_of(alice.owner)
    assert "Saved, and in effect" in send(client, alice, "policy/change", **ANSWERS)
    words = {"words": ["Refund  STATUS*", "", "secret"], "kind": ["personal", "never", "never"]}
    assert "Saved" in send(client, alice, "policy/change", part="words", rule_ttl_s=["30", "", ""], **words)
    budget = {"wrong_budget": "5", "judge_model": "", "judge_budget_usd": "2.50", "review": "on"}
    assert "Saved" in send(client, alice, "policy/change", part="budget", **budget)
    row = settings_of(alice)
    assert (row.exact, row.semantic, row.threshold, row.ttl_s, row.stale_if_error_s) == (
        True,
        False,
        0.88,
        172800,
        1800,
    )
    assert [(rule["words"], rule["kind"], rule["ttl_s"]) for rule in row.rules] == [
        ("refund status*", "personal", 30),
        ("secret", "never", None),
    ]
    assert (row.wrong_budget, row.learn, row.review, str(row.judge_budget_usd)) == (0.05, False, True, "2.50")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({**ANSWERS, "threshold": "0.2"}, "threshold"),
        ({**ANSWERS, "threshold": "nan"}, "threshold"),
        ({**ANSWERS, "ttl_s": "-3"}, "ttl_s"),
        ({**ANSWERS, "ttl_s": "9" * 400}, "ttl_s"),
        ({"part": "words", "words": ["a-b!"], "kind": ["never"]}, "rules"),
        ({"part": "words", "words": ["tea"], "kind": ["sometimes"]}, "rules"),
        ({"part": "words", "words": ["tea"]}, "rules"),
        ({"part": "budget", "wrong_budget": "90", "judge_budget_usd": "1"}, "wrong_budget"),
        ({"part": "budget", "wrong_budget": "2", "judge_budget_usd": "1e300"}, "judge_budget_usd"),
        ({"part": "budget", "wrong_budget": "2", "judge_budget_usd": "1", "judge_model": "nobody/x"}, "judge_model"),
    ],
)
def test_what_the_api_refuses_the_page_refuses_beside_what_was_written(
    alice: Workspace, given: dict[str, Any], field: str
) -> None:
    answer = session_of(alice.owner).post(cache(alice, "policy/change"), given)
    assert answer.status_code == 400 and answer.context["refused"].field == field
    assert 'role="alert"' in answer.content.decode() and 'aria-invalid="true"' in answer.content.decode()
    assert settings_of(alice).threshold == 0.85 and settings_of(alice).rules == []


def test_verdicts_are_forgotten_after_it_was_asked(alice: Workspace) -> None:
    judged.judge_many(alice, 60, wrong_below=2)
    tuning.tune(alice.tenant)
    client = session_of(alice.owner)
    assert "The 60 verdicts until now" in page_of(client, alice, "policy/reset")
    assert "the semantic tier is off" in page_of(client, alice)
    assert "your own threshold holds" in send(client, alice, "policy/reset")
    assert "both tiers answer" in page_of(client, alice)
    assert AuditEvent.objects.filter(tenant=alice.tenant, action="cache_policy.reset", actor=alice.owner).exists()


# --- invalidation, explanation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "value"),
    [("tag", "kb"), ("text", "TEA"), ("namespace", "uk"), ("model", "gpt-4o"), ("older_than_days", "3"), ("all", "")],
)
def test_what_is_previewed_goes_once_it_is_confirmed(alice: Workspace, by: str, value: str) -> None:
    old = timezone.now() - dt.timedelta(days=5)
    make_entry(alice, "Old tea", tags=["kb"], namespace="uk", model="gpt-4o", created_at=old)
    other = make_entry(alice, "Coffee", pinned=True, tags=["kb"], namespace="uk", model="gpt-4o", created_at=old)
    client = session_of(alice.owner)
    answer = client.post(cache(alice, "invalidate/"), {"by": by, "value": value})
    assert answer.context["preview"]["count"] == 1 and "Old tea" in answer.content.decode()
    assert "1 answer is gone." in send(client, alice, "invalidate/", by=by, value=value, step="confirm")
    with schema_of(alice.tenant):
        assert list(CacheEntry.objects.values_list("pk", flat=True)) == [other.pk]
    event = AuditEvent.objects.get(tenant=alice.tenant, action="cache.invalidated")
    assert event.actor == alice.owner and (event.after or {})["count"] == 1


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"by": "tag", "value": ""},
        {"by": "older_than_days", "value": "-1"},
        {"by": "older_than_days", "value": "9" * 30},
        {"by": "meaning", "value": "tea", "step": "confirm"},
        {"by": "meaning", "value": "tea", "step": "confirm", "token": "forged"},
        {"by": "meaning", "value": "tea", "similarity": "nan"},
        {"by": "everything", "value": "x"},
    ],
)
def test_what_says_nothing_takes_nothing_away(alice: Workspace, given: dict[str, str]) -> None:
    make_entry(alice)
    answer = session_of(alice.owner).post(cache(alice, "invalidate/"), given)
    assert answer.status_code == 400 and 'role="alert"' in answer.content.decode()
    with schema_of(alice.tenant):
        assert CacheEntry.objects.count() == 1


def test_by_meaning_exactly_what_was_previewed_goes(server: str, alice: Workspace) -> None:
    judged.keep_faq(server, alice)
    given = {"by": "meaning", "value": "everything about invoices", "similarity": "0.45"}
    answer = at_the_server(server, alice, "invalidate/", **given)
    assert answer.status_code == 200 and "1 answer would go" in answer.text
    token = answer.text.partition('name="token" value="')[2].partition('"')[0]
    gone = at_the_server(server, alice, "invalidate/", step="confirm", token=token, **given)
    assert gone.status_code == 302
    with schema_of(alice.tenant):
        assert not CacheEntry.objects.filter(prompt__contains="invoices").exists()
        assert CacheEntry.objects.count() == len(judged.FAQ) - 1


def test_a_question_is_explained_with_what_refuses_its_neighbours(server: str, alice: Workspace) -> None:
    judged.keep_faq(server, alice)
    answer = at_the_server(
        server, alice, "explain/", question="Is the 3 litre pot fit for induction?", model="gpt-4o-mini"
    )
    assert answer.status_code == 200 and "numbers differ: 3 against 5" in answer.text
    assert "<mark>5</mark>" in answer.text
    same = at_the_server(
        server, alice, "explain/", question="What is the price of the premium plan?", model="gpt-4o-mini"
    )
    assert "answers</span>" in same.text
    odd = at_the_server(server, alice, "explain/", question="x", model="nobody/none")
    assert "The request would be refused with 404" in odd.text


def test_the_page_and_the_api_share_one_pace(server: str, alice: Workspace) -> None:
    for _ in range(explain.PER_MINUTE):
        pace.count(keyspace.explanations(alice.tenant.pk), explain.PER_MINUTE, explain.EXPLAINED)
    answer = session_of(alice.owner).post(cache(alice, "explain/"), {"question": "Why?", "model": "gpt-4o-mini"})
    assert answer.status_code == 429 and "120 times a minute" in answer.content.decode()
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Why?"}]}
    headers = {"Authorization": f"Bearer {alice.key}"}
    refused = httpx2.post(f"{server}/api/routing/explain", json=body, headers=headers, timeout=30)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) <= 60


def test_an_empty_question_is_not_explained(alice: Workspace) -> None:
    answer = session_of(alice.owner).post(cache(alice, "explain/"), {"question": "  ", "model": "x"})
    assert answer.status_code == 400 and "Write a question" in answer.content.decode()
