"""Rules find what they are named after, leave the rest alone, and take time in proportion."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import redaction
from gateway.redaction import RULES, Redaction, finds, finds_in, mask

ALL = Redaction(tuple(RULES))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Mail bob.o'neil+x@mail.example.co.uk.", "Mail [email]."),
        ("Call +49 (0)30 1234567 or 030/1234567", "Call [phone] or [phone]"),
        ("(415) 555-2671, 415-555-2671, 1-415-555-2671", "[phone], [phone], [phone]"),
        ("card 4111 1111 1111 1111 123", "card [card] 123"),
        ("12 4111-1111-1111-1111", "12 [card]"),
        ("378282246310005 or 3782 822463 10005", "[card] or [card]"),
        ("DE89 3704 0044 0532 0130 00 is mine", "[iban] is mine"),
        ("gb82west12345698765432,", "[iban],"),
        ("219-09-9999", "[ssn]"),
        ("10.0.0.1:8080, 2001:db8::1 and ::1", "[ip]:8080, [ip] and [ip]"),
        ("sk-proj-abcdefghijklmnop", "[secret]"),
        ("nk-abcdefghijkl-0123456789", "[secret]"),
        ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
        ("password: hunter22", "password: [secret]"),
        ('{"api_key": "abcd1234"}', '{"api_key": "[secret]"}'),
        ("Authorization: Bearer abcdefgh1234", "Authorization: Bearer [secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nab-c\n-----END RSA PRIVATE KEY----- after", "[secret] after"),
        ("-----BEGIN PRIVATE KEY-----\nwithout an end", "[secret]"),
    ],
)
def test_what_is_personal_is_replaced_by_its_kind(text: str, masked: str) -> None:
    assert mask(text, ALL) == masked
    assert finds(text, ALL)


@pytest.mark.parametrize(
    "text",
    [
        "What is the password reset policy?",
        "4111 1111 1111 1112 has a wrong check digit",
        "DE88370400440532013000 has a wrong sum",
        "order 1234567890 of 2026-11-22 at 12:30:45",
        "version 1.2.3, section 1.2.3.4.5, std::vector, 3.14159265358979",
        "@home user@localhost a@b",
        "000-12-3456 and 123-00-4567 are given to nobody",
        "the bearer of bad news",
        "How many days do 2024 2025 2026 2027 have?",
    ],
)
def test_what_only_looks_like_it_is_left(text: str) -> None:
    assert mask(text, ALL) == text


def test_a_workspaces_own_words_are_found_in_any_case_and_as_whole_words() -> None:
    own = Redaction(words=("Project Falcon", "müller"))
    assert mask("project  FALCON, Müller, Müllerei", own) == "[word], [word], Müllerei"


def test_only_the_rules_that_were_asked_for_look() -> None:
    assert mask("a@b.com 10.0.0.1", Redaction(("ip",))) == "a@b.com [ip]"


def test_a_text_too_long_to_look_through_is_left_out_as_a_whole() -> None:
    text = "a" * (redaction.MOST_CHARACTERS + 1)
    assert mask(text, ALL) == "[too long to redact]"
    assert finds(text, ALL)
    assert finds_in(["a " * 30_000, "b " * 30_000], ALL)


def test_any_text_within_a_value_counts() -> None:
    assert finds_in([{"message": {"content": "x", "more": ["to a@b.com"]}, "index": 0}], ALL)
    assert not finds_in([{"message": {"content": "x", "more": [None, 1.5, True]}}], ALL)


_PIECES = st.sampled_from(
    ["a@b.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+49 30 1234567", "10.0.0.1", "219-09-9999",
     "sk-aaaaaaaaaaaaaaaaaaaa", "::1", "password: hunter22", "[email]", "44 ", "@", ".", " ", "-", "x", "7", "\n"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map("".join))


@given(TEXTS)
def test_there_is_something_to_find_where_masking_changes_something(text: str) -> None:
    assert finds(text, ALL) == (mask(text, ALL) != text)


@given(st.lists(_PIECES, max_size=30).map(", ".join))
def test_what_is_masked_has_nothing_left_to_find(text: str) -> None:
    assert not finds(mask(text, ALL), ALL)


@given(TEXTS)
def test_all_but_the_placeholders_was_there_before(text: str) -> None:
    at = 0
    for piece in re.split(rf"\[(?:{'|'.join(RULES)})\]", mask(text, ALL)):
        at = text.find(piece, at)
        assert at >= 0
        at += len(piece)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=50))
def test_an_address_is_found_in_any_surroundings(around: str) -> None:
    assert "anna.schmidt@example.com" not in mask(f"{around} anna.schmidt@example.com {around}", ALL)


HOSTILE = [
    "a", "a.", "@", "a@", "a@a.", "a@a-", "1", "1 ", "444 ", "4444 ", "4444-", "4444 444444 ", "DE89", "DE89 ", "+1",
    "+1 ", "00", "(0", ":", "a:", "1.", "1.1.1.", "::1", "-", "-----BEGIN PRIVATE KEY-----", "----", "sk-", "nk-a ",
    "eyJaaaaaaaa.", "password: ", "password is ", "bearer ", "api_key", "api key = ", "é", "123-45-", "0 1", "01 ",
]  # fmt: skip


class Steps:
    """How much the interpreter does: lines, not seconds."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Steps:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: Any, event: str, _: Any) -> Any:
        self.count += event == "line"
        return self._trace


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("name", RULES)
def test_a_megabyte_made_to_hold_a_rule_up_takes_steps_in_proportion(piece: str, name: str) -> None:
    """Patterns themselves are kept linear by their form: a backtracking one would not end within this test."""
    text = (piece * (1_000_000 // len(piece)))[:1_000_000]
    assert sum(1 for _ in RULES[name](text)) <= len(text)


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("name", ["card", "iban", "ip"])
def test_ten_times_the_text_takes_ten_times_the_steps(piece: str, name: str) -> None:
    def steps(characters: int) -> int:
        text = (piece * characters)[:characters]
        with Steps() as counted:
            list(RULES[name](text))
        return counted.count

    assert steps(20_000) <= 12 * steps(2_000) + 1_000
