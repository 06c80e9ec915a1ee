"""The English that the guards know, beside everyday words: function words, irregular forms, synonyms, times.

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
die died dying;lie lied lying;try tried tries;apply applied applies;
sue sued suing;use used using;tie tied tying;owe owed owing;age aged aging;prefer preferred
"""
IRREGULAR: dict[str, str] = {
    form: forms[0] for line in _IRREGULAR_FORMS.split(";") if (forms := line.split()) for form in forms[1:]
}

# Form → kind and name. Within a kind, one instead of another is another time.
TIMES: dict[str, tuple[str, str]] = {
    form: (kind, forms.partition(" ")[0])
    for kind, names in {
        "relative day": "today|tonight|tomorrow tmrw tomorow|yesterday",
        "weekday": (
            "monday mon|tuesday tue tues|wednesday wed|thursday thu thur thurs|friday fri|saturday sat|sunday sun"
        ),
        "weekend": "weekend|weekday workday",
        "month": (
            "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sep sept"
            "|october oct|november nov|december dec"
        ),
        "season": "spring springtime|summer summertime|autumn fall|winter wintertime",
        "holiday": (
            "christmas xmas|easter|halloween|thanksgiving|ramadan|diwali|hanukkah|passover|eid|kwanzaa|lent|carnival"
        ),
        "time of day": "morning mornings|noon midday|afternoon|evening|midnight|night nighttime overnight",
    }.items()
    for forms in names.split("|")
    for form in forms.split()
}
# How often, in one word.
RATES: dict[str, str] = {
    form: forms.partition(" ")[0]
    for forms in (
        "hour hourly", "day daily everyday", "night nightly", "week weekly", "fortnight biweekly fortnightly",
        "month monthly", "quarter quarterly", "year yearly annually annual", "weekend weekends",
    )
    for form in forms.split()[1:]
}  # fmt: skip

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
