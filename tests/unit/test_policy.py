"""Which questions may be answered by meaning at all."""

from __future__ import annotations

import pytest

from gateway.cache import policy

PLAIN = [
    "How do I make tea?",
    "Recipe for tea",
    "Why was my card declined?",
    "How do I change my PIN?",
    "How do I delete my account?",
    "What is 2+2?",
    "Who wrote Hamlet?",
    "Explain how transformers work",
    "What is the difference between TCP and UDP?",
    "When will my card arrive?",
    "Transfer learning is what?",
]
FRESH = [
    "What's the weather in Paris today?",
    "What is the latest news?",
    "Bitcoin price right now",
    "What time is it?",
    "who is the current president",
]
PERSONAL = [
    "Where is my order?",
    "what's my balance",
    "How much do I owe?",
    "Status of order #12345",
    "Show me my invoices",
]
ACTION = ["Send an email to Bob", "Please cancel my subscription", "Can you book a table for two?", "Delete the file"]
FOLLOW_UP = [
    "And in Celsius?",
    "what about the second one?",
    "Why?",
    "Is it expensive?",
    "Tell me more",
    "?",
    "translate that",
]


@pytest.mark.parametrize("text", PLAIN)
def test_general_questions_may_be_compared(text: str) -> None:
    assert policy.classify(text).semantic


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, policy.FRESH) for text in FRESH]
    + [(text, policy.PERSONAL) for text in PERSONAL]
    + [(text, policy.ACTION) for text in ACTION]
    + [(text, policy.FOLLOW_UP) for text in FOLLOW_UP],
)
def test_others_may_not_and_say_why(text: str, expected: policy.Cacheability) -> None:
    assert policy.classify(text) == expected


def test_fresh_answers_are_kept_for_a_minute_only() -> None:
    assert policy.classify("What is the weather today?").ttl_s == 60


@pytest.mark.parametrize(
    "text", ["a" * 20_000, "what is my " * 2_000, "send " * 5_000, "weather " * 5_000, "\n" * 9_000]
)
def test_hostile_texts_are_classified_too(text: str) -> None:
    assert policy.classify(text).ttl_s > 0


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\u202e", "\ufeff", "\u2063", "\U000e0041", "\U000e0141"])
def test_what_has_characters_that_nobody_sees_is_not_compared(unseen: str) -> None:
    """Wherever they stand: a model reads them all."""
    for text in (f"What is a bo{unseen}nd?", f"What is a bond? {'Please. ' * 200}{unseen}"):
        assert policy.classify(text) == policy.UNSEEN


@pytest.mark.parametrize("text", ["What is a ❤️ on a card?", "Où est le café?", "什么是债券?", "What’s a “bond”?"])
def test_other_scripts_and_emoji_are_compared(text: str) -> None:
    assert policy.classify(text) != policy.UNSEEN
