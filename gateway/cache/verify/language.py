"""Whether a text is recognisably English; of other languages the guards know figures and codes, little else. Pure."""

from __future__ import annotations

from gateway.cache.verify.text import Text, is_known, read_once
from gateway.cache.verify.vocabulary import FUNCTION_WORDS

# Where a text is not English, only a question at least this similar may have the same answer.
STRICT_THRESHOLD = 0.95
# Of the letters, at least so many are a to z: English has a few names with others.
_ASCII_SHARE = 0.9
# Of texts this long, at least so many words are ones that the guards know. Shorter ones may be names alone.
_LONGER = 5
_KNOWN_SHARE = 0.35
# Small words of the languages most written in Latin letters, which English has not: neither as words nor in names.
_FOREIGN = (
    frozenset(
        """
    aber als auch auf bei beim bitte dein deine dem diese diesem diesen dieser doch ein eine einem einen einer eines für
    gibt habe haben ich ihr ihre ist jetzt kann kannst kein keine können könnte mein meine meinem meinen meiner mich mir
    möchte muss nach nicht noch oder ohne sich sie sind und uns unter vom wann warum wenn werden wie wieso wird wo wurde
    zum zur zwischen
    ajouter alors aux avec avez c'est ces cette combien dans depuis d'un d'une donc elle est être faire faut il ils j'ai
    je leur les leurs lors ma mes mon n'est notre nous où pas peut peux plus pour pourquoi puis-je qu'est-ce quand que
    quel quelle quelles quels qui quoi sans ses sont sous sur toujours très une vos votre vous
    ahora algo así aunque cada cómo cuál cuándo cuánto cuánta cuánto cuesta cuál desde donde dónde ella ellos en entre
    eres es esa ese eso esta está estoy este fue gracias hacer hasta hay hola los más mejor mis mucho muy necesito
    nosotros nuestra nuestro otra otro para pero poco por porque puede puedo qué quien quién quiero según siempre
    también tengo tiene todo todos usted yo una unos
    ao aos até com dela dele depois dos ela ele em eu faço fazer isso mais mas meu minha muito não nós onde pela pelo
    pode posso qual quais quando quanto quem são seu sua suas tem tenho um uma você vocês
    alla anche che chi ci così cui dal dalla dei della delle dello dove gli ho mia mio nel nella ogni perché più posso
    può quale quali quello questa questo senza si sono sta sul sulla tra tutti tutto un una uno
    aan alle bij dat deze die dit door een geen haar heb hebben heeft het hij hoe hoeveel ik je jij jouw kan kun kunnen
    maar meer met mij mijn moet naar niet nog nu onder ook op te uit veel voor waar waarom wanneer wat wel welke wie wij
    wordt zijn zich zonder
    att av det där ett för från har hur inte jag mig min mitt någon och om på sig som till var vad är åt af blev dig
    hvad hvem hvor hvordan hvorfor ikke jeg må ned også skal til uden ved være
    ale bez być co czy dla gdzie jak jaka jaki jako jest już kiedy kto która które który mnie mogę nie od przez są się
    tak tego tylko że bir bu çok daha gibi için kadar mı mi nasıl ne neden nerede veya şey
    adalah akan apa atau bagaimana bisa dalam dari dengan ini itu karena pada saya tidak untuk yang
    """.split()
    )
    - FUNCTION_WORDS
    - frozenset("in is on so an me he we be do no to at of the for was has had as if or us up his her".split())
)
# Of these, English has homographs or names: they count only beside others.
_WEAK = frozenset(
    "als auf die em en es est dos je kan los ma mas min mis mon om op plus pour que qui si som son sur te til um un una"
    " uno per ale co ci ho od tak ne mi el la le de du des con sin ese esa met alle av ned var sta tra mes ses ces il"
    " lors sous hay bisa apa ini jak ao com das".split()
)


def is_english(text: str) -> bool:
    """Letters from a to z, no small words of another language, and, in longer texts, words that English has.

    Short ones may be names or key words alone (“reset password”, “nginx ingress timeout”): they pass.
    """
    return reads_english(Text.parse(text))


@read_once
def reads_english(text: Text) -> bool:
    lower = text.raw
    letters = sum(map(str.isalpha, lower))
    if not letters:
        return True
    if not lower.isascii() and sum(c.isascii() and c.isalpha() for c in lower) < _ASCII_SHARE * letters:
        return False
    words = [word.lower for word in text.words if word.lower.isalpha() or "'" in word.lower]
    english = sum(word in FUNCTION_WORDS for word in words)
    foreign = sum(word in _FOREIGN for word in words)
    weak = sum(word in _WEAK for word in words)
    if foreign - weak / 2 > english:
        return False
    known = sum(word in FUNCTION_WORDS or is_known(word) for word in words)
    return len(words) < _LONGER or known >= _KNOWN_SHARE * len(words)
