"""Words and phrases that say what a request is about, in the languages that are asked in most. Pure.

They are data for `gateway.complexity`, which weighs them; nothing here decides.
"""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+[#+]{0,2}")
# Chinese, Japanese and Korean: words are not set apart by spaces, or carry their grammar with them.
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

# By feature, apart by bars. `stem*` stands for all words that begin so; a cue of several words, with a hyphen or in an
# unspaced script is looked for as it stands; any other is a whole word.
CUES = {
    "constraints": """
        must|at least|at most|exactly|no more than|not more than|less than|more than|fewer than|up to|
        without|within|under|below|between|each|every|only|never|avoid|keep|keeping|so that|must not|
        cannot|nobody|no one|none|except|unless|per|minimal|maximum|minimum|budget|preserve|respect|
        ensure|make sure|both|all of|neither|müssen|muss|mindestens|höchstens|genau|ohne|innerhalb|jede|
        jeder|jedes|nur|niemals|falls|sodass|doit|doivent|au moins|au plus|exactement|sans|chaque|
        seulement|jamais|afin que|debe|deben|al menos|como máximo|exactamente|sin|cada|solo|nunca|sem|
        senza|zonder|必须|至少|最多|不超过|每|兼顾|以内|必ず|以上|以下|ずつ|含め
    """,
    "proof": """
        prove|proves|proving|proof|proofs|disprove*|derive|derives|deriving|derivation|show that|rigor*|
        lemma|justif*|induction|by contradiction|argue that|refut*|admissib*|correctness|closed form|
        characteris*|characteriz*|bewei*|zeige, dass|herleit*|leite|démontr*|prouv*|montre que|demuestr*|
        demostra*|dimostr*|demonstre|докаж*|доказ*|вывед*|证明|推导|証明|導出|증명
    """,
    "maths": """
        integra*|matri*|eigenval*|eigenvec*|eigenwert*|probabilit*|equation*|polynomial*|modulo|prime|
        primes|irrational|differentia*|converge*|series|recurrence|combinator*|permutation*|expected|
        abelian|isomorph*|topolog*|integer*|algebra*|geometr*|calculus|sqrt|sin|cos|limit|sum|maximi*|
        minimi*|optimum|bound|asymptot*|theorem|functor*|manifold*|variance|estimate|solve|compute|
        stochastic|logarithm*|vector*|puzzle|riddle|primzahl*|gleichung*|wahrscheinlich*|nombres premiers|
        irracional|racine|raíz|素数|方程|数列|確率|概率
    """,
    "engineering": """
        design*|architect*|implement*|refactor*|optimi*|migrat*|scal*|concurren*|distributed|multi-tenant|
        thread-safe|lock-free|fault-toleran*|failover|sharding|throughput|latency|protocol|parser|engine|
        interpreter|end-to-end|production-ready|full-stack|pipeline|framework|operator|scheduler|compiler|
        lexer|solver|emulator|simulator|kernel|driver|allocator|crawler|data structure|algorithm*|queue|
        heap|trie|schema|low-level|high-performance|vectori*|parallel*|reverse engineer*|replicat*|
        consisten*|transaction*|monolith|microservice*|reliab*|rewrite it|port|build|develop|asynchron*|
        async|incremental|virtual|sandbox*|entwirf|entwerf*|entwick*|optimier*|architektur|conçois|
        concev*|conception|diseñ*|desarroll*|progett*|projete|optimis*|ontwerp|设计|架构|优化|系统|迁移|实现|无锁|
        并发|算法|実装|設計|移行|最適化|システム|설계|прое*
    """,
    "diagnosis": """
        diagnos*|root cause|cause|causes|investigat*|hypothes*|deadlock*|race condition*|leak*|hang|hangs|
        stall*|crash*|intermittent*|sometimes|once in|fails only|only when|only from|only for|only on|
        flaky|regression|anomal*|discrepanc*|bottleneck*|corrupt*|debug*|track down|what is going on|
        what is happening|what's wrong|reproduce|slow|slower|find out why|explain why|trace|symptom*|
        interleaving|ursache*|warum|fehlersuche|verliert|depura|causa|causas|原因|死锁|故障|排查|急減|なぜ
    """,
    "analysis": """
        analy*|compar*|evaluat*|assess*|critique|critical*|critici*|weigh|weighing|argue|argument*|
        recommend a|recommend which|recommendation*|trade-off*|tradeoff*|pros and cons|implication*|implies|
        interpret*|judge|reconcile|synthes*|contradict*|objection*|conflict*|rank|risk|risks|robust*|
        sensitivity|scenario*|decompose|evidence|methodology|mechanism*|distinguish|discriminate|review|
        audit|infer|conclude|predict*|quantif*|estimat*|assumption*|consequence*|versus|interact*|
        how would|how should|what would|could have|would have|what might|what exactly|best way|decide|
        advise|spot|prioriti*|identify|hätte|hätten|würde|vergleich*|bewert*|prüf*|abwäg*|empfiehl*|
        empfehl*|begründ*|rechne|bewerk*|évalu*|justifie|propose|conseil*|compara|evalúa|analiza|
        recomienda|ventajas|riesgos|confronta|valuta*|分析|比较|评估|利弊|建议|取舍|优缺点|比較|評価|検証|仮説|비교|장단점
    """,
    "planning": """
        plan|plans|strateg*|schedul*|roadmap|timetable|curriculum|itinerar*|milestone*|phase|phases|
        roll out|rollout|dependenc*|contingenc*|fallback|transition|restructur*|timeline|outline a|lay out|
        work out|draw up|set out|organi*|allocat*|negotiat*|course of action|playbook|runbook|procedure|
        policy|lernplan|zeitplan|ablaufplan|stratégie|calendrier|planif*|estrategia|presupuesto|piano|
        plano|fases|计划|制定|方案|战略|計画|手順|전략
    """,
    "expertise": """
        clause*|liab*|contract*|gdpr|compliance|regulat*|enforceab*|breach*|indemn*|jurisdiction|tax|
        taxes|tenant*|law|legal|statut*|court|patient*|dose|mg|therap*|differential|labs|chronic|
        surgery|clinical|disease|syndrome|contraindicat*|pathophysio*|trial|cohort|confound*|causal|
        regression|randomi*|equity|hedg*|dcf|ebitda|valuation|margin|yield|derivatives|duration|
        portfolio|revenue|cash flow|accounting|quantum|relativ*|thermo*|molecul*|protein*|orbit*|entropy|
        kinetic*|decoherence|phylogen*|semantics|epistem*|ontolog*|metaphys*|moral|ethic*|philosoph*|heap|
        mutex|kernel|cache|memory|tls|certificate*|gradient*|neural|transformer*|kubernetes|
        garbage collection|crdt*|raft|paxos|consensus|encrypt*|adjoint|monad*|undecidab*|complexity|
        kündigung|haftung*|vertrag*|frist*|steuer*|clauses|bail|contrat|fiscal*|contrato|cláusula*|合同|
        条款|契約|法律
    """,
    "long_answer": """
        essay|chapter|novel|screenplay|sonnet*|sestina|villanelle|report|white paper|thesis|dissertation|
        complete|completely|comprehensive|in depth|in-depth|detailed|thorough*|in full|full|entire|pages|
        campaign|speech|play|act|course|series of|all of them|with tests|and tests|plus tests|
        documentation|proposal|draft a|application|website|web app|suite|novella|ausführlich*|vollständig*|
        détaillé*|nouvelle|complet|complète|detallad*|completo|详细|完整|詳しく|長い
    """,
    "reasoning": """
        step by step|step-by-step|every step|work it out|quantitative*|walk through|walk me through|think|
        carefully|reason|reasoning|explain why|explain your|and why|explain the|explain and|explain for|
        explain what|showing|show the|show your|go through|take your time|discuss|describe how|state|
        stating|tell me what|say what|say why|say which|justify|schritt für schritt|erkläre|begründe|
        étape par étape|explique|paso a paso|explica|spiega|说明|一步|解释|説明|理由|설명
    """,
    "rewriting": """
        translat*|summari*|tl;dr|paraphras*|shorten|shorter|proofread*|typo*|grammar|spell*|rephras*|
        extract*|classif*|tag|sentiment|convert|format this|format as|format the following|headline|title|
        hashtag*|alphabetical*|rename|correct|fix the|fix typos|rewrite|reword|make this|turn this|
        turn these|put this|put a|list all|list every|remove duplicates|pull the|route|label|categories|
        categorize|categorise|tone|extract the|how do you say|what language|which language|markdown table|
        übersetz*|fasse|korrigier*|zusammenfass*|traduis|traduire|résum*|corrige|traduc*|traduz*|resum*|
        clasifica*|corrig*|traduci|come si dice|comment dit-on|翻译|总结|概括|改写|訳して|要約|直して|переведи|번역
    """,
    "brief": """
        short|brief|briefly|one sentence|two sentences|three sentences|in one|a sentence|one word|
        yes or no|yes/no|one-line|one-liner|two-line|in a sentence|quick|simple|simply|only the|just the|
        bullet points|few words|five words|caption|tagline|slogan|name|names|joke|haiku|rhyme|synonym*|
        tweet|message|kurz|kurzen|kurze|kürzer|einem satz|court|courte|une phrase|simples|corto|corta|
        breve|rápid*|简短|一句话|短く|一言
    """,
}

_STEM_KEY = 3
_WHOLE: dict[str, list[str]] = {}
_STEMS: dict[str, list[tuple[str, str]]] = {}
# Phrases by their first word: most texts have none of those, and are not searched for the rest.
_PHRASES: dict[str, list[tuple[str, str]]] = {}
_UNSPACED: list[tuple[str, str]] = []
for _feature, _text in CUES.items():
    for _cue in (cue.strip() for cue in _text.split("|")):
        if _cue.endswith("*"):
            _STEMS.setdefault(_cue[:_STEM_KEY], []).append((_cue[:-1], _feature))
        elif UNSPACED.search(_cue):
            _UNSPACED.append((_cue, _feature))
        elif not WORD.fullmatch(_cue):
            _PHRASES.setdefault(WORD.findall(_cue)[0], []).append((_cue, _feature))
        else:
            _WHOLE.setdefault(_cue, []).append(_feature)


def find(text: str, words: list[str]) -> dict[str, set[str]]:
    """The cues that stand in `text`, by feature. It is in lower case, and `words` are those in it."""
    found: dict[str, set[str]] = {}
    phrases: list[tuple[str, str]] = []
    for word in set(words):
        for feature in _WHOLE.get(word, ()):
            found.setdefault(feature, set()).add(word)
        for stem, feature in _STEMS.get(word[:_STEM_KEY], ()):
            if word.startswith(stem):
                found.setdefault(feature, set()).add(stem)
        phrases += _PHRASES.get(word, ())
    if not text.isascii() and UNSPACED.search(text):
        phrases += _UNSPACED
    for phrase, feature in phrases:
        if phrase in text:
            found.setdefault(feature, set()).add(phrase)
    return found


def unspaced_words(text: str) -> float:
    """About how many words it has in unspaced scripts: two characters are counted as one."""
    return 0 if text.isascii() else len(UNSPACED.findall(text)) / 2
