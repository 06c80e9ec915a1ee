"""The English that the guards know, beside everyday words: function words, irregular forms, synonyms, opposites, times.

Data, written by hand for this purpose.
"""

from __future__ import annotations

FUNCTION_WORDS = frozenset(
    """
    'd 'll 'm 're 's 've a about above across actually after again against ago aint all along already also although
    always am among amongst an and another any anybody anyone anything are arent around as at away basically be
    became because been before behind being below beside besides between beyond both but by can can't cannot cant
    cos could couldn't couldnt currently cuz did didint didn't didnt do does doesn't doesnt doing don't done dont
    down due during each either else etc even ever every everybody everyone everything except few for from further
    get gets getting give given go goes going gone gonna got gotta had hadn't hadnt has hasn't hasnt have haven't
    havent having he he'd he's hello help her here here's hers herself hey hi him himself his hmm how how's however
    hows i i'd i'll i'm i've id if ill im in instead into is isn't isnt it it'd it'll it's its itself ive just
    kindly know let let's like likely ll lot made many may maybe me might mine more most much must mustn't mustnt my
    myself n't near need needs neither never no nobody none nor not nothing now nt of off often oh ok okay on once
    one ones only onto or other others otherwise ought our ours ourselves out over own per perhaps please pls quite
    rather re really same shall she she's should shouldn't shouldnt show simply since so some somebody somehow
    someone something sometimes somewhere still such supposed tell than thank thanks that that's thats the their
    theirs them themselves then there there's theres these they they'd they'll they're they've theyre theyve thing
    things this those though through thru thus til till to too toward towards u um umm under unless until up upon ur
    us use used using ve very via wanna want wants was wasn't wasnt way we we'd we'll we're we've well went were
    weren't werent weve what what's whatever whats when when's whenever where where's whereas wheres wherever
    whether which whichever while whilst who who'd who's whoever whom whos whose why why's will with within without
    won't wondering wont would wouldn't wouldnt yeah yes yet you you'd you'll you're you've your youre yours
    yourself youve
    """.split()
)

# Each line is a base form and its irregular forms.
_IRREGULAR_FORMS = """
arise arose arisen;become became;begin began begun;bend bent;bite bit bitten;bleed bled;blow blew blown;
break broke broken;bring brought;
build built;burn burnt;buy bought;catch caught;choose chose chosen;come came;cost;deal dealt;dig dug;
draw drew drawn;drink drank drunk;drive drove driven;eat ate eaten;fall fell fallen;feed fed;feel felt;fight fought;
find found;fly flew flown;forbid forbade forbidden;forget forgot forgotten;freeze froze frozen;get got gotten;
give gave given;go went gone;grow grew grown;hang hung;hear heard;hide hid hidden;hold held;keep kept;know knew known;
lay laid;lead led;learn learnt;leave left;lend lent;lose lost;make made;mean meant;meet met;pay paid;ride rode ridden;
ring rang rung;rise rose risen;run ran;say said;see saw seen;seek sought;sell sold;send sent;shake shook shaken;
shine shone;shoot shot;show shown;shrink shrank shrunk;sing sang sung;sink sank sunk;sit sat;sleep slept;slide slid;
speak spoke spoken;spend spent;steal stole stolen;stick stuck;strike struck;swear swore sworn;swim swam swum;
take took taken;teach taught;tear tore torn;tell told;think thought;throw threw thrown;understand understood;
wake woke woken;wear wore worn;win won;withdraw withdrew withdrawn;write wrote written;child children;man men;
woman women;foot feet;tooth teeth;mouse mice;person people;wife wives;life lives;knife knives;leaf leaves;half halves;
die died dying;lie lied lying;try tried tries;apply applied applies
"""
IRREGULAR: dict[str, str] = {
    form: forms[0] for line in _IRREGULAR_FORMS.split(";") if (forms := line.split()) for form in forms[1:]
}

