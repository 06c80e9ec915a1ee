"""Everyday English, by which the entity guard tells a name from a word that merely says something another way. Data.

Written by hand for this purpose; checked against the 5,000 most frequent words of BERT's English vocabulary without
its names of people and places, and against the Academic Word List. A word missing here is taken for a name, which can
only refuse a hit, never allow one.
"""

from __future__ import annotations

# Verbs, qualities, abstract things: paraphrases put one for another.
EVERYDAY = frozenset(
    """
    abandon ability able abroad absence absent absolute absolutely absorb abstract abundant abuse academic accent
    accept acceptable acceptance access accessible accident accidentally accommodate accompany accomplish according
    account accumulate accurate accuse achieve achievement acknowledge acquire act action activate activated active
    activity actual ad adapt adaptation add addition additional additionally address adequate adjacent adjust
    administrate administration administrative admire admit admitted adopt adult advance advancement advantage
    advertising advice advise advocacy affairs affect affection affiliation afford affordable afraid afterward
    afterwards age agency agent aggregate aggressive aging agree agreement ahead aid aim air airport alarm albeit
    album alert alike alive alleged allocate allow alone alongside alot aloud alright alter alternate alternative
    altogether amateur amaze amazing ambiguous ambitious amend amid amount amuse analogy analyse analysis analyze
    ancient anger angry animal announce announcement annoy annoying annual answer anti anticipate anticipation
    anxiety anxious anymore anyplace anyway anywhere apart apartment apologize apology app apparent apparently
    appeal appear appearance append application apply appoint appointment appreciate appreciation approach
    appropriate approval approve approximate approximately arbitrary area argue argument arise arm army arrange
    arrangement arrest arrival arrive art article artificial artist asap aside ask asleep aspect assault assemble
    assert assess assessment assets assign assignment assist assistance assistant associate assume assumption assure
    astonish atmosphere attach attachment attack attain attempt attend attention attitude attract attraction
    attractive attribute audience author authorise authority authorize auto automate automatic automatically
    autonomy availability available average avoid await awake award aware awareness awesome awful awhile awkward
    baby back background backup backward bad bag bake balance ball ban band bank bar barely bargain base basic basis
    bath battery battle beach beat beautiful beauty become bed bedroom beforehand beg begin beginner behalf behave
    behavior behaviour belief believe belong belt bend beneath benefit best bet betray better bias big biggest bike
    bill billion biography biological birth birthday bit bite bitter bizarre blame blank bleed blend bless blind
    block blog blood blow board boat body boil bonus book boost border boring born borrow boss bothersome bottle
    bottom bounce boundary bow bowl box boy boyfriend branch brand brave breach break breakdown breakfast
    breakthrough breath breathe brick bride bridge brief bright brilliant bring broad broadcast broken brother
    browser brush brutal buddy budget budget-friendly bug build building bulk bully bunch burn burst bury bus
    business busy button buy cable calculate calculator calendar call calm camera camp campaign cancel candidate
    candle cap capability capable capacity capital captive captured car card care career careful carry case cash
    casual casualties catch category cause cease celebrate celebration cell cent center central century certain
    certainly certificate certified chain chair challenge chance change channel chaos chapter character
    characteristic charge charitable charity chart chase chat cheap cheat check checklist checkout cheer chemical
    chest chew chief child childhood choice choke choose chop chronic church circle circulate circumstance citation
    cite citizen city civil civilian claim clarify class classic classification classified clause clean clear
    clearly clever click client climate climb clock close closeby closure clothes cloud club clue cluster clutch
    coach coat code cognitive coherent coin coincide cold collaborate collaboration collapse colleague collect
    collective college color colour column combination combine come comfort comfortable coming command commemorate
    commence comment commerce commercial commission commit commitment common communicate communication
    communications community commute compact companion company comparable comparative compare comparison compatible
    compensate compensation compete competition competitive compile complain complement complete completely complex
    compliance complicated complication complications component compose composition compound comprehend
    comprehensive comprise compromise compromised compute computer conceal conceive concentrate concentration
    concept conception concern conclude conclusion concurrent condition conduct confer conference confess confidence
    confident configuration configure confine confirm conflict conform confuse confusion congratulate connect
    connection cons conscious consent consequence consequent conservation conservative conserve consider
    considerable consideration consist consistent conspiracy constant constantly constitute constitutional constrain
    construct consult consume contact contain contemporary content contest context continent continue continuity
    continuous contract contradict contrary contrast contribute contribution control controversial controversy
    convene convenient conventional conversation conversational converse conversion convert convince cook cookie
    cool cooperate cooperation coordinate cope copy core corner corporate correct correctly correspond cost costly
    count counter country county couple courage courageous course court cousin cover coverage crack crap crash crawl
    crazy create creation creative credit crime criminal criteria criterion critical criticise criticism criticize
    cross crowd crucial cruel crush cry cultivate cultural culture cup cure curious currency current currently
    curriculum custom customer cut cute cycle dad daily damage damn damp dance danger dangerous dare dark data
    database date daughter day dead deadline deal dear death debate debit debt decade decay deceive decide decision
    decisive deck declaration declare decline decorate decoration decrease dedicate dedication deduce deem deep
    default defeat defend define definite definitely definition degree delay delete delicate delicious delight
    deliver delivery demand demo democracy demolish demonstrate denote deny depart department departure depend
    dependent deposit depression depth derive descend describe description desert deserve design designated desire
    desk desperate despite destination destruction detached detail detect detention deteriorate determination
    determine develop developer deviate device devote devotion dialogue diameter die diet differ difference
    different differentiate differently difficult difficulty dig digit digital dignity dim dimension diminish dinner
    direct direction director dirty disability disadvantage disagree disappear disappoint disaster discard
    discipline discount discourage discover discrete discrimination discuss discussion disease disguise dish dislike
    dismiss displace displacement display disposal dispose dispute dissolve distance distant distinct distinction
    distinctive distinguish distort distracted distribute distribution disturb diverse divide document documentation
    dollar domain domestic dominant dominate donate donation donations door double doubt download downside
    downstairs downstream downtown downward dozen dozens draft drag drama dramatic draw drawback dream dress drink
    drive driver drop dropdown drown drug dry dude due dull dump duplicate duration dust duty dying dynamic eager
    earlier early earn ease easiest easily east easy eat ecological economic economy edge edit educated education
    effect effective effectiveness efficiency efficient effort elaborate elect election electric electronic elegant
    element elevated eligibility eligible eliminate elimination elsewhere email embarrass embassy embedded embrace
    emerge emergency emit emotion emotional emphasis emphasize employ employee employer employment empty enable
    enclose encounter encourage end endless endure enemy energy enforce enforcement engaged engagement engine
    enhance enjoy enlarge enormous enough enrol enroll ensuing ensure entail enter entertainment enthusiasm entire
    entirely entitled entity entrance entry envelope environment environmental episode equal equate equation equip
    equipment equivalent erase erect erode error escape escort especially essay essential establish establishment
    estate estimate ethical ethics evacuated evaluate evaluation evening event eventual eventually everyday
    everywhere evidence evident evidently evil evolution evolve exact exactly exaggerate exam examination examine
    example exceed excellence excellent exception exceptional excessive exchange excite excitement exclude
    exclusively excuse execute exempt exercise exhaust exhibit exist existence expand expansion expect expectation
    expectations expel expense expensive experience experimental expert expertise expire expiry explain explanation
    explicit exploit explore explosion export expose exposure express expression extend extension extensive extent
    external extra extract extraordinary extreme face facilitate facilities facility fact factor factory fail
    failure fair faith faithful fake fall false fame familiar family famous fan fantastic far farm fascinate fashion
    fast fasten fastest fat father fault faulty favor favorable favorite favorites favourable favourite fear
    feasible feature fee feed feedback feel feeling fellow female fence fetch fiction fictional field fierce fight
    figure file fill film final finally finance financial find fine finest finish finite fire firm firstly fit
    fitness fix flag flat flaw fled flee flexible flicker flight flood floor flow flower fluctuate fly focus fold
    folder folks follow following fond food foolish forbid forbidden force forecast foreign forest forever forget
    forgive form formal format formation former formerly formula forth forthcoming forum forward foul found
    foundation fraction framework fraud free freedom freeze frequency frequent frequently fresh friend friendly
    frighten front frown fruit frustrate fry fuel fulfil fulfill full fun function functional fund fundamental funny
    fur furious furniture furthermore future gadget gain game garden gas gasp gate gather gaze gear general
    generally generate generation generic generous genetic genre gentle gentleman genuine gesture gift gigantic girl
    girlfriend glad glance glitch global globally glow goal god good gotten government grab grade gradual gradually
    graduate grain grammar grand grandchild grandfather grandmother grant grasp grateful great greatest greet
    greetings grin grind grip grocery ground group grow growth guarantee guard guess guest guidance guide guideline
    guilty gun guy habit half halfway hall halt handful handle handsome handy hang happen happiness happy hard
    hardest hardly hardware harm harmony harsh hassle hasten hat hate head headache heal health healthcare healthy
    hear heat heavily heavy height helpful helpless hence heritage hesitate hide hierarchy high highest highlight
    hill hinder hint hire historic historical historically hit hobby hold holder hole holiday home homeless homework
    honest honorable honour hope horrible hospital hot hotel hour house household huge human humble humor hundred
    hungry hunt hurry hurt husband hypothesis idea ideal identical identification identify identity ignorant ignore
    illegal illness illusion illustrate image imagination imagine immediate immediately immigrant immigration impact
    implement implementation implicate implications implicit imply import importance important impose impossible
    impress impression impressive improve improvement incentive inception inch incidence incident incline include
    income incorporate increase incredible indeed independence independent index indicate individual indoor induce
    industry inevitable infection infer influence influential info inform information infrastructure ingredient
    inherent inherit inhibit initial initially initiate initiative injure injury inner innocence innocent innovate
    innovation innovative input inquire insane insert inside insight inspect inspire install installation
    installment instalment instance instant institute institution instruct instruction instrument insult insurance
    integral integrate integrity intellectual intelligence intelligent intend intense intensity intensive intention
    interact interaction interest interested interfere interference intermediate internal international
    internationally internet interpret interpretation interrupt interval intervene interview intrinsic introduce
    introduction invade invalid invent invest investigate investigation investment invitation invite invoice invoke
    involve involvement irregular irritate irritated irritating island isolate isolated isolation issue item jacket
    jail jealous job jog join joint joke journey judge judgment jump junior jury justice justify keen keep key
    keyboard kick kid kill kilo kilometres kind king kiss kitchen kneel knife knit knock knowledge label lack lad
    lady lake lame lamp land landscape language laptop large largest last lastly late lately latter laugh launch law
    layer lazy lead leader leadership leaf league lean learn least leave left legal legislate leisure lend length
    less lessen lesson letter level liberate library licence license lie life lifetime lift light likewise limit
    limitation limitations line linger link lip liquid list listen literally literary literature little live load
    loan local locally locate location lock locked log logic logical login logo logout long longest look lookup
    loose loosen lose loss lost lots loud love lovely low lower lowest loyal loyalty luck lucky lunch luxury machine
    magazine magnificent mail main maintain maintenance major majority make maker male man manage manager mandatory
    manipulate manner manual manufacture map march margin mark market marketing marriage marry mass massive master
    match mate material matter mature max maximise maximize maximum meal mean meaning meantime meanwhile measure
    measurement meat mechanical mechanics mechanism media mediate medical medicine medium meet meeting member
    membership memorable memory mend mental mention menu merchant merely merge mess message metal meter method metre
    middle midnight migrate mild mile military million min mind mineral miniature minimal minimise minimize minimum
    minor minority minute miracle mirror miserable miss missing mission mistake mix mixture mobile mobility mode
    model moderate modern modification modifications modify moment momentum money monitor monster month monthly mood
    moreover morning mortality mortgage mostly mother motion motivate motivation motive motor mountain mourn mouth
    move movement movie multiple multiply mumble murder murmur muscle muscular museum music musician mutter mutual
    mysterious mystery nail name named narrative narrow nasty nation national nationwide native natural nature
    nearby nearly neat necessary necessitate necessity needle negate negative neglect negotiate neighbor
    neighborhood neighbour nervous net network neutral nevertheless new newbie news newspaper next nice nickname
    night nod noise nominate nomination nonetheless noon norm normal north notable notably note notice notify notion
    notorious nourish novel novice nowadays nowhere nuclear number numerous obey object objective oblige observation
    observe obtain obvious obviously occasion occasional occasionally occupation occupy occur ocean odd oddly offend
    offensive offer offered office officer official offline offset offshore old omit ongoing online onwards open
    operate operation operational operator opinion opponent opportunity oppose opposite opt option optional order
    ordinary organic organise organization organizational organize orient origin original originally outcome outdoor
    outer outline output outside outstanding oven overall overcome overdue overlap overlook overnight overseas
    overview overwhelm owe owed owing owner pack package page paid pain painful paint pair pal palace pan panel
    panic parallel parameter parcel parent park part partial partially participant participants participate
    participation particular particularly partner partnership party pass passage passcode passenger passion passive
    passport password past pat path patient pattern pause pay payable payment peace peaceful peak peel pen penalty
    pencil pending penetrate pension people perceive percent percentage perfect perform performance period permanent
    permanently permissible permission permit persist person personal personality perspective persuade pesky pet
    phase phenomenon phone photo photograph phrase physical pick picks picture piece pill pin pipe pissed pitch
    place placement plan plane planet planning plant plate platform play player plead pleasant pleasure plenty plot
    plus pocket poem poet point poison police policy polish polite political politician politics pool poor popular
    popularity population popup port portable portion pose position positive possess possession possibility possible
    possibly post postpone pot potential pound pour power practical practice pray precede precious precise precision
    predict predominant prefer preference pregnant preliminary preparation prepare prescription presence present
    presentation presently preserve president press pressure presumably presume pretend pretty prevent prevention
    preview previous previously price priced pricing pride primary prime prince princess principal principle print
    printer prior priority prison privacy private prize probability probable probably problem procedure proceed
    process produce product production productive profession professional professor profile profit program programme
    programming progress progressive prohibit project prolific prolong prominence prominent promise promote
    promotion prompt pronounce proof proper properly property proportion proposal propose pros prospect protect
    protection protein protocol proud prove proven provide provider provoke proximity public publication publish
    pull pump punctual punish purchase pure purpose pursue pursuit push put puzzle qualification qualify quality
    quantity quarter queen question quick quickest quickly quiet quit quotation quote race radical radio rain raise
    random range rapid rare rarely rate ratio rational raw reach react reaction reactivate read reader ready real
    realise realistic reality realization realize realm rear reason reasonable reassure rebel recall recap receipt
    receive receiver recent recently reception recharge recipe recipient reckon recognise recognition recognize
    recommend recommendation recommendations reconfigure reconnect reconsider record recover recruit recycle reduce
    reduction refer reference refine reflect reflection refresh refund refuse regain regarding regardless regards
    region register registration regret regular regulate regulation rehearse reinforce reinstall reinstate reject
    rejoice relate relation relationship relative relax release relevant reliable relief religion reload relocate
    reluctance reluctant rely remain remainder remaining remarkable remedy remember remind remote removal remove
    rename render renew renowned rent reopen repair repay repeat replace replacement reply report represent
    representation representative reputation request require requirement rescue research resemble resend resent
    reservation reserve reset reside residence resident resign resist resistance resize resolution resolve resource
    respect respective respond response responsibility responsible rest restaurant restoration restore restrain
    restrict restriction resubmit result retail retain retire retrieve retry return reunite reveal revenue reverse
    revert review revise revive revolution revolve reward rich ride ridiculous right rigid ring rise risk river road
    rob rock role roll rollback romantic roof room root rope rotate rough round roundup route routine row royal rub
    rude ruin rule rumor rumors run rush sacrifice sad safe safety sake salary sale sample sand satisfaction
    satisfied satisfy sauce savage save say scale scam scan scare scared scatter scenario scene schedule scheme
    school science scientist scissors scold scope score scratch scream screen script sea seal search season seasonal
    seat second secondary secondly secret section sector secure security see seed seek seem segment seize seldom
    select selection selective self sell send sender senior sensation sense sensitive sentence separate separation
    sequence series serious serve server service session set setting settings settle setup several severe sex shade
    shadow shake shape share sharp sheet shelf shelter shield shift shine ship shirt shock shoe shoot shop shore
    short shortened shortest shortly shot shout shove shower shrink shrug shut shutdown shy sibling sick side
    sideways sigh sight sign signal signature significance significant signin signup silence silent silly similar
    similarities similarity simple simpler simplest simulate simulation simultaneously sincere sing single sink sir
    sister sit site situated situation size skill skip sky slam sleep slice slide slightly slip slow slowly small
    smallest smart smash smell smile smoke smooth snack snap sneeze snippet snow soap social society soft software
    soil sole solid solution solve somehow someplace sometime somewhat song soon sophisticated sore sorry sort soul
    sound source south space spare speak special specialized specialty specific specifically specification specify
    spectacular speculation speech speed speedy spell spend spin spirit spiritual spite splendid split spoil sponsor
    spoon sport spot spray spread spring square squeeze stability stable stack staff stage stain stair stamp stand
    standard star stare start startup starve state statement station statistic statistics status stay steady steal
    steam step stick stimulate stop storage store storm story straight straighten straightforward strange stranger
    strategy stream street strength strengthen stress stretch strict strike string strip strong structural structure
    struggle stubborn student study stuff stuffed stunning stupid style subject submission submit subscribe
    subscription subsequent subsequently substance substantial substitute subtle success successful successfully
    successor suck sucks sudden suddenly sue sued suffer sufficient suggest suggestion suit suitable sum summarise
    summarize summary summer summit summon superb superior supermarket supernatural supervise supervision supplement
    supplier supplies supply support suppose supposedly suppress sure surely surface surgery surprise surrender
    surround survey survival survive survivor suspect suspend suspicion suspicious sustain swallow swap swear sweep
    sweet swell swift swim swing switch symbol symbolic sympathy symptom syndrome system systematic table take
    talent talk tall tank tap target task taste tax taxi teach team tear tease technical technique technology
    teenager telephone television temperature template temporarily temporary tempt tend tension term terminal
    terminate terrible terrific test testimony text theme theory therapy thereafter thereby therefore thick thief
    thin think thought thoughts thousand thread threat threatened threshold throughout throw thus ticket tidy tie
    tight time tiny tip tire tired title toast today together toilet tolerate tomorrow ton tonight tons tool top
    topic toss total touch tough tour tourist towel tower town toy trace track trade tradition traditional traffic
    trail train training trait traits transaction transfer transform transformation transition translate translation
    transmit transport transportation trap travel treat treatment tree tremble tremendous trend trial trick tricks
    tricky trigger trim trip triumph trouble troubleshoot truck true truly trust trustworthy truth try tube tuck tug
    turn tutorial twice twin twist type typical typo ugly ultimate ultimately umbrella unable unauthorized
    uncertainty uncle unclear uncomfortable unconscious undergo underground underneath understand undertake undo
    unfamiliar unfold unhappy unhelpful uniform unify union unique unit unite universal universe university unknown
    unlike unlikely unlimited unlock unlucky unnecessary unpaid unread unreasonable unreliable unresponsive unsafe
    unsatisfied unsuccessful unsure untrue unusual unwanted unwell upcoming update upfront upgrade upload upper
    upright upset upside upstairs uptown upward urgent urgently usable usage useful useless user username usual
    usually utilise utility utilize utter vacant vacation vaccine vague valid validate valley valuable value vanish
    variant variation variety various vary vast vegetable vehicle venture venue verbal verification verify version
    versus vertical victim video view village violate violence violent virtual virus visa visible vision visit
    visitor visual vital vitamin vivid voice volume voluntary volunteer vote vulnerable wage wait wake walk
    walkthrough wall wallet wander war warm warn warning wash waste watch wave weak weaken weakness wealth weapon
    wear weather weave web website wedding week weekend weekly weep weight weird weirdly welcome welfare well-known
    west wet wheel whereby whisper whole wide widespread wife wild win wind window wing winner winter wipe wire
    wireless wise wish withdraw withdrawal withstand witness woman wonder wonderful word work workaround worker
    workout world worldwide worried worries worry worse worst worth wound wrap write writer wrong yank yard year
    yell yesterday yield yoga young youth zero zone
    """.split()
)

