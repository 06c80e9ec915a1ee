"""Words that paraphrases put one for another. Data, written by hand for this purpose.

A word may stand on several lines: it means the same as each line's words, and those of two lines need not mean the
same.
"""

from __future__ import annotations

# Names of things, and short forms.
_THINGS = """
abdomen stomach belly tummy
ache pain hurt
ad advert advertisement
admin administrator
amex american
app application
approx approximately
arg argument
ave avenue
bike bicycle
bin trash
bp pressure
car automobile vehicle auto
cash money fund
check cheque
colour color
company firm business
config configuration
couple pair
dad father
db database
dc washington
dept department
dir directory folder
doc document
doctor physician dr
earnings income
email e-mail mail
env environment
eu europe european
exam test examination
flat apartment
flu influenza
fridge refrigerator
func function
gift present
golang go
govt government
grandma grandmother granny
grandpa grandfather
holiday vacation
info information
internet online web website
intl international
invoice bill
js javascript
k8s kubernetes
kid child
la angeles
lab laboratory
lawyer attorney solicitor
lift elevator
macos mac
mail post
maths math mathematics
max maximum
meds medication medicine drug
min minimum
mobile phone cellphone smartphone telephone
mom mother mum
movie film
msg message
mt mount mountain
num number
nyc york
param parameter
pc computer laptop
petrol gas gasoline
photo picture image pic photograph
postgres postgresql
prof professor
repo repository
resume cv
rubbish trash garbage
sf francisco
site website
sofa couch
spouse partner
st street saint
stat statistic
store shop
temp temperature
tv television
tyre tire
uk britain british kingdom
uni university
us usa america american states
wage salary pay
"""
# What is done, and how it is.
_EVERYDAY = """
harmful bad unhealthy dangerous
rid remove delete eliminate
mic microphone
able possible capable allow permit
abolish end
absorb take
accelerate speed
accept allow support
accept take
accident crash collision
accurate correct exact precise right
accuse charge
achieve accomplish reach
add include attach put insert append
additional extra more another further
admire like
affect impact influence
age old
aid help assist assistance support
aim goal target
allow legal lawful permit
allow permit let enable able
amount money sum
amount number total
amount sum quantity
angry furious mad
announce declare
appear show seem display
apply applicable application
appoint name
area region
arrest catch
arrive come get reach receive deliver
ask request demand
assemble build
assignment homework
attack hit
attempt try
attend go visit
authenticate verify confirm prove
author writer write
auto automatic
available offer open provide
awesome great amazing wonderful fantastic
baby infant newborn
bad awful terrible horrible poor suck
bake cook
beat defeat overcome win
become get turn
begin start commence
belief view opinion
believe impression think
belong part member
benefit advantage perk pro upside
benefit significance importance
big large huge
birthplace born
blend mix
boil cook
boring dull
brave courageous bold
bright intelligent smart clever
bring take carry
broken damage fault faulty defect
build make create construct
buy purchase get order
calculate compute determine work figure
call name title
call phone ring contact
calm relaxed peaceful
cancel stop terminate end
capability ability
careful cautious
cause reason lead result
cellphone phone
certain sure confident
chance opportunity
change modify edit update alter switch amend adjust
cheap inexpensive affordable low
check verify see look inspect review
choose pick select
chop cut
city town
client customer
climb rise
close delete terminate
close shut end terminate cancel
code number
collect gather
combine merge join mix
compare comparison difference versus
complete finish end
compulsory mandatory obligatory require
conceal hide
confident self-confident
consume eat use
contact reach call message
convert turn change transform exchange translate
cook make prepare
cost free
cost price fee charge rate
country nation
course class module lesson
create make build set generate write
cry weep
cultivate grow
cure treat treatment remedy heal
curious interested
danger risk hazard
dangerous harmful unsafe risky
dangerous unsafe hazardous
deactivate disable
deal trade
debate discuss
declare report
decline reject refuse deny
decrease reduce lower cut
deduct take charge
delete remove erase clear
delicious tasty yummy
deliver ship send
demand require
demonstrate show
depend rely
desire want
destroy ruin
determine find decide figure calculate
develop build create
die death pass
differ different difference distinguish
different other another
different various multiple
difficult hard tough
direct manage
dirty filthy
discount reduction
dish meal
doctor gp
document paper
donate give
drawback disadvantage
drive go
drop fall
drug medication
duration long length
duty responsibility
eager keen
earlier previously before
earn make
easy simple effortless
educate teach
effect consequence result
effect impact influence
elective course
electric electricity
eliminate remove
employ hire
employ use
employee worker staff
employer boss company
enable activate turn
enough sufficient
ensure guarantee
enter put type input insert
environment surroundings
error issue problem bug fault mistake
escape flee
essay paper
essential vital
estimate guess
evaluate assess rate
evidence proof
evil wicked
exchange trade swap convert change switch
exhausted tired
exit leave
expect wait
expensive costly pricey
expire end
explain describe clarify tell define
extend prolong renew
factor cause
fail failure unsuccessful
fail working work trouble unable
famous known popular
fast quick rapid speed
fat overweight obese
fear scare
feature function option
feed give
fetch get
find learn
find locate look search get see discover
find obtain
first initial
fix repair solve resolve correct mend
flat level
fly flight
foolish silly stupid
forbid prohibit ban
frequent often common
friend buddy pal
funny humorous
furnish provide
gain get
garment clothes
gentle soft
genuine real authentic
get obtain receive acquire
good fine ok
good great nice best top excellent
gorgeous beautiful pretty lovely
grab take
grade mark score
grasp understand
grateful thankful
greet welcome
group team
guide tutorial instruction manual step
halt stop
handle manage deal
handsome attractive
happen occur
happy glad satisfied
happy joyful glad cheerful
heal recover
health healthy
height tall high
hint tip clue
hold offer
home house
honest truthful sincere
huge enormous giant massive gigantic
hurt harm damage injure
idea tip suggestion advice
identify recognize recognise
identity id identification
ignore disregard
ill sick
illness disease sickness
illustrate show
immediate instant
important essential crucial key significant
improve better boost enhance increase
inactivate deactivate
include contain cover
increase raise boost grow rise
inform tell notify
inhabitant people population
inquire ask
inspire motivate
instruction step guide procedure
intend plan
interest rate
invent create discover
issue problem trouble
jealous envious
job work occupation employment
join enter
journey trip travel
judge evaluate
keep continue
keep hold retain
kick hit
kid child children
kind nice
kind type sort
know aware
know learn
last final
law rule legal legislation regulation
lay put
lazy idle
learn study
least minimum lowest smallest
leave depart
lecture class lesson
lend give
lengthy long
limit maximum cap restriction
limit minimum
link connect attach
liquor alcohol
list provide name give
live reside stay
loan credit
locate situated place
location place site position area
lonely alone
long time duration
lose misplace
love like
lucky fortunate
make cause
make create produce
make get
manage run
mean meaning define definition stand
measure size
meeting appointment
method way technique
miss lose
modest humble
money salary fund cash payment
morning today
most maximum highest
near close
nearest closest
neat tidy
need require want must
nervous anxious worried
new replacement
next upcoming ensuing following coming
nickname name
noisy loud
normal usual typical regular
notice see
number amount count quantity
obey follow
object thing item
obligation duty
observe watch see
omit skip
open create
open start
operate run work
option choice alternative
original initial
pain hurt
parcel package
part piece component section
password passcode
patient calm
pay charge
pay payment paid
pay salary wage
people folk
person people human individual
persuade convince
place make
plan scheme
plant grow
polite courteous
pour put
praise compliment
predict forecast
prefer like
present gift
present show
prevent stop avoid
probable likely
procedure process step way
proceed continue go
product item
promise guarantee
proper correct appropriate
protect guard secure
protect prevent
prove show verify
provide give offer supply
pull draw
pupil student
purpose use point goal aim
put place
quiet silent
quit stop leave
quiz test
raise increase lift
reason cause explanation
receive accept
recent new latest
recipe make cook
recognise recognize familiar
recommend suggest advise good best
refund return money back
register enroll enrol sign
reign rule throne
relationship relation
religious spiritual
rent lease
replace change exchange swap
reply answer respond response
require need necessary
requirement limit
requirement need condition
rescue save
reset change
residence home
resign quit
restart reboot
restaurant place
result effect outcome
retrieve get recover
reveal show
rich wealthy
rinse wash
role job
route way
rubbish waste
rude impolite
rule restriction
run execute operate
sad unhappy depressed
safe secure
same identical equal
save keep store
say mean
say tell speak
scan check
scared frightened afraid
schedule timetable
scrub clean
seal close
see view look watch find
seek look
selfish self-centered
send pay
send transfer mail ship
separate divide split
serious severe grave
set put
setup set
several multiple various
sew stitch
shipment delivery
shipping delivery postage
shop buy
shout yell scream
shy timid
sign symbol
sign symptom
significance importance meaning
signup register
similar alike like same
simple plain
situation case
size big large
skill ability
skilled talented
sleep rest
slim thin lean
smell stink
soak wet
soil dirt
solution answer fix
sort order
speak language
specific particular certain
spend pay
spouse wife husband
stain mark spot
state condition
stay remain
steal rob
steal take
stop end quit prevent
stop finish end
strange odd weird unusual
street road
strike hit
strong powerful
stubborn obstinate
stuck trap jam
stupid dumb
submit make send
succeed work
successful prosperous
suitable good right appropriate
sum add
supper dinner
swallow pull take eat keep
sweep clean
take last
take use
take withdraw
talk call chat speak
talk discuss
task job
teach learn
teacher instructor tutor professor
term condition
term semester
term word
think believe feel
ticket pass
tiny small little
tool instrument
tool software
top-up deposit
total sum
total whole
track find
train teach
transaction payment
transfer send move
translate translation
transport move carry
travel go
travel trip fly
trouble difficulty
truck lorry
true real
trust believe
trustworthy reliable dependable
turn rotate
turn switch
underground subway metro
understand know
undo revert
unite join
university college
unlock open
update change upgrade
upload send
upper-level highest-level
use usage
use utilize apply
useful helpful
vacation trip
value worth price
vanish disappear
vehicle car
verify validate check
visible see
vital important
vocal outspoken
voucher coupon code
walk go
wander walk
want like wish
warranty guarantee
wash clean
way method manner
weak poor
wear use
weigh weight
well good
whole entire full
win victory
wipe clean
work function operate
workout exercise training
world earth globe
worry concern
worth count carry
worth good
wrong error
wrong incorrect bad
year age
year annual
young youth
"""
SYNONYMS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split()) for text in (_THINGS, _EVERYDAY) for line in text.strip().splitlines()
)
