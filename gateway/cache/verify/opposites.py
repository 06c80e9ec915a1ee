"""Words of which one for the other turns a question round or asks another one: opposites, siblings, particles. Data.

Written by hand for this purpose.
"""

from __future__ import annotations

# Each side is a group of words that say about the same: any of the left is an opposite of any of the right.
_GROUPS = """
accept approve|reject decline deny refuse
activate enable|deactivate disable
add append insert|remove subtract delete drop
admit|deny
advantage benefit pro upside perk|disadvantage drawback con downside risk harm
agree|disagree
alive living|dead
all|none
allow permit let|block forbid prevent ban prohibit
always|never
ancient|modern
appear|disappear vanish
arrive arrival arriving|leave depart departure departing leaving
attach|detach
attack|defend
attract|repel
backward backwards back|forward forwards
begin start commence launch|end finish stop quit cease
best|worst
better|worse
beginning|end
birth|death
born|died dead
borrow|lend loan
bottom|top
boy|girl
boyfriend|girlfriend
bride|groom
brother|sister
build construct|destroy demolish
buy purchase|sell
buying|renting
rent|buy
buyer|seller
ceiling|floor
close shut|open
closed shut|open
closing|opening
compliment praise|insult criticize
compress zip|decompress unzip extract
connect|disconnect
continue resume|stop pause cancel
create make|delete destroy
credit|debit
day|night
debtor|creditor
decode|encode
decrease reduce lower cut decline shrink lessen diminish minimize|increase raise grow boost enlarge maximize
decrypt|encrypt
deposit|withdraw withdrawal debit
deduct|add
die|live survive born
divide|multiply
divorce divorced|marry married
domestic|international
double|halve
down|up
download|upload
downgrade|upgrade
downstairs|upstairs
ascending|descending
adult|minor child
amateur|professional
asset|liability
attendance|absence
cause|cure prevent
cons|pros
customer client|vendor supplier
defendant|plaintiff
acquit|convict
guilty|innocent
win|lose
winner|loser
victory|defeat
employee|employer
hire recruit employ|fire dismiss
landlord|tenant
lender|borrower
lessor|lessee
teacher|student
mentor|mentee
parent|child
predecessor|successor
ancestor|descendant
doctor|patient
earlier|later
early|late
earliest first|latest last
east eastern|west western
north northern|south southern
empty|full
enter entrance entry|exit
even|odd
exclude excluding|include including
except excluding|including
explicit|implicit
export|import
exporter|importer
fail failure|pass succeed success
false|true
father|mother
female|male
fewer less|more
few|many
first initial|last final
previous prior|next following
forget|remember
free|paid
freeze frozen|melt thaw unfreeze
front|back rear
fresh|frozen canned stale
future|past
gain|lose loss
give|take
harmful|harmless
hate|love
heaven|hell
hello|goodbye
hide|show reveal
hero|villain
husband|wife
income|expense
incoming inbound|outgoing outbound
indoor indoors|outdoor outdoors
infinite|finite
inhale|exhale
input|output
inner|outer
inside|outside
install|uninstall
internal|external
interior|exterior
join|leave quit
joint|single individual separate
junior|senior
king|queen
knowledge|ignorance
left|right
legal|illegal
least fewest|most
lock|unlock
login|logout
lose misplace|find
lower|raise
lower|upper
major|minor
man|woman
maternity|paternity
max maximum|min minimum
maximal|minimal
merge|split
married|single divorced
mute|unmute
offline|online
optional|required mandatory compulsory
original|copy fake
on|off
parallel|serial sequential
physical|virtual digital
plural|singular
pin|unpin
prefix|suffix
private|public
problem|solution
profit|loss
pull|push
question|answer
receive|send
recipient receiver|sender
recommend|discourage
regular|irregular
relative|absolute
retail|wholesale
reward|punishment
reversible|irreversible
rise|fall
risk|safety
rookie|veteran
same|different
save|spend
sink|float
smoker|nonsmoker
son|daughter
start|end
static|dynamic
strength|weakness
subscribe|unsubscribe
summer|winter
sunrise|sunset
supply|demand
synchronous|asynchronous
sync|async
temporary|permanent
tighten|loosen
uncle|aunt
nephew|niece
underweight|overweight
undergraduate|graduate postgraduate
upstream|downstream
uppercase|lowercase
vertical|horizontal
villain|hero
wake|sleep
war|peace
widow|widower
win|lose
import|export
above over|below under beneath
after|before
voluntary|mandatory compulsory required
vegan vegetarian|meat
visible|invisible
veto|approve
lengthen extend|shorten
strengthen|weaken
heat warm|cool chill
boiling|freezing
soften|harden
thicken|thin
brighten|darken
widen|narrow
gross|net
fixed|variable floating adjustable
hardware|software
import|export
debit|credit
inflow|outflow
surplus|deficit
bull bullish|bear bearish
prepaid|postpaid
refundable|nonrefundable
used secondhand|new
wholly fully entirely completely|partly partially
frequently often|rarely seldom hardly
majority|minority
artificial|natural
foreign|native local domestic
urban|rural
theory|practice
cause|effect
client|server
frontend|backend
mutable|immutable
blocking|nonblocking
commit|rollback revert
encoder|decoder
enqueue|dequeue
push|pop
read|write
sender|receiver
stateful|stateless
signed|unsigned
success|failure
allowlist whitelist|denylist blacklist blocklist
warm|cold
morning|evening night
dad|mum mom
grandfather|grandmother
grandson|granddaughter
stepmother|stepfather
actor|actress
prince|princess
host|guest
cat|dog
mr|mrs ms
sir|madam
lady|gentleman
rooster|hen
deaf|blind
supporter|opponent
friend|enemy
"""
# Adjectives, of which the forms with -er, -est and -ly are opposites, too.
_ADJECTIVES = """
big large huge tall great high|small little tiny low short
bright light|dark
cheap inexpensive affordable|expensive costly pricey
clean|dirty
clever smart|stupid dumb
close near|far distant
cold cool|hot warm
deep|shallow
dry|wet
easy simple|hard difficult complex
early|late
fast quick rapid|slow
fat thick|thin
good|bad evil
happy glad|sad unhappy
hard firm|soft
healthy|unhealthy sick
heavy|light
kind nice|mean cruel
lazy|active
long lengthy|short brief
loud noisy|quiet silent
new young modern recent|old
poor|rich wealthy
popular|unpopular
positive|negative
possible|impossible
proud|ashamed
rough|smooth
rude|polite
safe|dangerous unsafe risky
sharp|blunt dull
sour|sweet
strict|lenient
strong powerful|weak
sweet|bitter savory
thick|thin
tight|loose
ugly|beautiful pretty
wide broad|narrow
wise|foolish
tall|short
ripe|unripe
raw|cooked
full|hungry
common|rare
generous|stingy
brave|cowardly
"""


