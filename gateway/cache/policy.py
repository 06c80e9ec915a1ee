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


class OwnRule(NamedTuple):
    """What a tenant says of questions with these words in a row; a last `*` stands for any ending of its word."""

    words: tuple[str, ...]
    # One of CLASSES.
    kind: str
    ttl_s: int | None = None


# As Django's, which is not asked here: it marks what others translate.
gettext_noop = str

PLAIN = Cacheability(True, "", PLAIN_TTL_S)
FRESH = Cacheability(False, gettext_noop("its answer changes by the hour"), FRESH_TTL_S)
PERSONAL = Cacheability(False, gettext_noop("it asks about one person's own data"), PERSONAL_TTL_S)
ACTION = Cacheability(False, gettext_noop("it asks to do something"), PERSONAL_TTL_S)
# Of workspaces that redact (gateway.cache.privacy).
PRIVATE = Cacheability(False, gettext_noop("it holds personal data or a secret"), PLAIN_TTL_S)
UNSEEN = Cacheability(False, gettext_noop("it has characters that nobody sees"), PLAIN_TTL_S)
FOLLOW_UP = Cacheability(False, gettext_noop("it lives from what was said before"), PLAIN_TTL_S)

# What a tenant's own rules can say of a question.
CLASSES = {
    "plain": PLAIN,
    "fresh": FRESH,
    "personal": PERSONAL,
    "action": ACTION,
    "never": Cacheability(False, gettext_noop("the workspace's rules say so"), 0),
}
# Why a question is answered by the exact tier alone.
REASONS = (*(kind.reason for kind in CLASSES.values() if kind.reason), FOLLOW_UP.reason, PRIVATE.reason, UNSEEN.reason)

