"""What is to be forgotten is forgotten in samples for review, too; what was judged stays as figures."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gateway.cache.fingerprint import end_user_digest
from gateway.models import CacheEntry, CacheSettings, Verdict
from tenants.db import schema_of
from tests.cached import ask, keep, until
from tests.conftest import Workspace
from tests.flow.test_cache_pages import make_entry, page_of, send
from tests.judged import put_aside
from tests.management import call
from tests.sockets import session_of

WORDS = ("question", "prompt", "cached_answer", "fresh_answer", "note", "end_user")
JUDGED: dict[str, Any] = {"right": True, "source": "model", "judged_at": timezone.now(), "note": "They ask the same."}


@pytest.fixture
def client(alice: Workspace) -> Client:
    return session_of(alice.owner)


def of(workspace: Workspace) -> list[Verdict]:
    with schema_of(workspace.tenant):
        return list(Verdict.objects.order_by("at", "pk"))


def texts(workspace: Workspace) -> set[str]:
    return {getattr(sample, name) for sample in of(workspace) for name in WORDS} - {""}


def invalidate(workspace: Workspace, **body: Any) -> Any:
    answer = call(workspace, "POST", "/api/cache/invalidate", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_samples_go_with_their_entry_and_verdicts_keep_their_figures(admin: Workspace) -> None:
    entry, other = make_entry(admin, tags=["kb"]), make_entry(admin)
    put_aside(admin, count=1, entry_id=entry.pk)
    put_aside(admin, count=1, entry_id=entry.pk, **JUDGED)
    put_aside(admin, count=1, entry_id=other.pk, question="Another one?", prompt="", cached_answer="")
    seen = invalidate(admin, tag="kb", preview=True)
    assert (seen["count"], seen["emptied_samples"], len(of(admin))) == (1, 2, 3)
    assert invalidate(admin, tag="kb")["emptied_samples"] == 2
    assert texts(admin) == {"Another one?"}
    (emptied,) = [sample for sample in of(admin) if sample.right]
    assert (emptied.similarity, emptied.source, emptied.entry_id) == (0.93, "model", entry.pk)


@pytest.mark.parametrize("pinned", [False, True])
def test_an_entry_that_is_dropped_takes_its_samples_with_it(alice: Workspace, client: Client, pinned: bool) -> None:
    entry = make_entry(alice, pinned=pinned)
    put_aside(alice, count=2, entry_id=entry.pk, **JUDGED)
    send(client, alice, f"entries/{entry.pk}/drop")
    assert len(of(alice)) == 2 and texts(alice) == set()


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"end_user": "anna"}, {"Bob?"}),
        ({"text": "ANNA SAYS"}, {"Bob?"}),
        ({"entry": uuid.UUID(int=7).hex}, {"Bob?"}),
        ({"older_than_s": 3600}, {"Bob?"}),
        ({"all": True}, set()),
        ({"tag": "kb"}, {"Anna says?", "Bob?"}),
    ],
)
def test_what_is_meant_is_found_though_its_entry_is_gone_for_long(
    admin: Workspace, body: dict[str, Any], left: set[str]
) -> None:
    """The sample of an answer lives for longer than the answer."""
    old = timezone.now() - dt.timedelta(days=3)
    of_anna: dict[str, Any] = {"end_user": end_user_digest("anna"), "entry_id": uuid.UUID(int=7), "at": old}
    put_aside(admin, count=1, **of_anna, question="Anna says?", prompt="", cached_answer="")
    put_aside(admin, count=1, question="Bob?", prompt="", cached_answer="")
    invalidate(admin, **body)
    assert {sample.question for sample in of(admin)} == left


def test_who_asked_is_in_the_sample_as_a_digest(server: str, alice: Workspace) -> None:
    with schema_of(alice.tenant):
        CacheSettings.objects.create(review=True, shadow=True)
    keep(server, alice, "How do I reset my password?", user="anna")
    ask(server, alice, "How can I get my password reset?", user="bob")
    until(lambda: bool(of(alice)))
    assert {sample.end_user for sample in of(alice)} == {end_user_digest("bob")}


def test_the_page_offers_to_empty_samples_of_answers_that_are_gone(alice: Workspace, client: Client) -> None:
    put_aside(alice, count=1, end_user=end_user_digest("anna"))
    page = send(client, alice, "invalidate/", by="end_user", value="anna")
    assert "1 sample for review loses its question and answers" in page and "Take the texts away" in page
    send(client, alice, "invalidate/", by="end_user", value="anna", step="confirm")
    assert of(alice) == []


def test_what_was_emptied_is_shown_nowhere(alice: Workspace, client: Client) -> None:
    entry = make_entry(alice)
    put_aside(alice, "shadow", count=1, entry_id=entry.pk, **JUDGED)
    send(client, alice, f"entries/{entry.pk}/drop")
    assert "taken away" in page_of(client, alice, "review/")
    assert "Nothing to look over" in page_of(client, alice, "review/?of=judged")
    with schema_of(alice.tenant):
        assert not CacheEntry.objects.exists()


def test_nobody_elses_samples_go(alice: Workspace, mallory: Workspace) -> None:
    put_aside(alice, count=1)
    send(session_of(mallory.owner), mallory, "invalidate/", by="all", value="", step="confirm")
    assert len(of(alice)) == 1
