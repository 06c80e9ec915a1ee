"""Everyday English, by which the entity guard tells a name from a word that merely says something another way. Data.

Written by hand for this purpose; checked against the 5,000 most frequent words of BERT's English vocabulary without
its names of people and places, and against the Academic Word List. A word missing here is taken for a name, which can
only refuse a hit, never allow one.
"""

from __future__ import annotations

# Verbs, qualities, abstract things: paraphrases put one for another.
EVERYDAY = frozenset(
    """
    abandon ability able abroad absence absolute absolutely absorb abstract abuse academic accept acceptable access
    accessible accident accidentally accommodate accompany accomplish account accumulate accurate accuse achieve
    achievement acknowledge acquire act action active activity actual ad adapt adaptation add addition additional
    additionally address adequate adjacent adjust administrate administration administrative admire adopt adult
    advance advantage advice advise affect afford affordable afterwards age agency agent aggregate agree agreement
    aid aim air airport alarm album alert alive allocate allow alone alright alter alternate alternative amateur
    amaze amazing ambiguous amend amount amuse analogy analyse analysis analyze ancient anger angry animal announce
    annoy annoying annual answer anti anticipate anxious anymore anyway anywhere apart apartment app apparent
    apparently appeal appear appearance append application apply appoint appointment appreciate approach appropriate
    approval approve approximate approximately arbitrary area argue argument arise arm army arrange arrangement
    arrest arrival arrive art article artificial artist asap aside ask asleep aspect assemble assert assess
    assessment assign assist assistance assistant associate assume assure astonish atmosphere attach attachment
    attack attain attempt attend attention attitude attract attribute audience author authorise authority authorize
    auto automate automatic automatically availability available average avoid await awake award aware awareness
    awesome awful baby back background bad bag bake balance ball ban band bank bar barely bargain base basic basis
    bath battery battle beach beat beautiful beauty become bed bedroom beg begin beginner behalf behave behavior
    behaviour belief believe belong belt bend benefit best bet betray better bias big biggest bike bill billion
    biography biological birth birthday bit bite bitter blame blank bleed blend bless blind block blog blood blow
    board boat body boil bonus book boost border boring born borrow boss bottle bottom bounce boundary bowl box boy
    branch brand brave breach break breakdown breakfast breath breathe brick bridge brief bright bring broad
    broadcast broken brother browser brush budget bug build building bulk bully burn bury bus business busy button
    buy cable calculate calculator calendar call calm camera camp campaign cancel candidate candle cap capability
    capable capacity capital captured car card care career careful carry case cash catch category cause cease
    celebrate celebration cell cent center central century certain certainly certificate certified chain chair
    challenge chance change channel chapter character characteristic charge charity chart chase chat cheap cheat
    check cheer chemical chest chew chief child childhood choice choke choose chop church circle circulate
    circumstance cite citizen city civil civilian claim clarify class classic classification clause clean clear
    clearly clever click client climate climb clock close clothes cloud club coach coat code coherent coin coincide
    cold collaboration collapse colleague collect collective college color colour column combination combine come
    comfort comfortable coming command commence comment commerce commercial commission commit common communicate
    communication communications community commute company compare comparison compatible compensate compete
    competition competitive compile complain complement complete completely complex component compose composition
    compound comprehend comprehensive comprise compute computer conceal conceive concentrate concentration concept
    concern conclude conclusion concurrent condition conduct confer conference confess confidence confident confine
    confirm conflict conform confuse confusion congratulate connect connection cons consent consequence consequent
    conservation conservative conserve consider considerable consideration consist constant constantly constitute
    constitutional constrain construct consult consume contact contain contemporary content contest context
    continent continue continuous contract contradict contrary contrast contribute contribution control
    controversial controversy convene convenient conventional conversation converse conversion convert convince cook
    cookie cool cooperate cooperation coordinate cope copy core corner corporate correct correctly correspond cost
    count counter country county couple courage courageous course court cousin cover crash crawl crazy create
    creation creative credit crime criminal criteria criterion critical criticise criticism criticize cross crowd
    crucial cruel crush cry cultivate cultural culture cup cure curious currency current custom customer cut cute
    cycle dad daily damage damp dance danger dangerous dare dark data database date daughter day dead deadline deal
    dear death debate debit debt decade deceive decide decision deck declaration declare decline decorate decrease
    dedicate deduce deep default defeat defend define definite definitely definition degree delay delete delicious
    delight deliver delivery demand democracy demonstrate denote deny depart department departure depend dependent
    deposit depression depth derive descend describe description desert deserve design desire desk desperate despite
    destination destruction detail detect deteriorate determine develop developer deviate device devote dialogue
    diameter die diet differ difference different differentiate differently difficult difficulty dig digit digital
    dignity dim dimension diminish dinner direct direction director dirty disability disadvantage disagree disappear
    disappoint discard discount discourage discover discrete discrimination discuss discussion disease disguise dish
    dislike dismiss displace display dispose dispute dissolve distance distant distinct distinction distinguish
    distort distribute distribution disturb diverse divide document documentation dollar domain domestic dominant
    dominate donate door double doubt download downside dozen draft drag drama dramatic draw drawback dream dress
    drink drive driver drop drown drug dry dull dump duration dust duty dying dynamic eager earlier early earn ease
    easiest easily east easy eat economic economy edge edit education effect effective efficiency efficient effort
    elect election electric electronic elegant element eligible eliminate email embarrass embassy emerge emergency
    emit emotion emotional emphasis emphasize employ employee employer employment empty enable enclose encounter
    encourage end endure enemy energy enforce enforcement engagement engine enhance enjoy enlarge enormous enough
    enrol enroll ensuing ensure entail enter entertainment entire entirely entity entrance entry envelope
    environment environmental episode equal equate equip equipment equivalent erase erect erode error escape
    especially essay essential establish establishment estate estimate evaluate evaluation evening event eventual
    eventually everywhere evidence evident evidently evil evolution evolve exact exactly exaggerate exam examination
    examine example exceed excellence excellent exception exchange excite exclude exclusively excuse execute
    exercise exhaust exhibit exist existence expand expansion expect expense expensive experience experimental
    expert expire expiry explain explanation explicit exploit explore explosion export expose exposure express
    expression extend extension extent external extra extract extreme face facilitate facilities facility fact
    factor factory fail failure fair faith fake fall false fame familiar family famous fan fantastic far farm
    fascinate fashion fast fasten fastest fat father fault faulty favor favorite favourable favourite fear feasible
    feature fee feed feel feeling fellow female fence fetch fiction fictional field fierce fight figure file fill
    film final finance financial find fine finest finish finite fire firm fit fitness fix flag flat flaw flee
    flexible flight flood floor flow flower fluctuate fly focus fold folder folks follow following fond food foolish
    forbid force forecast foreign forest forever forget forgive form formal format former formula forthcoming forum
    found foundation framework fraud free freedom freeze frequency frequent frequently fresh friend friendly
    frighten front fruit frustrate fry fuel fulfil fulfill full fun function fund fundamental funny fur furious
    furniture furthermore future gain game garden gas gate gather gear general generally generate generation
    generous genetic genre gentle gentleman genuine gift gigantic girl glad global goal god good gotten government
    grab grade gradual gradually graduate grain grammar grand grandfather grandmother grant grateful great greatest
    greet greetings grind grocery ground group grow growth guarantee guard guess guest guide guideline guilty gun
    guy habit half hall halt handle handy hang happen happy hard hardest hardly hardware harm harsh hasten hat hate
    head headache heal health healthcare healthy hear heat heavily heavy height hence heritage hesitate hide
    hierarchy high highest highlight hill hinder hire historic historical historically hit hobby hold holder hole
    holiday home homework honest honour hope horrible hospital hot hotel hour house household huge human humble
    hundred hungry hunt hurry hurt husband hypothesis idea ideal identical identify identity ignorant ignore illegal
    illness illustrate image imagine immediate immediately immigrant immigration impact implement implementation
    implicate implicit imply import importance important impose impossible impress impression impressive improve
    improvement incentive inch incidence incident incline include income incorporate increase incredible indeed
    independence independent index indicate individual indoor induce industry inevitable infection infer influence
    influential info inform information ingredient inherent inherit inhibit initial initiate initiative injure
    injury innocent innovate innovation input inquire insert inside insight inspect inspire install instance instant
    institute institution instruct instruction instrument insult insurance integral integrate integrity intellectual
    intelligence intelligent intend intense intensity intention interact interest interested interfere intermediate
    internal international internet interpret interpretation interrupt interval intervene interview intrinsic
    introduce introduction invade invalid invent invest investigate investigation investment invite invoice invoke
    involve involvement irritate island isolate issue item jacket jail jealous job jog join joke journey judge jump
    junior jury justice justify keep key keyboard kick kid kill kilo kilometres kind king kiss kitchen kneel knife
    knit knock knowledge label lack lady lake lamp land language laptop large largest last late latter laugh launch
    law layer lazy lead leader leaf league learn least leave left legal legislate lend length less lessen lesson
    letter level liberate library licence license lie life lift light likewise limit line linger link lip liquid
    list listen literally literary literature little live load loan local locate location lock locked log logic
    login logo long longest look loose lose loss lost loud love lovely low lower lowest loyal luck lucky lunch
    machine magazine magnificent mail main maintain maintenance major majority make maker male man manage manager
    mandatory manipulate manner manual manufacture map march margin mark market marketing marriage marry mass
    massive master match material matter mature max maximise maximize maximum meal mean meaning meanwhile measure
    meat mechanical mechanism media mediate medical medicine medium meet meeting member membership memory mend
    mental mention menu merchant merely merge mess message metal meter method metre middle midnight migrate mild
    mile military million min mind mineral minimal minimise minimize minimum minor minority minute mirror miss
    missing mission mistake mix mixture mobile mode model modern modify moment money monitor monster month monthly
    mood morning mortgage mostly mother motion motivate motivation motive motor mountain mourn mouth move movie
    multiple multiply murder muscle museum music musician mutual mysterious mystery nail name named narrative narrow
    nation national native natural nature nearby nearly neat necessary necessitate needle negate negative neglect
    negotiate neighbor neighborhood neighbour nervous net network neutral nevertheless new news newspaper next nice
    night noise nominate nonetheless noon norm normal north notable notably note notice notify notion notorious
    nourish novel nowhere nuclear number numerous obey object objective oblige observation observe obtain obvious
    obviously occasion occasional occasionally occupy occur ocean odd offend offensive offer offered office officer
    official offline offset old omit ongoing online open operate operation operator opinion opponent opportunity
    oppose opposite opt option order ordinary organic organise organization organize orient origin original outcome
    outdoor outer outline output outside outstanding oven overall overcome overlap overlook overseas overview
    overwhelm owe owner pack package page paid pain paint pair palace pan panel panic parallel parameter parcel
    parent park part partial partially participate participation particular particularly partner partnership party
    pass passage passcode passenger passion passive passport password past path patient pattern pause pay payment
    peace peak peel pen penalty pencil pending penetrate pension people perceive percent percentage perfect perform
    performance period permanent permanently permission permit persist person personal personality perspective
    persuade pet phase phenomenon phone photo photograph phrase physical pick picture piece pill pin pipe place plan
    plane planet planning plant plate platform play player plead pleasant pleasure plenty plot plus pocket poem poet
    point poison police policy polish polite political politician politics pool poor popular popularity population
    port portion pose position positive possess possibility possible possibly post postpone pot potential pound pour
    power practical practice pray precede precious precise predict predominant prefer pregnant preliminary
    preparation prepare prescription presence present preserve president press pressure presumably presume pretend
    pretty prevent previous price pride primary prime prince princess principal principle print printer prior
    priority prison private prize probability probable probably problem procedure proceed process produce product
    production profession professional professor profile profit program programme programming progress progressive
    prohibit project prolong prominent promise promote prompt proof proper properly property proportion proposal
    propose pros prospect protect protection protein protocol proud prove provide provider provoke public
    publication publish pull pump punctual punish purchase pure purpose pursue push put puzzle qualification qualify
    quality quantity quarter queen question quick quickest quickly quiet quit quote race radical radio rain raise
    random range rapid rare rarely rate ratio rational raw reach react reaction reactivate read reader ready real
    realise reality realize rear reason reassure rebel recall receipt receive receiver recent recently reception
    recharge recipe recipient reckon recognise recognition recognize recommend reconsider record recover recruit
    recycle reduce reduction refer reference refine reflect refresh refund refuse regain regarding regardless
    regards region register registration regret regular regulate regulation rehearse reinforce reinstate reject
    rejoice relate relation relationship relative relax release relevant reliable relief religion relocate
    reluctance rely remain remainder remaining remarkable remedy remember remind remote remove render renew renowned
    rent repair repay repeat replace replacement reply report represent representation representative reputation
    request require requirement rescue research resemble resent reservation reserve reset reside residence resident
    resign resist resistance resolution resolve resource respect respective respond response responsibility
    responsible rest restaurant restore restrain restrict result retail retain retire retrieve return reunite reveal
    revenue reverse revert review revise revive revolution revolve reward rich ride ridiculous right rigid ring rise
    risk river road rob rock role roll rollback romantic roof room root rope rotate rough round route routine row
    royal rub rude ruin rule run rush sacrifice sad safe safety salary sale sample sand satisfy sauce save say scale
    scam scan scare scared scatter scenario scene schedule scheme school science scientist scissors scold scope
    score scratch scream screen script sea seal search season seat second secondary secret section sector secure
    security see seed seek seem segment seize seldom select selection self sell send sender senior sense sensitive
    sentence separate sequence series serious serve server service session set settings settle setup several severe
    sex shadow shake shape share sharp sheet shelf shelter shield shift shine ship shirt shock shoe shoot shop short
    shortest shot shout shower shrink shut shy sick side sigh sight sign signal signature significance significant
    silence silent silly similar simple simpler simplest simulate simultaneously sincere sing single sink sir sister
    sit site situated situation size skill skip sky sleep slice slightly slip slow slowly small smallest smart smash
    smell smile smoke smooth snack sneeze snow soap social society soft software soil sole solid solution solve
    somewhat song soon sophisticated sore sorry sort soul sound source south space spare speak special specialized
    specific specifically specify speech speed speedy spell spend spirit spiritual splendid split spoil sponsor
    spoon sport spot spray spread spring square squeeze stable stack staff stage stain stair stamp stand standard
    star stare start starve state statement station statistic statistics status stay steady steal steam step stick
    stimulate stop storage store storm story straight straightforward strange stranger strategy stream street
    strength strengthen stress stretch strict strike string strip strong structure struggle stubborn student study
    stuff stunning stupid style subject submit subscribe subscription subsequent subsequently substantial substitute
    success successful successfully successor suck sudden suddenly suffer sufficient suggest suggestion suit
    suitable sum summarise summarize summary summer summon superb superior supermarket supervise supplement supplier
    supply support suppose supposedly suppress sure surely surface surgery surprise surrender surround survey
    survival survive suspect suspend suspicious sustain swallow swap swear sweep sweet swell swift swim swing switch
    symbol sympathy symptom system table take talent talk tall tank tap target task taste tax taxi teach team tear
    tease technical technique technology teenager telephone television temperature temporarily temporary tempt tend
    tension term terminal terminate terrible terrific test text theme theory therapy thereafter thereby therefore
    thick thief thin think thought thousand thread threat throughout throw ticket tidy tie tight time tiny tip tire
    tired title toast today together toilet tolerate tomorrow tonight tool top topic total touch tough tour tourist
    towel tower town toy trace track trade tradition traditional traffic train training transaction transfer
    transform transition translate translation transmit transport transportation trap travel treat treatment tree
    tremble tremendous trend trial trick trigger trim trip trouble truck true truly trust truth try tube turn
    tutorial twice twin type typical typo ugly ultimate ultimately umbrella unable unauthorized uncle undergo
    understand undertake undo unfamiliar unfold unhappy uniform unify union unique unit unite universal universe
    university unknown unlike unlikely unlimited unlock unsuccessful unusual upcoming update upgrade upload upset
    upside urgent urgently useful user username usual usually utilise utilize utter vacation vaccine valid validate
    valley valuable value vanish variety various vary vast vegetable vehicle venture verification verify version
    victim video view village violate violence virtual virus visa visible vision visit visitor visual vitamin vivid
    voice volume voluntary vote wage wait wake walk wall wallet wander war warm warn warning wash waste watch wave
    weak weakness wealth weapon wear weather weave web website wedding week weekend weekly weep weight weird welcome
    welfare well-known west wet wheel whereby whisper whole wide widespread wife wild win wind window wing winner
    winter wipe wire wireless wise wish withdraw withdrawal withstand witness woman wonder wonderful word work
    worker workout world worry worse worst worth wound wrap write writer wrong yard year yell yesterday yield yoga
    young youth zero zone
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