_NOW = (
    r"(?:today|tonight|tomorrow|now|right now|currently|at the moment|this (?:morning|afternoon|evening|week|weekend))"
)
_CHANGING = (
    r"(?:weather|news|prices?|scores?|forecast|headlines|traffic|stocks?|results?|trending|exchange rates?|standings)"
)
_FRESH = re.compile(
    rf"\b(?:weather|forecast|temperature|traffic)\b.{{0,40}}\b(?:{_NOW}|outside|in|at|for|like)\b"
    rf"|\b(?:{_NOW}|today's|tonight's|latest|current|live|breaking|recent)\b.{{0,30}}\b{_CHANGING}\b"
    rf"|\b(?:{_CHANGING}|rate|value)\b.{{0,30}}\b{_NOW}\b"
    r"|\b(?:stock|share|bitcoin|btc|ethereum|gold|oil|gas) price\b"
    r"|\b(?:what(?:'s| is)? (?:happening|going on|new|on)|who(?:'s| is) (?:winning|playing|leading))\b"
    rf".{{0,30}}\b{_NOW}\b"
    r"|\bwhat(?:'s| is)? (?:the )?(?:current )?(?:time|date|day)"
    r"(?: is it| is today)?(?: now| today| right now| in [\w ]{1,30})?\W*$"
    r"|\bwhat (?:time|day|date|month|year) is it\b"
    r"|\b(?:who(?:'s| is)|what(?:'s| is)) (?:currently |now )?(?:the )?(?:current|present|latest) \w+"
    rf"|\b(?:is|are) .{{1,40}}\b(?:open|closed|playing|down|up|available|online)\b.{{0,10}}\b{_NOW}\b"
)
# The state of something that is one person's own. “Why was my card declined?” asks how things work, for everybody.
_OWN = (
    r"(?:balances?|password|pin|address|name|email|phone|number|salary|scores?|status|schedule|appointments?|bills?|"
    r"invoices?|orders?|username|limit|grades?|transactions?|statements?|purchases|subscriptions?|messages|emails|"
    r"calendar|meetings?|flights?|bookings?|reservations?|files|notes|points|tickets?|plan|usage|account|profile)"
)
_PERSONAL = re.compile(
    r"\b(?:where(?:'s| is| are)|track|trace|status of) (?:my|our) "
    r"(?:\w+ )?(?:orders?|package|parcel|delivery|shipment|refund|flight|luggage)\b"
    r"|\bwhat(?:'s| is| are|s| was| were) (?:my|our) "
    rf"(?:current |account |card |last |next |new |own |total |bank )*{_OWN}\b"
    r"|^(?:please )?(?:(?:can|could|would|will) you )?(?:please )?"
    r"(?:show|list|tell|give|read|get|fetch|check|display|see)"
    rf" (?:me )?(?:all )?(?:of )?(?:my|our) (?:\w+ ){{0,2}}{_OWN}\b"
    r"|\bhow much (?:money |credit )?"
    r"(?:(?:do|did) (?:i|we) (?:have (?!to\b)|owe|earn)|have (?:i|we) (?:spent|paid|earned)|"
    r"(?:is|are) (?:left )?in (?:my|our))\b"
    r"|\b(?:when is|when's|what time is|what's) (?:my|our) (?:next |last )?"
    r"(?:appointment|meeting|payment|bill|flight|birthday|exam|class)\b"
    r"|\bam i (?:eligible|registered|enrolled|logged|approved)\b"
    r"|\bdo i have (?:any |an |a )?(?:new )?(?:meetings?|messages|emails|appointments?|mail|notifications)\b"
    r"|\b(?:order|invoice|ticket|booking|case|tracking|account|reference) ?(?:number|no\.?|id|#)? ?#? ?"
    r"[a-z]{0,3}-?\d{3,}"
)
_POLITE = (
    r"(?:(?:hi|hello|hey)\b[ ,!.]*)?(?:(?:can|could|would|will) (?:you|u) (?:please |kindly )?|please |pls |kindly "
    r"|i(?: would|'d) like you to |i (?:want|need) you to |go ahead and )*"
)
# “Order of operations”, “transfer learning is what?” and “change my mind meaning” name things; a command takes an
# object.
_ACTION = re.compile(
    rf"^{_POLITE}"
    r"(?:send|email|call|text|message|book|buy|order|purchase|pay|transfer|cancel|delete|remove|schedule|reserve|post|"
    r"publish|submit|forward|reply|set|turn|start|stop|open|close|enable|disable|activate|deactivate|remind|subscribe|"
    r"unsubscribe|block|unblock|freeze|unfreeze|terminate|refund|change|update|reset|create|add|save|share|play|invite|"
    r"upgrade|downgrade|renew|assign|deploy|restart|shut)\b"
    r"(?! (?:of|is|are|was|does|do|works?|means?|definition|vs|could|can|cannot|can't|were|has|hasn't|did|didn't|not|"
    r"unable|failed|fails|by|from)\b)"
    # What is written, planned or listed here is an answer, not a deed; a table that is booked is one.
    r"(?:(?<=book)|(?<=reserve)|(?! (?:me )?(?:an? |the |some )?(?:\w+ ){0,2}"
    r"(?:function|program|script|list|poem|story|example|sentence|class|query|table|regex|essay|recipe|summary|plan|test|component|outline|slogan|logo|name|names)\b))"
    r"(?=.*\b(?:my|me|the|this|that|it|an?|to|for|all|at|with|on|off|up|\d+)\b)"
)
_FOLLOW_UP = re.compile(
    r"(?:and|but|or|so|also|then|ok|okay|yes|no|what about|how about|what else|why not|go on|continue|more|again"
    r"|really)\b(?! option\b)(?!.{60})"
    r"|(?:why|how|when|where|who|what|which|which one|how so|how come|since when|for whom)\W*$"
    # “Is it possible”, “is it safe”: here “it” stands for what follows.
    r"|(?:is|are|was|were|does|do|did|can|could|will|would|should|has|have) (?:it|they|he|she|those|these|that|this)"
    r"(?!.* (?:to|that|if|for|when|in|with|on)\b)"
    r"(?! (?:\w+ )?(?:app|card|account|site|website|service|code|function|product|plan|program|bank|company)s?\b)"
    r".{0,30}$"
    r"|(?:tell me|explain|say|give me) (?:more|that|it|this|again)\b.{0,40}$"
    r"|(?:translate|summari[sz]e|shorten|rewrite|explain|repeat|expand|fix|improve|simplify|elaborate)"
    r" (?:on )?(?:it|that|this|them)\b(?! \w+).{0,40}$"
    r"|(?:(?:who|what|when|where|why|how)(?:'s| is| was| did| does| old is| much is| about)) "
    r"(?:he|she|it|that|they|those|these|this)\b(?: \w+){0,2}\W*$"
    r"|in (?:\w+ ){1,2}(?:please|instead)?\W*$"
)
_REFERENCE = re.compile(
    r"\bthe (?:first|second|third|last|previous|other|latter|former) (?:one|option|answer|point|example)\b(?=\W*$)"
    r"|^(?:the )?(?:latter|former)\b"
    r"|\b(?:you (?:just )?(?:said|mentioned|wrote)|your (?:last|previous) (?:answer|message|reply)|as above|the above|"
    r"same (?:thing )?but)\b"
)
# Patterns look at the beginning only: nobody asks for the weather on page three, and time stays bounded.
_READ_CHARACTERS = 600