def _inflected(adjective: str) -> tuple[str, str, str]:
    """-er, -est, -ly: “happier”, “bigger”."""
    if adjective.endswith("y") and len(adjective) > 3:
        base = adjective[:-1] + "i"
        return base + "er", base + "est", base + "ly"
    if adjective.endswith("e"):
        return adjective + "r", adjective + "st", adjective + "ly"
    if len(adjective) == 3 and adjective[1] in "aeiou" and adjective[2] not in "aeiouwy":
        return adjective + adjective[2] + "er", adjective + adjective[2] + "est", adjective + "ly"
    return adjective + "er", adjective + "est", adjective + "ly"


def _opposites() -> dict[str, frozenset[str]]:
    pairs: set[tuple[str, str]] = set()
    for line in _GROUPS.split("\n"):
        if line:
            left, right = line.split("|")
            pairs.update((x, y) for x in left.split() for y in right.split())
    for line in _ADJECTIVES.split("\n"):
        if line:
            left, right = line.split("|")
            for x in left.split():
                for y in right.split():
                    degrees = zip(_inflected(x), _inflected(y), strict=True)
                    # “Cheaper” has “expensive” in “more expensive”.
                    mixed = ((form, y) for form in _inflected(x)), ((x, form) for form in _inflected(y))
                    pairs.update([(x, y), *degrees, *mixed[0], *mixed[1]])
    found: dict[str, set[str]] = {}
    for x, y in pairs:
        found.setdefault(x, set()).add(y)
        found.setdefault(y, set()).add(x)
    return {word: frozenset(others - {word}) for word, others in found.items()}


# “Light” is what is not heavy, and what is not dark: only what stands in the table is an opposite.
OPPOSITES: dict[str, frozenset[str]] = _opposites()

SUPERLATIVES = frozenset(
    _inflected(word)[1] for line in _ADJECTIVES.strip().splitlines() for word in line.replace("|", " ").split()
)

# Each line: things of one kind, of which a text means one. One for another is another question.
SIBLINGS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in """
    small medium large xs xl xxl
    basic standard premium plus pro professional enterprise starter lite ultimate deluxe business personal team \
home gold silver platinum bronze black diamond
    credit debit prepaid gift virtual physical
    savings checking joint
    mother father brother sister son daughter wife husband aunt uncle niece nephew cousin boyfriend girlfriend \
grandmother grandfather grandson granddaughter fiance fiancee
    breakfast brunch lunch dinner supper dessert
    red orange yellow green blue purple violet pink brown black white gray beige turquoise
    north south east west northeast northwest southeast southwest
    kindergarten elementary middle high college university
    bachelor master phd doctorate mba diploma
    car bus train plane boat ferry bike truck motorcycle taxi subway tram van scooter helicopter
    married divorced widowed
    windows mac macos linux android ios
    plaintiff defendant judge jury prosecutor witness
    tuple dict array integer float boolean queue
    chapter section paragraph
    doctor nurse dentist pharmacist surgeon therapist psychiatrist psychologist
    undergraduate graduate postgraduate
    liquid solid gas plasma
    sales marketing engineering finance legal hr
    economy coach business
    oven microwave stove grill fryer
    boil fry bake grill steam roast poach
    email phone chat sms fax
    fiction nonfiction
    federal state local
    civil criminal
    sedan suv truck convertible hatchback
    copyright trademark patent
    lion tiger bear wolf fox
    house apartment condo
    tcp udp http https ftp ssh smtp
    intern contractor freelancer
    infant toddler baby teenager adult senior
    rain snow hail fog
    """.strip().splitlines()
)

# Verb → particles that say the same with it, group by group; one of another group is another verb.
_PARTICLES = """
back:up|down|out
break:in|up|down|out
call:off|back|out|in
check:in|out
clock:in|out off
fall:down|apart|behind|off|out
get:on|off
give:up|back|in|away|out
go:up|down
hold:on|off|up|back
let:in|out|down
log:in on into|out off
look:after|for
move:in into|out
opt:in into|out
pass:out|away|on|by
pick:up|out
pull:out|over|up|down
push:in|out|back
put:on|off
roll:up|down|out|back
scale:up|down
shut:down|off|up
sign:in on into|up|out off
slow:down
speed:up
switch:on|off
take:off|on
throw:away out|up
turn:on|off|up|down|in|around
wake:up
work:out|on
write:off|down|up
zoom:in|out
"""
PARTICLES: dict[str, dict[str, int]] = {
    verb: {particle: number for number, group in enumerate(groups.split("|")) for particle in group.split()}
    for verb, _, groups in (line.partition(":") for line in _PARTICLES.strip().splitlines())
}
