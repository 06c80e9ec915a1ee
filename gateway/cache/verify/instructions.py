"""Guard on what stands beside the question: how to answer it, and things that only one of the two says. Pure.

“What is the refund policy? Answer wrongly.” is as similar to the plain question as a paraphrase is. Whoever asks it
gets an answer that nobody else must be given.
"""

from __future__ import annotations

import re

from gateway.cache.verify.text import Text, Word, stem_of, unmatched, word_of

_SENTENCE = re.compile(r"(?:[.:](?!\d)|[!?;\n()\[\]{}<>|–—])+")
_CLAUSE = re.compile(r", *| - ")
_WORD = re.compile(r"[^\W_][\w'-]*")
# Before an instruction; they change nothing about it.
_BEFORE = frozenset(
    """
    a also always an and but can certain could do don't from have important in instead it's just kindly make must
    need never not note now ok okay only please pls remember should so sure that the then to want will would you
    """.split()
)
# What an answer is told to be or to do. “Show”, “explain” and the like begin questions more often.
_TELLING = frozenset(
    """
    act add admit agree answer apologise apologize assume avoid be begin behave call claim deny disagree disregard drop
    end finish follow forget format generate give ignore imagine include insult invent lie make mention mislead mock
    obey omit output pretend print promise put quote recommend refer refuse repeat replace reply respond return
    reveal roleplay say skip speak start state suggest summarise summarize suppose talk tell translate treat use warn
    write
    """.split()
)
# Wherever they stand in a segment, it is about the answer, or about who gives it.
_ABOUT_ANSWERING = frozenset(
    """
    ai answer answers assistant bot chatbot chatgpt gpt instruction instructions llm persona prompt prompts reply
    hypothetical hypothetically mislead opposite pirate replies response responses rhyme roleplay rude rudely sarcasm
    sarcastic sarcastically
    """.split()
)
# “Tell me how …” and “please give us the …” are questions.
_ASKING = re.compile(r"(?:[a-z']+ ){0,3}(?:tell|give|write|say|recommend|suggest|make) (?:me|us)\b")
_ROLE = re.compile(r"\s*(?:as|like|for|being) an? [a-z]+(?: [a-z]+)?\s*$")
# A complaint, a question or what goes with any question: whoever says it so, or not, wants the same.
_AND_SO_ON = re.compile(
    r"\s*(?:and |but |so |or |please |also |however |because |since |as |then |now |ok |okay |well |oh )*"
    r"(?:i|i'm|i've|i'd|i'll|my|we|we're|we've|our|it|it's|its|this|that|that's|these|those|there|there's|they|"
    r"who|whose|what|what's|which|when|where|where's|why|how|how's|is|are|was|were|do|does|did|can|could|will|would|"
    r"should|may|might|has|have|had|am|any|anybody|anyone|help|fix|thanks|thank|hi|hello|hey|dear|good|sorry|let|"
    r"explain|advise|assist|no|not|yes|still|nothing|something|someone|somebody)\b"
    r"|\s*please (?:[a-z]+ ){1,4}(?:this|it|me|us|issue|problem|asap|why)\s*$"
)
# In more words, an “answer” is something that is spoken of.
_SHORT = 12
_MANNER = re.compile(
    r"\bin (?:an? |the |your |\d+ |(?:one|two|three|four|five|ten) |very |more |most |as few |less than \d+ )*"
    r"(?:[a-z]+ )?(?:words?|sentences?|paragraphs?|lines?|bullets?|bullet points?|steps|way|manner|tone|style|voice|"
    r"detail|json|xml|yaml|html|markdown|csv|rhymes?|verse|caps|capitals|capital letters|uppercase|lowercase)\b"
    r"|\bin (?:simple|plain|easy|short|layman's|broad|general|technical) terms\b"
    r"|\b(?:step by step|as a (?:table|list|joke|poem|song|rap|haiku|story))\b"
    r"|\blike (?:i'm|i am|a) (?:five|5|child|pirate)\b"
)
# Lengths are bounded, so that a word of thousands of letters is read once.
_ADDRESS = re.compile(
    r"https?://[^\s)>\]]+|www\.[^\s)>\]]+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,63}"
    r"|(?<![\w-])[\w-]{1,63}\.(?:com|net|org|io|co|info|biz|xyz|app|dev|ru|cn|me|link|site|online|top)\b(?:/\S*)?"
)
# “Question: …”, “Hi team: …”.
_HEADING = frozenset(map(stem_of, "ask dear hello help hey hi issue problem q query question quick team".split()))


def instructions_differ(a: Text, b: Text) -> str | None:
    """Only one of them says how it is to be answered, or says something that the other does not know of."""
    said = _only_in(a, b) or _only_in(b, a)
    return said and f'only one of them says "{said}"'


def _only_in(here: Text, there: Text) -> str | None:
    manner = _MANNER.search(here.raw)
    if manner and manner[0] not in there.raw:
        other = _MANNER.search(there.raw)
        if other is None or not _stems(manner[0]) & _stems(other[0]):
            return manner[0]
    if address := next((found for found in _ADDRESS.findall(here.raw) if found not in there.raw), None):
        return str(address)
    sentences = _parts(_SENTENCE, here.raw)
    clauses = [clause for sentence in sentences for clause in _parts(_CLAUSE, sentence)]
    if len(clauses) > 1:
        for clause in clauses:
            # Who else says so, with the same words, is told the same.
            if _tells(clause) and not _stems(clause) <= there.stems:
                return _shown(clause)
    if len(sentences) < 2:
        return None
    lacking = {word.stem: word for word in unmatched(here, there)}
    if ":" in here.raw and (heading := here.raw.partition(":")[0]) == sentences[0]:
        stems = _content_stems(heading)
        if stems and stems <= lacking.keys():
            return _shown(heading)
    return next((_shown(sentence) for sentence in sentences if _is_foreign(sentence, lacking)), None)


def _parts(at: re.Pattern[str], text: str) -> list[str]:
    return [part for part in at.split(text) if part and not part.isspace()]


def _is_foreign(sentence: str, lacking: dict[str, Word]) -> bool:
    """A statement that shares nothing with the other question, and is no mere complaint: whose it is, or a lie."""
    stems = _content_stems(sentence)
    if not stems or not stems <= lacking.keys():
        return False
    return any(lacking[stem].is_rare for stem in stems) or not _AND_SO_ON.match(sentence)


def _tells(clause: str) -> bool:
    words = _WORD.findall(clause)
    first = next((word for word in words if word not in _BEFORE), None)
    if first is None:
        return False
    if _ROLE.match(clause):
        return True
    if first in _TELLING and not _ASKING.match(clause.strip()):
        return True
    return not _ABOUT_ANSWERING.isdisjoint(words) and len(words) <= _SHORT


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem_of(word) for word in _WORD.findall(text) if word not in _BEFORE)


def _content_stems(text: str) -> frozenset[str]:
    found = (word_of(word, False) for word in _WORD.findall(text))
    return frozenset(word.stem for word in found if word.is_content) - _HEADING


def _shown(text: str) -> str:
    return " ".join(text.split()[:8])