# Names of one thing. Two words on a line of which neither is everyday English would else be two things.
SYNONYMS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in """
    us usa america american states
    uk britain british kingdom
    eu europe european
    kid child
    mobile phone cellphone smartphone telephone
    car automobile vehicle
    movie film
    tv television
    photo picture image pic
    doctor physician
    lawyer attorney
    sofa couch
    bike bicycle
    exam test
    tyre tire
    max maximum
    min minimum
    colour color
    mom mother mum
    dad father
    cash money fund
    check cheque
    mail post
    fall autumn
    store shop
    company firm business
    app application
    internet online web website
    email e-mail mail
    pc computer laptop
    js javascript
    db database
    k8s kubernetes
    maths math mathematics
    """.strip().splitlines()
)

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("accept", "reject"), ("accept", "decline"), ("activate", "deactivate"), ("add", "remove"), ("add", "subtract"),
    ("advantage", "disadvantage"), ("after", "before"), ("all", "none"), ("allow", "block"), ("allow", "forbid"),
    ("allow", "prevent"), ("always", "never"), ("ancient", "modern"), ("arrive", "leave"), ("attach", "detach"),
    ("attack", "defend"), ("backward", "forward"), ("begin", "end"), ("benefit", "drawback"), ("best", "worst"),
    ("better", "worse"), ("big", "small"), ("borrow", "lend"), ("bottom", "top"), ("boy", "girl"), ("bright", "dark"),
    ("brother", "sister"), ("build", "destroy"), ("buy", "sell"), ("buyer", "seller"), ("cheap", "expensive"),
    ("cheapest", "expensive"), ("clean", "dirty"), ("close", "open"), ("cold", "hot"), ("compress", "decompress"),
    ("connect", "disconnect"), ("create", "delete"), ("credit", "debit"), ("day", "night"), ("debit", "deposit"),
    ("decode", "encode"), ("decrease", "increase"), ("decrypt", "encrypt"), ("deep", "shallow"),
    ("deposit", "withdraw"),
    ("deposit", "withdrawal"), ("dead", "alive"), ("disable", "enable"), ("divide", "multiply"), ("divorce", "marry"),
    ("domestic", "international"), ("down", "up"), ("download", "upload"), ("dry", "wet"), ("early", "late"),
    ("earlier", "later"), ("earliest", "latest"), ("east", "west"), ("easy", "hard"), ("easy", "difficult"),
    ("employee", "employer"), ("empty", "full"), ("enter", "exit"), ("exclude", "include"), ("export", "import"),
    ("fail", "pass"), ("fail", "succeed"), ("fall", "rise"), ("false", "true"), ("fast", "slow"), ("faster", "slower"),
    ("father", "mother"), ("fat", "thin"), ("female", "male"), ("few", "many"), ("fewer", "more"), ("first", "last"),
    ("forget", "remember"), ("freeze", "melt"), ("freeze", "unfreeze"), ("front", "back"), ("gain", "lose"),
    ("give", "take"), ("good", "bad"), ("good", "evil"), ("happy", "sad"), ("hate", "love"), ("heavy", "light"),
    ("hide", "show"), ("high", "low"), ("higher", "lower"), ("highest", "lowest"), ("husband", "wife"),
    ("incoming", "outgoing"), ("inside", "outside"), ("install", "uninstall"), ("internal", "external"),
    ("interior", "exterior"), ("join", "leave"), ("junior", "senior"), ("king", "queen"), ("landlord", "tenant"),
    ("large", "small"), ("largest", "smallest"), ("biggest", "smallest"), ("left", "right"), ("legal", "illegal"),
    ("less", "more"), ("least", "most"), ("lock", "unlock"), ("long", "short"), ("longest", "shortest"),
    ("lose", "win"), ("lose", "find"), ("man", "woman"), ("max", "min"), ("maximum", "minimum"), ("morning", "evening"),
    ("mute", "unmute"), ("narrow", "wide"), ("near", "far"), ("negative", "positive"), ("new", "old"),
    ("north", "south"), ("offline", "online"), ("oldest", "youngest"), ("oldest", "newest"), ("on", "off"),
    ("parent", "child"), ("past", "future"), ("physical", "virtual"), ("plural", "singular"), ("poor", "rich"),
    ("possible", "impossible"), ("predecessor", "successor"), ("private", "public"), ("pro", "con"), ("pull", "push"),
    ("quiet", "loud"), ("receive", "send"), ("recipient", "sender"), ("safe", "dangerous"), ("safe", "unsafe"),
    ("save", "spend"), ("single", "married"), ("son", "daughter"), ("start", "stop"), ("start", "end"),
    ("start", "finish"), ("strong", "weak"), ("subscribe", "unsubscribe"), ("sunrise", "sunset"), ("sweet", "sour"),
    ("tall", "short"), ("thick", "thin"), ("uncle", "aunt"), ("under", "over"), ("underweight", "overweight"),
    ("vertical", "horizontal"), ("victory", "defeat"), ("war", "peace"), ("white", "black"),
    ("young", "old"), ("temporary", "permanent"), ("wake", "sleep"), ("question", "answer"), ("summer", "winter"),
)  # fmt: skip

# Within a kind, one instead of another is another time.
TIMES: dict[str, str] = {
    word: kind
    for kind, words in {
        "relative day": "today tonight tomorrow yesterday",
        "weekday": "monday tuesday wednesday thursday friday saturday sunday weekend weekday",
        "month": "january february april june july august september october november december",
        "season": "spring summer autumn fall winter",
        "holiday": "christmas easter halloween thanksgiving ramadan",
        "time of day": "morning noon afternoon evening midnight night",
    }.items()
    for word in words.split()
}

# Words that say that something does not work, or is left out: with them, a “not” elsewhere may say the same.
TROUBLE = frozenset(
    """
    absent avoid besides block blocked broken canceled cancelled decline declined denied deny difficult difficulty
    disappeared dislike error except exclude excludes excluding fail failed fails failure forget forgot forgotten
    frozen gone hate impossible incomplete incorrect invalid issue issues lack lacking lacks locked lost missing
    outside prevent problem problems refuse refused reject rejected stop stopped stuck trouble unable unexpected
    unknown unsuccessful wrong
    """.split()
)
