"""What may be served by meaning, and how long any answer is kept. Pure; English.

Fresh, personal and action questions are answered anew: yesterday's weather, somebody else's order, a mail that was not
sent. A question that lives from what was said before has no meaning of its own. When in doubt: cacheable.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

DAY_S = 86_400
# General knowledge and how-tos keep; a week bounds how long a changed answer can survive.
PLAIN_TTL_S = 7 * DAY_S
# Repeats of a fresh question within a minute are the same moment's.
FRESH_TTL_S = 60
# The same person asks again, literally, within minutes; somebody else must not get the answer by meaning.
PERSONAL_TTL_S = 300


class Cacheability(NamedTuple):
    """`semantic`: may be compared by meaning. `reason` says why not; `ttl_s` holds for the exact tier, too."""

    semantic: bool
    reason: str
    ttl_s: int


PLAIN = Cacheability(True, "", PLAIN_TTL_S)
FRESH = Cacheability(False, "its answer changes by the hour", FRESH_TTL_S)
PERSONAL = Cacheability(False, "it asks about one person's own data", PERSONAL_TTL_S)
ACTION = Cacheability(False, "it asks to do something", PERSONAL_TTL_S)
FOLLOW_UP = Cacheability(False, "it lives from what was said before", PLAIN_TTL_S)

_FRESH = re.compile(
    r"\b(?:weather|forecast|temperature|traffic)\b.{0,40}"
    r"\b(?:today|tonight|tomorrow|now|currently|this week|outside|in)\b"
    r"|\b(?:today|tonight|right now|at the moment|currently|latest|live|breaking)\b.{0,30}"
    r"\b(?:weather|news|price|prices|score|scores|rate|rates|forecast|headlines|traffic|stock|stocks|result|results)\b"
    r"|\b(?:price|prices|value|score|news|headlines|stock|rate)\b.{0,30}"
    r"\b(?:today|tonight|right now|at the moment|now)\b"
    r"|\bwhat(?:'s| is)? (?:the )?(?:time|date|day)(?: is it| is today)?(?: now| today| right now| in \w+)?\W*$"
    r"|\bwhat (?:time|day|date) is it\b"
    r"|\bwho is (?:currently |now )?(?:the )?(?:current|present) \w+"
    r"|\b(?:is|are|was) .{1,40}\b(?:open|closed|playing|down|up)\b.{0,10}\b(?:today|tonight|now|right now)\b"
)
# The state of something that is one person's own. “Why was my card declined?” asks how things work, for everybody.
_PERSONAL = re.compile(
    r"\b(?:where(?:'s| is| are)|track) (?:my|our) (?:order|orders|package|parcel|delivery|shipment|refund)\b"
    r"|\bwhat(?:'s| is| are|s) (?:my|our) (?:current |account |card |order |last |next |new |own )*"
    r"(?:balance|balances|password|pin|address|name|email|phone|number|salary|score|status|schedule|appointment|bill|"
    r"invoice|order|orders|username|limit|grade|grades)\b"
    r"|\b(?:show|list|tell|give|read|get) (?:me )?(?:all )?(?:of )?(?:my|our) \w+"
    r"|\bhow much (?:money )?(?:do|did) (?:i|we) (?:have|owe|spend|spent|earn|pay)\b"
    r"|\b(?:when is|when's) my (?:next |last )?(?:appointment|meeting|payment|bill|flight|birthday)\b"
    r"|\bam i (?:eligible|registered|enrolled|logged)\b"
    r"|\b(?:order|invoice|ticket|booking|case|tracking|account) ?(?:number|no\.?|id|#)? ?#? ?\d{3,}"
)
_ACTION = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please )?|please |pls |kindly |i(?: would|'d) like you to |i want you to "
    r"|go ahead and )?"
    r"(?:send|email|call|text|message|book|buy|order|purchase|pay|transfer|cancel|delete|remove|schedule|reserve|post|"
    r"publish|submit|forward|reply|set|turn|start|stop|open|close|enable|disable|activate|deactivate|remind|subscribe|"
    r"unsubscribe|block|unblock|freeze|unfreeze|terminate|refund|change|update|reset|create|add|save|share|play)\b"
    r"(?! (?:is|are|was|does|do|works?|means?|definition|vs)\b)"
    r"(?=.*\b(?:my|me|the|this|that|it|an?|to|for|all|at|\d)\b)"
)
_FOLLOW_UP = re.compile(
    r"(?:and|but|or|so|also|then|ok|okay|yes|no|what about|how about|what else|why not|go on|continue|more|again"
    r"|really)\b(?!.{80})"
    r"|(?:why|how|when|where|who|what|which|which one|how so|how come)\W*$"
    r"|(?:(?:is|are|was|were|does|do|did|can|could|will|would|should|has|have)"
    r" (?:it|that|this|they|he|she|those|these)\b"
    r"|(?:tell me|explain|say|give me) (?:more|that|it|this|again)\b"
    r"|(?:translate|summarize|shorten|rewrite|explain|repeat) (?:it|that|this)\b).{0,40}$"
)
_REFERENCE = re.compile(
    r"\b(?:the )?(?:first|second|third|last|previous|other|latter|former) (?:one|option|answer|point|example)\b"
    r"|\b(?:you (?:just )?(?:said|mentioned|wrote|told)|your (?:last|previous) (?:answer|message|reply)|as above|"
    r"the above|same (?:thing )?(?:but|for|in|with))\b"
)
# Patterns look at the beginning only: nobody asks for the weather on page three, and time stays bounded.
_READ_CHARACTERS = 600


# A text without any of its cues cannot match a pattern; most texts have none, and are done after one look.
_WORD = re.compile(r"[a-z0-9]+")
_FRESH_CUES = frozenset(
    """
    weather forecast temperature traffic today tonight now moment currently latest live breaking price prices value
    score news headlines stock rate time date day current present open closed playing down up
    """.split()
)
_PERSONAL_CUES = frozenset("my our order invoice ticket booking case tracking account how when am".split())
_FOLLOW_UP_CUES = frozenset("one option answer point example message reply you your above same".split())


@functools.lru_cache(maxsize=2048)
def classify(text: str) -> Cacheability:
    lowered = " ".join(text[:_READ_CHARACTERS].lower().replace("’", "'").split())
    words = frozenset(_WORD.findall(lowered))
    if not words and not any(character.isalnum() for character in lowered):
        return FOLLOW_UP
    if words & _FRESH_CUES and _FRESH.search(lowered):
        return FRESH
    if words & _PERSONAL_CUES and _PERSONAL.search(lowered):
        return PERSONAL
    if _ACTION.match(lowered):
        return ACTION
    if _FOLLOW_UP.match(lowered) or (words & _FOLLOW_UP_CUES and _REFERENCE.search(lowered)):
        return FOLLOW_UP
    return PLAIN
