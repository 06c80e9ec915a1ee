"""The English that the guards know: everyday words, opposites, times. Data, written by hand for this purpose.

COMMON is what makes a word not rare: about 1,500 everyday words, no names among them. A word missing here is taken for
a name, which can only refuse a hit, never allow one.
"""

from __future__ import annotations

FUNCTION_WORDS = frozenset(
    """
    a about above across after again against all along also although always am among an and another any anybody anyone
    anything are around as at away be became because been before behind being below beside besides between beyond both
    but by can can't cannot could couldn't did didn't do does doesn't doing don't done down due during each either else
    etc even ever every everybody everyone everything except few for from further get gets getting give given go goes
    going gone got had hadn't has hasn't have haven't having he he'd he's hello help her here here's hers herself hey hi
    him himself his how how's however i i'd i'll i'm i've if in instead into is isn't it it'd it'll it's its itself just
    kindly know let let's like likely lot many may maybe me might mine more most much must my myself near need needs
    neither never no nobody none nor not nothing now of off often ok okay on once one ones only onto or other others
    otherwise ought our ours ourselves out over own per perhaps please pls quite rather really same shall she she's
    should shouldn't show since so some somebody somehow someone something sometimes somewhere still such tell than
    thank thanks that that's the their theirs them themselves then there there's these they they'd they'll they're
    they've thing things this those though through thus till to too toward towards under unless until up upon us use
    used using very via want wants was wasn't way we we'd we'll we're we've well went were weren't what what's whatever
    when when's whenever where where's wherever whether which whichever while who who'd who's whoever whom whose why
    why's will with within without won't would wouldn't yes yet you you'd you'll you're you've your yours yourself im
    ive dont doesnt didnt isnt cant wont whats id u ur n't 've 'll 're 's 'd 'm ve ll re nt made taken took held
    wondering supposed considered offered available simply actually basically currently recently already upcoming coming
    """.split()
)

