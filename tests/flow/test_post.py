"""Mails go by a worker: written in the request, encrypted in the queue, sent once; without a queue, in the request."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from tenants import invitations, post, registration, tasks
from tests.conftest import PASSWORD, Workspace
from tests.flow.test_accounts import NOBODY_LISTENS, address, link_in, proven, sign_up
from tests.post import arguments_of, mail_to, run_waiting, take_all, waiting


@pytest.fixture
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Redis were away for who hands work over."""
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", NOBODY_LISTENS)


@pytest.fixture
def no_mail_server(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1


@pytest.fixture(autouse=True)
def nothing_waits() -> None:
    """What other tests have left is theirs."""
    take_all(tasks.send_letter)


def letter(to: str, **more: Any) -> EmailMultiAlternatives:
    made = EmailMultiAlternatives("Tea", "A secret link", "Us <us@example.com>", [to], **more)
    made.attach_alternative("<p>A secret link</p>", "text/html")
    return made


def only_one_waiting() -> str:
    (message,) = waiting(tasks.send_letter)
    assert b"secret link" not in message and b"@example.com" not in message
    return str(arguments_of(message)[0])


def test_no_request_waits_for_a_mail_server(no_mail_server: None) -> None:
    assert sign_up(Client(), address()).status_code == 201
    sealed = only_one_waiting()
    with pytest.raises(OSError):
        tasks.send_letter.run(sealed)


def test_what_lies_in_the_queue_cannot_be_read_and_arrives_as_it_was_written() -> None:
    to = address()
    post.post(letter(to, headers={"X-Kind": "tea"}))
    only_one_waiting()
    (sent,) = mail_to(to)
    assert (sent.subject, sent.body, sent.from_email) == ("Tea", "A secret link", "Us <us@example.com>")
    assert [tuple(part) for part in sent.alternatives] == [("<p>A secret link</p>", "text/html")]
    assert sent.extra_headers["X-Kind"] == "tea" and sent.extra_headers["Message-ID"].endswith("@localhost>")


def test_a_task_that_comes_twice_sends_one_mail() -> None:
    to = address()
    post.post(letter(to))
    sealed = only_one_waiting()
    for _ in range(2):
        tasks.send_letter(sealed)
    assert len(mail_to(to)) == 1


def test_one_that_failed_is_tried_again_and_its_log_has_no_link(
    no_mail_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    run_waiting(tasks.send_letter)
    post.post(letter(address()))
    sealed = only_one_waiting()
    tried = tasks.send_letter.apply([sealed], throw=False, retries=tasks.send_letter.max_retries)
    assert tried.state == "FAILURE" and isinstance(tried.result, OSError)
    assert tasks.send_letter.apply(["not ours"], throw=False).state == "FAILURE"
    assert "secret link" not in caplog.text and sealed not in caplog.text


def test_without_a_queue_a_mail_is_sent_at_once(no_queue: None, caplog: pytest.LogCaptureFixture) -> None:
    client, email = Client(), address()
    assert sign_up(client, email).status_code == 201
    (sent,) = [message for message in mail.outbox if message.to == [email]]
    assert "the queue is away" in caplog.text and link_in(sent) not in caplog.text


def test_with_neither_queue_nor_mail_server_people_get_in_and_are_told(no_queue: None, no_mail_server: None) -> None:
    email = address()
    assert sign_up(Client(), email).status_code == 201
    page = proven(email).post("/account/email/", {"action_add": "", "email": address()}, follow=True)
    assert b"could not be sent" in page.content


def test_a_reset_does_as_much_for_an_address_without_an_account(alice: Workspace) -> None:
    before = len(mail.outbox)
    for email in (alice.owner.email, address()):
        Client().post("/account/password/reset/", {"email": email})
        (message,) = waiting(tasks.send_letter)
        # As long but for what an address and an id have: nobody who sees the queue can tell them apart either.
        assert 2_000 < len(message) < 20_000
        run_waiting(tasks.send_letter)
    assert [message.to for message in mail.outbox[before:]] == [[alice.owner.email]]


def test_an_invitation_without_a_queue_stays_unsent(no_queue: None, alice: Workspace) -> None:
    client = Client()
    client.force_login(alice.owner)
    answer = client.post(f"/t/{alice.tenant.slug}/settings/invite", {"email": address(), "role": "viewer"})
    assert answer.status_code == 302
    (waits,) = invitations.waiting(alice.tenant)
    assert waits.state == "unsent"


def test_a_mail_that_tells_of_what_was_taken_back_is_not_sent(alice: Workspace) -> None:
    """Two confirm one address: the change of the second is taken back."""
    client, new, old = proven(alice.owner.email), address(), alice.owner.email
    client.post("/account/email/", {"action_add": "", "email": new})
    link = link_in(mail_to(new)[0])
    registration.register(new, password=PASSWORD)
    client.post(link)
    assert not any("changed" in message.subject.lower() for message in mail_to(old))