# Concrete things: one put for another is another question (“coffee” is not “tea”), however common the word is.
THINGS = frozenset(
    """
    algebra almond aluminium aluminum ankle ant apple architect asthma astronomy avocado bacon badminton banana
    baseball basketball bean bear bee beef beer biology bird black blue blueberry bone boxing bracelet brain bread
    broccoli bronze brown burger butter butterfly cabbage cactus cake calculus camel cancer candy carbon carpenter
    carrot cat cheese chef chemistry cherry chicken chinese chlorine chocolate cinnamon coconut coffee concrete
    copper corn cotton cow crab cream cricket crocodile cucumber daisy deer dentist diabetes diamond doctor dog
    dolphin drum duck eagle ear earring earth economics egg elbow electrician elephant engineer english eye farmer
    fever finger fish flour flu flute foot football fox french frog garlic geography geology geometry german ginger
    giraffe glass goat gold golf gorilla grape grass gravity gray green grey guitar guitarist hair ham hamster hand
    hawk heart helium history hockey honey horse hydrogen ice inflation iron italian japanese juice jupiter kangaroo
    kidney kitten knee lamb lawyer leather leg lemon lettuce lily lime lion liver lizard lobster lung magnetism
    malaria mango maple marble mars math mathematics melon mercury milk monkey moon mosquito mouse mushroom neck
    necklace neptune nickel nitrogen noodle nose nurse nut oak oat octopus oil onion orange owl oxygen palm paper
    parrot pasta pea peach peanut pear penguin pepper philosophy physics piano pie pig pilot pine pineapple pink
    pizza plastic platinum plum plumber pluto pork potato psychology puppy purple rabbit raspberry rat recession red
    rice rose rubber ruby rugby rum salad salmon salt sandwich saturn sausage shark sheep shoulder shrimp silk
    silver skin snake soccer sociology soda soldier soup spanish spider spinach steak steel stomach stone strawberry
    sugar sulfur sun sunflower swimming tea teacher tennis throat tiger tin titanium toe tomato tongue tooth trumpet
    tulip tuna turkey turtle uranium uranus vanilla venus vinegar violin vodka volleyball wasp water whale wheat
    whiskey whisky white wine wolf wood wool wrestling wrist yellow yogurt zinc
    """.split()
)