COMMON = frozenset(
    """
    ability able abroad accept access accident account accurate achieve across act action active activity actual ad add
    addition address adult advance advantage advice affect afford age agency agent agree agreement aid air airport alarm
    album alert alive allow alone alternative amount ancient anger angry animal announce annual answer anymore apart
    apartment app apparent appeal appear apple application apply appoint appointment approach appropriate approve
    approval area argue argument arm army arrange arrest arrival arrive art article artist aside ask asleep assist
    assistant associate assume attach attack attempt attend attention attitude attract audience author authority auto
    automatic available average avoid awake award aware baby back background bad bag bake balance ball ban band bank bar
    base basic basis bath battery battle beach bean bear beat beautiful beauty become bed bedroom beef beer begin
    beginner behave behavior belief believe belong belt bend benefit best bet better big bike bill billion bird birth
    birthday bit bite bitter black blame blank blind block blog blood blow blue board boat body boil bone bonus book
    border boring born borrow boss bottle bottom bowl box boy brain branch brand bread break breakfast breath breathe
    brick bridge brief bright bring broad broken brother brown browser brush budget bug build building burn bus business
    busy butter button buy cable cake calculate calculator calendar call calm camera camp campaign cancel cancer
    candidate candle cap capable capacity capital car card care career careful carry case cash cat catch category cause
    celebrate cell cent center central century certain certificate chain chair chance change channel chapter character
    charge charity chart chat cheap check cheese chemical chest chicken chief child childhood choice choose church
    circle citizen city claim class classic clean clear clever click client climate climb clock close clothes cloud club
    coach coat code coffee coin cold collect college color colour column combine come comfort comfortable command
    comment commerce commercial commit common communicate community company compare compete competition complain
    complete complex computer concept concern condition conference confident confirm conflict confuse connect connection
    consider constant contact contain content contest context continent continue contract contribute control convenient
    conversation convert convince cook cookie cool copy core corn corner correct cost cotton count counter country
    county couple courage course court cousin cover cow crash crazy cream create creative credit crime criminal cross
    crowd cry culture cup cure curious currency current custom customer cut cute cycle dad daily damage dance danger
    dangerous dark data database date daughter day dead deal dear death debate debit debt decade decide decision deck
    declare decline decrease deep default defeat defend define degree delay delete deliver delivery demand democracy
    dentist deny department depend deposit depression depth describe desert deserve design desire desk despite detail
    determine develop developer device diet differ difference different difficult difficulty dig digital dinner direct
    direction director dirty disability disappear discount discover discuss disease dish dispute distance divide doctor
    document dog dollar domain domestic door double doubt download dozen draft drag drama draw dream dress drink drive
    driver drop drug dry duck dust duty eager ear early earn earth ease east easy eat economic economy edge edit
    education effect effective efficient effort egg elect election electric electronic element eliminate email embassy
    emergency emotion employ employee employer empty enable encourage end enemy energy engine engineer english enjoy
    enough enter entertainment entire entry envelope environment equal equipment error escape especially essay essential
    establish estate estimate evaluate evening event evidence evil exact exam example excellent exchange excite excuse
    exercise exist expect expensive experience expert expire explain explore export express extend extra extreme eye
    face fact factor factory fail failure fair fake faith fall false familiar family famous fan far farm farmer fashion
    fast fat father fault favor favorite favourite fear feature fee feed feel feeling female fence fever field fight
    figure file fill film final finance financial find fine finger finish fire firm fish fit fitness fix flag flat
    flight floor flour flow flower fly focus folder follow food foot football force foreign forest forever forget form
    format former fraud free freedom freeze frequent fresh friend friendly front fruit fry fuel full fun function fund
    funny fur furniture future gain game garden gas gate gather gear general generate gentle genuine gift girl glad
    glass global goal god gold good government grade graduate grain grammar grand grandfather grandmother grass gray
    great green grey grocery ground group grow growth guarantee guard guess guest guide guilty guitar gun guy habit hair
    half hall hand handle hang happen happy hard hardware harm hat hate head headache heal health healthy hear heart
    heat heavy height hello hide high hill hire history hit hobby hold hole holiday home honest honey hope horrible
    horse hospital hot hotel hour house household huge human hundred hungry hunt hurry hurt husband ice idea ideal
    identify identity ignore ill illegal illness image imagine immediate impact import important impossible improve inch
    include income increase incredible independent index indicate individual industry infection influence info inform
    information initial injury innocent insert inside install instance instant institute instruction instrument
    insurance intelligent intend interest internal international internet interview introduce introduction invent invest
    investment invite invoice iron island issue item jacket jail job join joke journey judge juice jump junior jury
    justice keep key keyboard kick kid kill kilo kind king kiss kitchen knee knife knock knowledge label lack lady lake
    lamp land language laptop large last late laugh launch law lawyer layer lazy lead leader leaf league learn least
    leather leave left leg legal lemon lend length less lesson letter level library license licence lie life lift light
    limit line link lip list listen literature little live load loan local locate location lock log login logo long look
    loose lose loss lost loud love low luck lucky lunch machine magazine mail main maintain major make maker male man
    manage manager manner manual map march mark market marketing marriage marry mass massive master match material math
    mathematics matter maximum meal mean meaning measure meat media medical medicine medium meet meeting member
    membership memory mental mention menu merchant message metal meter method metre middle midnight mile military milk
    million mind mineral minimum minor minute mirror miss missing mission mistake mix mixture mobile mode model modern
    moment money monitor month monthly mood moon morning mortgage mother motor mountain mouse mouth move movie multiple
    multiply muscle museum music musician mystery nail name narrow nation national native natural nature neck necessary
    needle negative neighbor neighbour nervous net network new news newspaper next nice night noise noon normal north
    nose note notice notify novel nuclear number nurse nut object observe obtain obvious occasion occur ocean odd offer
    office officer official oil old onion online open operate operation opinion opportunity oppose opposite option
    orange order ordinary organic organization organize origin original outcome outside oven overseas owe owner pack
    package page pain paint pair palace pan panel panic paper parcel parent park part participate partner party pass
    passage passenger passcode passport password past pasta path patient pattern pause pay payment peace peak pen pencil
    pending pension people pepper percent percentage perfect perform performance period permanent permission permit
    person personal personality pet phone photo photograph phrase physical pick picture piece pig pill pilot pin pink
    pipe place plan plane planet plant plastic plate platform play player pleasant pleasure plenty plus pocket poem poet
    point poison police policy polite political politics pool poor popular population port position positive possible
    possibility post pot potato potential pound pour power practical practice pray predict prefer pregnant prepare
    prescription presence present president press pressure pretend pretty prevent previous price pride primary prime
    prince princess principal print printer prior priority prison private prize probable problem procedure proceed
    process produce product production profession professional professor profile profit program programme programming
    progress project promise promote proof proper property protect protection protein proud prove provide provider
    public publish pull pump punish purchase pure purple purpose push put puzzle qualify quality quantity quarter queen
    question quick quiet quit quote race radio rain raise random range rapid rare rate raw reach react read reader ready
    real reality realize reason receipt receive recent recharge recipe recognize recommend record recover recycle red
    reduce refer reflect refresh refund refuse region register registration regular regulation reject relate relation
    relationship relative relax release relevant reliable relief religion rely remain remedy remember remind remote
    remove rent repair repeat replace replacement reply report represent request require requirement rescue research
    reservation reserve reset resident resolve resource respect respond response responsible rest restaurant restore
    result retail retire retrieve return reveal reverse review reward rice rich ride right ring rise risk river road
    rock role roll roof room root rope rough round route routine row royal rude ruin rule run rush sad safe safety salad
    salary sale salt sample sand sandwich satisfy sauce save say scale scam scan scare scared scene schedule scheme
    school science scientist scissors scope score scratch scream screen script sea search season seat second secret
    section secure security see seed seek seem select self sell send senior sense sensitive sentence separate series
    serious serve server service session set settings settle setup several severe sex shadow shake shape share sharp
    sheet shelf shine ship shirt shock shoe shoot shop short shot shoulder shout shower shut shy sick side sight sign
    signal signature significant silence silly silver similar simple sing single sink sir sister sit site situation size
    skill skin skip sky sleep slice slip slow small smart smell smile smoke smooth snack snake snow soap social society
    soft software soil soldier solid solution solve song soon sore sort soul sound soup source south space spare speak
    special specific speech speed spell spend spirit split spoil spoon sport spot spray spread spring square stable
    stack staff stage stain stair stamp stand standard star start state statement station statistics status stay steak
    steal steam steel step stick stomach stone stop storage store storm story straight strange stranger strategy stream
    street strength stress stretch strict strike string strong structure struggle student study stuff stupid style
    subject submit subscribe subscription success successful sudden suffer sugar suggest suggestion suit suitable sum
    summary summer sun supermarket supplier supply support suppose sure surface surgery surprise survey survive suspect
    suspend swap sweet swim switch symbol sympathy symptom system table take talent talk tall tank tap target task taste
    tax taxi tea teach teacher team tear technical technique technology teenager telephone television temperature
    temporary tend term terrible test text theory therapy thick thief thin think thought thousand thread threat throat
    throw ticket tie tight time tiny tip tire tired title toast today toe together toilet tomato tomorrow tongue tonight
    tool tooth top topic total touch tough tour tourist towel tower town toy trace track trade tradition traditional
    traffic train training transaction transfer transform translate translation transport travel treat treatment tree
    trial trick trip trouble truck true trust truth try tube turn twice twin type typical ugly umbrella uncle understand
    uniform union unique unit universe university unknown unlock unusual update upgrade upload upset urgent user usual
    vacation vaccine valid valley valuable value vanilla variety various vegetable vehicle verify version victim video
    view village violence virtual virus visa visible vision visit visitor vitamin voice volume vote wage wait wake walk
    wall wallet war warm warn warning wash waste watch water wave weak wealth weapon wear weather web website wedding
    week weekend weekly weight weird welcome west wet wheel white whole wide wife wild win wind window wine wing winner
    winter wipe wire wireless wise wish withdraw withdrawal woman wonder wood word work worker workout world worry worse
    worst worth wound wrap write writer wrong yard year yellow yesterday yoga young youth zero zone accidentally
    actually additional affordable alcohol allergy annoying anxiety athlete authentic bacteria basics beginner's bicycle
    biggest blanket bloom brother's calorie calories carbon cardboard chocolate cleaning coding comparison compensation
    constantly cough crypto curry definition deleted dessert diabetes differently discrimination disposable distinguish
    documentation duration duplicate eligible ethnic exactly examination exceed expense expiry extension extract fastest
    fiat fingerprint flavor flu fridge frozen garlic generally geography gym hack healthcare heartbeat highest homework
    hygiene immune ingredient ingredients inflation injured interesting invalid javascript journal kettle largest linear
    locked longest loop lowest mechanic meditation mechanism microwave migrate mortality motivation mug multiplication
    muscles named nearby nutrition obesity outdoor oxygen paragraph password's payments peanut pillow planning poisonous
    pollution portion pregnancy preheat probability pronounce python quickly rainbow recipes respiratory resume
    retirement salmon scholarship sculpture sensor shortcut smallest smartphone solar spicy spreadsheet stationary steps
    strawberry streaming stroke suddenly suitcase sunrise sunset synonym tablet teeth temporarily textbook thermometer
    thunder tomatoes tornado toward transmit triangle troubleshoot tutorial typing unable unauthorized unfamiliar
    unhappy unlimited username vegan vegetarian velocity verification versus vinegar abandon absorb abuse accuse adapt
    adjust admire adopt alter amaze amuse annoy anticipate anxious arise assemble assert assess assign assure astonish
    await bargain beg betray bleed bless blend bounce brave breach broadcast bully bury cease chase cheat cheer chew
    choke chop circulate clarify coincide collapse commence compile compose comprehend conceal conclude conduct confess
    congratulate conserve constitute construct consult consume contrast cope courageous crawl criticise criticize cruel
    crush cultivate damp dare deceive decorate dedicate delicious delight demonstrate depart derive descend detect
    deteriorate devote dignity dim disagree disappoint discard discourage disguise dislike dismiss display dissolve
    distribute disturb dominate donate drown dull dump elegant embarrass emerge emit emphasize enclose encounter endure
    enhance enormous enrol enroll ensure erase erect exaggerate examine exclude execute exhaust exhibit expand expose
    facilitate fascinate fasten faulty favourable fetch fierce flee flood fold fond foolish forbid forecast forgive
    frequently frighten frustrate fulfil fulfill furious generous gigantic grab grateful greet grind halt handy harsh
    hasten hesitate highlight hinder honour humble illustrate implement imply impose impress incorporate induce inherit
    inhibit inquire inspect inspire insult integrate intense interfere interpret interrupt intervene invade investigate
    involve irritate isolate jealous jog justify kneel knit liberate linger lovely loyal magnificent manufacture mature
    merge mess mild modify monster motivate mourn murder neat neglect negotiate nominate notorious nourish obey occupy
    offend omit organise overcome overlook overwhelm peel penetrate perceive persist persuade plead plot polish possess
    postpone precious precise preserve prohibit prolong prompt propose provoke punctual pursue rear reassure rebel
    recall reckon reconsider recruit regret rehearse reinforce rejoice remarkable render renew repay resemble resent
    resign resist restrain restrict retain reunite revise revive revolve ridiculous rob rotate rub sacrifice scatter
    scold seal seize semester shelter shield shrink sigh silent sincere slightly smash sneeze sophisticated splendid
    sponsor squeeze stare starve stimulate strengthen strip stubborn stunning summon superb supervise suppress surrender
    surround suspicious swallow swear sweep swell swing tease tempt terminate terrific tidy tolerate trap tremble
    tremendous trigger trim undergo undertake unfold unite upcoming utter vanish vary venture vivid wander weave weep
    whisper withstand witness yell yield acceptable accessible additionally arrangement assignment attachment
    availability basically behaviour breakdown capability cardholder classroom completely component considerably
    consideration continuously contribution correctly countryside courses curriculum deadline elective employment
    enrollment entirely evaluation exclusively faculty feasible grading graduation immediately instructor lecture
    mandatory overview prerequisite professor's properly qualification regarding remaining simultaneously specifically
    subsequently successfully sufficient syllabus transcript undergraduate workload wifi wrist yoghurt yogurt yeast
    """.split()
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
    ("vertical", "horizontal"), ("victory", "defeat"), ("war", "peace"), ("white", "black"), ("with", "without"),
    ("young", "old"), ("temporary", "permanent"), ("wake", "sleep"), ("question", "answer"), ("summer", "winter"),
)  # fmt: skip

TIMES = frozenset(
    """
    today tonight tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday weekend weekday january
    february march april june july august september october november december spring summer autumn winter christmas
    easter halloween morning afternoon evening midnight noon
    """.split()
)

# Words that say that something does not work.
TROUBLE = frozenset(
    """
    unable fail failed failure fails refuse refused decline declined reject rejected broken wrong problem error trouble
    issue stuck missing lost invalid impossible unsuccessful block blocked deny denied stop stopped prevent forgot
    forgotten forget lack difficulty difficult problems issues absent disappeared gone cancelled canceled unexpected
    unknown
    """.split()
)