# A text without any of its cues cannot match a pattern; most texts have none, and are done after one look.
_WORD = re.compile(r"[a-z0-9]+")
_FRESH_CUES = frozenset(
    """
    weather forecast temperature traffic today tonight tomorrow now moment week weekend morning afternoon evening
    currently latest live breaking recent price time date day month year current present
    """.split()
)
_PERSONAL_CUES = frozenset("my our order invoice ticket booking case tracking account reference much am i".split())
_REFERENCE_CUES = frozenset(
    "first second third last previous other latter former said mentioned wrote above same".split()
)


@functools.lru_cache(maxsize=2048)
def classify(text: str, own: tuple[OwnRule, ...] = ()) -> Cacheability:
    """A tenant's own rules come first, in their order."""
    lowered = " ".join(text[:_READ_CHARACTERS].lower().replace("’", "'").split())
    if own and (rule := _own_rule(lowered, own)):
        kind = CLASSES[rule.kind]
        return kind if rule.ttl_s is None else kind._replace(ttl_s=rule.ttl_s)
    if not text.isascii() and _UNSEEN.search(text):
        return UNSEEN
    words = frozenset(_WORD.findall(lowered))
    if not words and not any(character.isalnum() for character in lowered):
        return FOLLOW_UP
    if words & _FRESH_CUES and _FRESH.search(lowered):
        return FRESH
    if words & _PERSONAL_CUES and _PERSONAL.search(lowered):
        return PERSONAL
    if _ACTION.match(lowered):
        return ACTION
    if _FOLLOW_UP.match(lowered) or (words & _REFERENCE_CUES and _REFERENCE.search(lowered)):
        return FOLLOW_UP
    return PLAIN


# Zero width, direction, tags, variations: a model reads them, and a comparison does not. They can spell whole orders.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Of any alphabet.
OWN_WORD = re.compile(r"[^\W_]+")


def _own_rule(lowered: str, own: tuple[OwnRule, ...]) -> OwnRule | None:
    words = OWN_WORD.findall(lowered)
    return next((rule for rule in own if _has(words, rule.words)), None)


def _has(words: list[str], wanted: tuple[str, ...]) -> bool:
    """Whether these words stand in a row; a last `*` stands for any ending."""
    last = len(words) - len(wanted)
    return any(all(map(_is, wanted, words[at:])) for at in range(last + 1))


def _is(wanted: str, word: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted
