"""A workspace that redacts: nothing of what it named is written down, and no wrong answer comes of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.models import CacheVector, Verdict
from tenants.db import schema_of
from tenants.models import AuditEvent
from tests.cached import ask, entries_of, exact_keys, keep, post, until
from tests.conftest import Workspace
from tests.management import call, manages
from tests.sockets import session_of

# Of its first 80 characters the simulated provider says each again.
MINE = (
    "How do I write a polite letter about parking, with a copy for my colleague who has the address anna@example.com?"
)


@pytest.fixture
def careful(alice: Workspace, server: str) -> Workspace:
    """Alice, whose workspace redacts email addresses and a word of its own."""
    manages(alice)
    settle(alice, {"redact": ["card", "email"], "redact_words": ["Project Falcon"]})
    return alice


def settle(workspace: Workspace, changes: dict[str, Any]) -> None:
    answer = call(workspace, "PATCH", "/api/cache/settings", changes)
    assert answer.status_code == 200, answer.content
    time.sleep(0.2)  # other processes hear of it


def test_a_question_is_written_down_without_what_is_personal(server: str, careful: Workspace) -> None:
    keep(server, careful, MINE)
    assert entries_of(careful) == [MINE.replace("anna@example.com", "[email]")]
    with schema_of(careful.tenant):
        assert not CacheVector.objects.exists()


def test_the_same_request_is_still_answered_from_the_cache(server: str, careful: Workspace) -> None:
    keep(server, careful, MINE)
    assert ask(server, careful, MINE).headers["x-cache"] == "HIT-EXACT"


def test_somebody_elses_address_gets_an_answer_of_its_own(server: str, careful: Workspace) -> None:
    keep(server, careful, MINE)
    other = ask(server, careful, MINE.replace("anna", "bert"))
    assert other.headers["x-cache"] == "MISS"
    assert "personal data" in other.headers["x-nexus-cache-reason"]


def test_a_workspaces_own_words_are_taken_out(server: str, careful: Workspace) -> None:
    question = "When was the largest of all the projects that anybody in this whole company has heard of, %s, founded?"
    keep(server, careful, question % "project falcon")
    assert entries_of(careful) == [question % "[word]"]


def test_questions_without_any_are_kept_and_compared_as_ever(server: str, careful: Workspace) -> None:
    keep(server, careful, "How do I write a polite letter about parking?")
    with schema_of(careful.tenant):
        assert CacheVector.objects.count() == 1


SAYS_IT = "Say help@example.com"


def test_an_answer_that_holds_any_is_given_and_not_kept(server: str, careful: Workspace) -> None:
    for _ in range(2):
        answer = ask(server, careful, SAYS_IT)
        assert ("help@example.com" in answer.text, answer.headers["x-cache"]) == (True, "MISS")
    assert (entries_of(careful), exact_keys(careful)) == ([], {})


def test_or_it_is_kept_with_placeholders(server: str, careful: Workspace) -> None:
    settle(careful, {"mask_answers": True})
    assert "help@example.com" in ask(server, careful, SAYS_IT).text
    again = ask(server, careful, SAYS_IT)
    assert again.headers["x-cache"] == "HIT-EXACT"
    assert "[email]" in again.text
    assert "help@example.com" not in again.text
    until(lambda: entries_of(careful) == ["Say [email]"])


def test_with_skip_answers_to_such_questions_are_not_kept_at_all(server: str, careful: Workspace) -> None:
    settle(careful, {"skip_redacted": True})
    for _ in range(2):
        assert ask(server, careful, MINE).headers["x-cache"] == "MISS"
    keep(server, careful, "How do I write a polite letter about parking?")
    assert len(exact_keys(careful)) == 1


def test_skipping_looks_at_the_whole_conversation(server: str, careful: Workspace) -> None:
    settle(careful, {"skip_redacted": True})
    turns = [
        {"role": "user", "content": "I am anna@example.com."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "How do I write a polite letter about parking?"},
    ]
    for _ in range(2):
        answer = post(server, careful, "/v1/chat/completions", {"model": "gpt-4o-mini", "messages": turns})
        assert answer.headers["x-cache"] == "MISS"
    assert entries_of(careful) == []


def test_what_people_say_of_a_hit_is_written_down_without_it(server: str, careful: Workspace) -> None:
    entry_id = keep(server, careful, MINE)
    said = {"right": True, "question": MINE, "note": "says anna@example.com"}
    assert post(server, careful, f"/v1/cache/{entry_id}/feedback", said).status_code == 200
    with schema_of(careful.tenant):
        verdict = Verdict.objects.get()
    assert "anna" not in f"{verdict.question} {verdict.prompt} {verdict.note}"
    assert verdict.note == "says [email]"


def test_samples_for_people_hold_none(server: str, careful: Workspace) -> None:
    """With one in the question there is no comparison, and so no sample; of those without there are."""
    settle(careful, {"review": True})
    keep(server, careful, "How do I reset the router at home?")
    assert ask(server, careful, "how do i reset the router at home").headers["x-cache"] == "HIT-SEMANTIC"
    ask(server, careful, "How do I reset the router of anna@example.com at home?")

    def sampled() -> bool:
        with schema_of(careful.tenant):
            return Verdict.objects.exists()

    until(sampled)
    with schema_of(careful.tenant):
        assert not Verdict.objects.filter(question__contains="anna").exists()


def test_explain_says_why_such_a_question_is_not_compared(server: str, careful: Workspace) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": MINE}]}
    tier = post(server, careful, "/api/routing/explain", body).json()["cache"]["semantic"]
    assert (tier["possible"], tier["reason"]) == (False, "it holds personal data or a secret")


def test_the_page_saves_what_is_never_kept_and_the_log_says_so(alice: Workspace) -> None:
    client = session_of(alice.owner)
    at = f"/t/{alice.tenant.slug}/cache/policy/"
    given = {
        "part": "privacy",
        "redact": ["phone", "email"],
        "redact_words": "Falcon\n\n Big  Bird ",
        "skip_redacted": "on",
    }
    answer = client.post(f"{at}change", given, follow=True).content.decode()
    assert "Saved" in answer
    assert 'value="phone" checked' in answer
    event = AuditEvent.objects.get(tenant=alice.tenant, action="cache_settings.changed")
    changed = {name: (event.after or {})[name] for name in ("redact", "redact_words", "skip_redacted")}
    assert changed == {"redact": ["email", "phone"], "redact_words": ["Falcon", "Big Bird"], "skip_redacted": True}


def test_the_page_says_what_is_wrong_and_keeps_what_was_sent(alice: Workspace) -> None:
    answer = session_of(alice.owner).post(
        f"/t/{alice.tenant.slug}/cache/policy/change", {"part": "privacy", "redact": ["ip"], "redact_words": "email"}
    )
    assert answer.status_code == 400
    assert "stands in place" in answer.content.decode()
    assert 'value="ip" checked' in answer.content.decode()
