"""Words that are one letter away from another word: none of them is the other misspelt. Data.

Of the whole words in BERT's English vocabulary those of five letters and more with such a neighbour; not those that
everyday English has anyway.
"""

from __future__ import annotations

LOOKALIKES = frozenset(
    """
    aaron absent academia academie academies accent accents ached aching acres activism activist acton actor
    adaptive addiction adept adoptive adored adorned advisor advisors africa african aground agustin ahead ahmad
    ahmed aidan aiden akron alain albania albanian albeit albert alberta alberto alexa alexander alexandra alexandre
    alexandria alexia alexis alfonso alfred alfredo algeria algerian alias alice alien align alike alison allah
    allan allen allie allison alloy alloys alonso altar altitude altitudes alton aluminium aluminum alvin ambitions
    ambitious amelia amelie america american americana americans americas amour ample amplified amplifier analysts
    andersen anderson andersson andre andrea andreas andrei andres andrew andrews andrey angel angela angeles
    angelica angelina angelo angels angie angle angles anglo angola angus ankle ankles annie anson antarctic
    antarctica anthony anton antonia antonio antony apple apples apron arabia arabian arabic arbor archaeological
    arched archeological archie arching archive arden ardent arenas argent argentina argentine arias armand armando
    armenia armenian armor armored armour armoured arson artefacts artifacts ascent asean ashton asian assent asset
    assets aston astor astro athena athens atlantic atlantis attorney attorneys aubrey auction audio audit audition
    auditions audrey august augusta auguste augusto austen austin australia australian austria austrian austro
    avenge avenue awoke azerbaijan azerbaijani backward backyard bacon bacteria bacterial baden badge badges bailey
    ballad ballard ballet ballot banco banda banged banging bangladesh bangladeshi bangs banjo baptised baptism
    baptist baptized barack barak barbed barber barbie barge barges barked barker barking barley barlow barnard
    barnes barnet barnett barney barns baron baronet barons barre barrel barren barrett barrie barrio barron barrow
    barry barton basal basalt basel basil basin basins batch batman baton batsman battista bauer bautista bavaria
    bavarian baxter bayer bayern beacon beads beale beamed beaming beams beans beard bearded bearer bearing bears
    beast beasts beatles beaver bedside beech beers beetles bella belle bells belly bench benches bengal bengali
    bengals benign benin benny benson benton berber bergen berger bergman berman bernard bernardo bernhard bernie
    berry berth bertha bertie beverley bianca bidding bikini binding binds birch birds bitch black blacks blade
    bladed blake blanc blanca blanco bland blast blasted blasts blaze blazed blazing bleak blink blinked blinking
    bliss blond bloom blurred blurted blush blushed blushing boasted boasts bobbed boeing bohemia bohemian bolivia
    bolivian bolton bolts bombed bonded bonding bonds bones boomed booming boone booth booths boots borneo bosch
    bosnia bosnian boston bounded bounds bourne bouts bowed bowen bowing boxing brace bracing braden brady braid
    brain brains brake brakes braking brandt brant brasil braun bravo brazil bread breadth breast breasts breed
    breeding brenda brendan brennan brent brest brett brian bribe bride bridget brien briggs brink brisk britten
    brock brody broker brood brook brooke brooks broom brothel brown browns bruce bruins brute bryan bryant bryce
    bucks buddhism buddhist budge buffer buffet buick bulbs bulgaria bulgarian bulge bullet bunch bunker bunny
    burden buren burger burnett burst burton busch bushes businessman businessmen buster butch butler butter byrne
    byron bytes caden cadet caesar cafes cages caine cakes calder caledonia caledonian calves cambodia cambodian
    camden camel cameo cameron cameroon camilla camille campo campos campus canadians canadiens cancer candi candy
    canine cannon cannons canoe canon canons canton cantor canyon capita capitalism capitalist capitol carbon cargo
    carla carleton carlo carlson carlton carmel carmen carol carolina caroline carrie carrier carriers carson cartel
    carter carts carved carver carving caste castes castile casting castle castles casts casual casualty cater
    cattle causal caves cedar ceded cellar cello cement centimeters centimetres centre centred centres centro
    certainty cesar champaign champs chancel chant chanting chants chaplain chaplin characterised characterized
    charles charlton charm charming charms charred cheek cheeks chefs cheng cheung chiang chiba chick chicks chico
    chile chili chill chimney chimneys china ching chips choir choirs chong choral chords chores chorus chris christ
    christi christian christie christina christine christy chuck chung chunk cindy civic clade clair claire clamped
    clans clapped clapton clara clare clarity clark clarke clary clash clashed clashes clasp clasped claude claudia
    claudio claws clayton clemens clement clements clench clenched clerk clifton clinch clinched clint clinton
    clipped clips cloak clone clones closet clover clown clues clung cluster clyde coarse coast coasts cocked codex
    cohen coiled colin collar collin colombia colombian colon colorful colourful colton colts columbia columbian
    comet comets comic comical commando commandos commended commune communism communist complaint completion
    complexion compliant complied compliment comte comune conan concepcion conception concert concerto concerts
    concession concessions concussion conde condo condom condor confession confessions congo conical connell connor
    conor consul contend contention contiguous contingent convection convent convention converge convex conviction
    convoy cooper copper coral cords cornell coroner corps corpus cortes cortex cosmic costa cotton couch cough
    couldn coulter countless coupe coven covent covert coveted cowan crack cradled craft craftsman craftsmen cramer
    cramped crane cranes crank crate crater crates craved craven craving creaked creed creek creeks creep cremated
    crept crest crested crete crewe crews cried cries crimea crimean crises crisis cristina croatia croatian croats
    croft crooked crops crore crotch crouch crowe crowley crown crowned crowns crows cruises crust crypt cunning
    curate curled curling curls currie curry curtain curve curved curves curving custer cutler cynical cyprus cyrus
    daemon dagger daggers dairy daisy dalton damian damien damned damon danes daniel daniela daniels danny dante
    darby darcy darling darryl darted darting daryl david davies davis dawned dayton daytona dazed decay decree
    decrees defect defected defective defects defense defenses della delle delta demos demoted denial denim denis
    denise dennis dental depleted deprivation deprived derby derivation derry descent dessert detained detection
    detective detention deter devil devin devlin devon dexter diana diane diary dimitri dinamo diploma diplomat
    dipped dipping disco discreet discs disks distract district ditch divert divine dmitri dmitry docked docks domed
    domes domingo domino donors doomed doping dorset dorsey doses dover dragons dragoons drain draper draught dread
    drift drifted drifting dripped dripping drone drought drums duane ducked ducks dukes dumont dunes dunne dupont
    duran durban dutch dynamo eagle earle earls earrings eastern easton eaton economics edmond edmund edouard eduard
    eduardo edward edwin eight eighth eighty ejected elder elector electro electron electrons elias eliot elisa
    elisabeth elise elite eliza elizabeth ellie elliot ellis elmer elsie elton elves elvis emanuel emery emile
    emilia emilio emily emmanuel emory empress endeavor endeavour engaged enoch enraged enthusiasm enthusiast
    entirety entourage envoy epoch erection erica erich erika ernest ernesto ernst erotic erwin essen essex esther
    estonia estonian eternal ethel ether ethiopia ethiopian europa europe evacuate evacuated evacuation everett
    excelled excerpt exile exiled exited exiting exits exotic expanse expansive expelled explode exploded explodes
    exploding extant extensive faber faction facto faculty faded fades fading faint falcon fallon faltered fancy
    farmer farther fascism fascist fatal faust favorable favour favoured feather feathers feminism feminist fender
    feral ferrara ferrari ferries ferris ferry fetal fever fiance fiber fibre fifth fifty filtered finch finger
    finley finnish firearm firearms firth fischer fished fisher fisherman fishermen fisted fitch flame flames
    flaming flanders flank flanks flaps flare flared flash flashed flashing flavor flavors flavour fleet fleeting
    fleets fleming flesh flick flies flinch flinders fling flint flipped flirt floats flock flopped flora floral
    flour floyd flung flush flushed flushing folly fooled fools footed forbes forearm forearms forge forged forgiven
    forks forrest forster forte forth forts forty foster founded founding fourth foyer fraction frame framed frames
    framing francais francaise france frances francesca francesco franchise francis francisco franco francois
    francoise francs frank franks franz frederic frederick freight fresco freshman freshmen fresno freud friction
    fridge fried fries fright fringe frost frown funky furry gable gaelic gaius galicia galician galilee galileo
    gallo gallon gamble gamma ganga gangs gaped gaping garage garbage garde gardiner gardner gareth garlic garner
    garry garth gasped gasping gasps gaunt gazed gazes gazing gemma genera generic genes geneva genie genius genome
    gentlemen gentry genus george georgia georgian georgie georgina gerald gerard gerhard germain german gerry giant
    giants gilded giles gills gland glared glass glasses glazed glide glided gliding globe gloom gloss glove glover
    gloves glowing gnome goats goldman gonzales gonzalez goodman goran gorge gorman grace graceful gracie grams
    granada grandma grandpa grange grape grapes graph graphs grasp grasped grasping grass grasses grave gravel
    graves grazed grazing greaves greece greed greek greeks green greene greens greer grenada grenade greta grinning
    grins grips groan groin groom groove grooves gross grove grover groves growl growling growls grunt grunted
    guerra guerre guiana guido guild guise gujarat gujarati gunnar gunter gunther gustav gustave gustavo guyana
    hacker hadley hagen hailed hailey haired hairs hairy halfway hallway hamid hammered hampered hampson hampton
    handel hands hanna hannah hannover hanover hansen hanson harald harbor harbour harden hardin hardness harlem
    harley harlow harmonic harmonica harness harold harper harrow harry hartley harvest harvey hasan hassan haste
    hatch hatred hauled haunted haunting haute haven hawker hayden haydn hayes haynes healy hearst heart hearted
    hearth hearts heath heaven hedge hedges heirs helen helena helene helens heller helmet helmut henan henri henrik
    henry henson herald herbs herds hermes hermitage heroes heroic heroin heron hideous hideout hiking hilary
    hillary himalayan himalayas hindi hindu hines hinges hinted hints historia historian hitch hitler hoarse hodge
    hodges hoisted holden holmes homeless honor honorable honored honors honourable hooded hooked hooker hooper
    hoover hopeless horde horne horned hornet horse horses horst hosted hostel humid humor humour hunan hungary
    hunger hurley hurling huron hurst hussain hussein hydra hydro iceland iconic incense india indian indiana
    indians indices indicted indira indonesia indonesian inducted infected infectious inferior injected injection
    innate inner insect instituto intent interior intern internacional interned intra intro invention inventions
    inventor inverted investor ionic ireland ironic irrigation irritation irvine irving isabella isabelle israel
    israeli italia italian italiana italians jacob jagged jaime jakob jalan jamaica jamaican jamie japan japanese
    javanese jeanne jelly jenna jenny jersey jerseys jesse jessie jingle joanna joanne johann johanna johnny johns
    johnson johnston joint joints jolly jonah jonas jones jonny josef journalism journalist journeys joyah jozef
    judah judas judgement judgment julia julian juliana julie julien juliet julio jungle juris jurist justine kamen
    karel karen karim karin katharine katherine keller kelley kelsey kelvin kenya kenyan kepler kevin kilda
    kilometer kilometers kimberley kinda knicks knots korea korean kristen kristin kristina labor laborers labour
    labourers laced lagos lance landfall landfill landon lanes langdon lange lanka lankan lansing larsen larson
    laser lasers lashed lateral latin latino latvia latvian lauded laurel lauren laurence laurent lawrence lawson
    lawyer lawyers leach leaked leaking leaks leaned leaning leans leaped leaping leaps leapt leary lease leased
    leases leash leasing ledge ledger leeds leger legged legions lehigh leigh leith lenin lennon lennox lenses
    leonard leonardo leopard lesions lester lever levin libby libel liberal libre libya libyan licked licking
    lightning likelihood linden lindsay lindsey linear linen lions liter literacy lithuania lithuanian litre litter
    livelihood liver lobby lobes locus lodge lodged lodging london loomed looming loops loosen looted looting lords
    lotus lough louis louisa louise lucan lucas lucha lucia lucian luciano lucie lucien luisa lukas lunged luton
    luzon lynch lyndon lyons macdonald macedonia macedonian macintosh mackay mackenzie maclean macleod macmillan
    macon macro madden maddy madeleine madeline madison madly mafia magdalena magdalene magma magna magnum magnus
    maguire mahmoud mahmud maiden mainland mainz maison maitland maize malaga malay malaya malaysia malaysian malta
    mandal mandy manga mango mania manifest manifesto manila manor mansion manson manuel marcel marcelo marcia marco
    marcos marcus marge maria marian mariana mariano marie marin marina marine marino mario marion maris marital
    marius marko markus marley marlins marlon marne maroon marred marrow marsh marshes marta martha martial martian
    martin martina martini martins marty martyr marvel marvin marxism marxist masked masks mason massage mateo
    maternal mathew mathews mathias matteo matthew matthews matthias maximus mayor mayors mccain mccann mcconnell
    mcdonald mcdonnell mcguire mcintosh mckay mckenzie mclean mcleod mcmillan medal medalist medallist medals medial
    median mediation medication medina meditation melting mendez mercer mercy merry merton messina meteor metro
    meyer michael michel mickey micro midday middleton middletown midway mikey milan milano milos minas miniseries
    ministries minus mister misty mitch moaning moans modernism modernist mohammad mohammed mohan moines momma mommy
    monde mongolia mongolian monkey monkeys montana montane monte monterey monterrey monty moons moore moors moose
    moral morality morals moran morgan morley mormon morrow mortal mortality mortals mortar morton moses motel mound
    mounds mount mounts mouse muddy mueller muhammad muller mummy mundo munro munster mural murals mused musee museo
    musica musical musik muted mutter muttered myles myths nacional naive naked nancy nanny nasal natal natalia
    natalie nationalism nationalist naval navarre navarro neighbourhood neighbourhoods nelly nepal nepali nesting
    neural newton newtown nicholas nicholls nichols nicola nicolas nicole nigel niger nigeria nigerian nikola
    nikolai nikolay nobel noble nodes norma norman norte nosed noses nothin noticeable notre novice nueva nuevo
    nurse oceania oceanic offence offences offense offenses oliver olivier olsen olson olympia olympiad olympian
    olympic onion opined optical optimal orchestra orchestral orchestras ordinance ordnance organisation
    organisations organism organist oricon orion orson orton oscar oskar otter outlet outset owens owing pablo paced
    paces pacing packet packets paddle padma padua pakistan pakistani paler palma palmer palms panted panties
    panting pantry pants paolo paper papua paranoia paranoid paris parish parma parry parsons pasha pasta pastry
    pasture patch patches patel patent patents paterson patrice patrick patrol patrols patron patrons patted
    patterson patti patting patton patty paula paulo paved pavel paving paxton payton peach pearce pearson peasant
    pedal pedersen peeked peeking peered peering peers peking penal pendant peninsula peninsular pennant peoples
    perch percy perry persia persian persona perth petersen peterson petrol peyton philip philips phillies phillip
    phillips photon piazza picket pierce pierre piers pieter pilots pinch pinched pines pissed pistol pistols piston
    pistons pitch pitched pitches pitted pizza plague plaid plain plains planck plank plaque plata plato plaza plume
    plump pluto poised poked poker poking poles policeman policemen polled pollen polling polls pomerania pomeranian
    ponder ponds popped poppy porch portage portal porto postage postal posture potent potion pouch powder practised
    prague prank pratt preach prefect prick prima primal primate probe probing procession processor processors
    projectile projection projections projective promo prone protective protest protested protesting protests proto
    proton proven provence province prowess prussia prussian psalms psyche psycho puddle puebla pueblo punch punched
    punjab punjabi puppy purdue purge qualifier quartet queer quilt quota rabbi rabbis rabbit rabbits racial racism
    racist racks radial radius raged ragged raging raided raider raiders raiding raids railing rails raion raked
    rally ramon ramos ramps ramsay ramsey ranch rancho ranked rankin ranking ranks ransom raped rasped rations rayon
    reactor reagan realism reaper reapers reasonable rector redding reddy reece reese reeve referee reflection
    refuge regal regan regent reggae reggie regression reich reign reigned reigning reigns reins relics religious
    renal renee rental reorganisation repeal repealed replied replies repression residue residues resin restraint
    retorted reuben revenge reverend rhine rhino rhode rhone richie richter ricky ridges ridley rigged riley ringo
    riots ripley ripped rippled ritchie rites rivera roach roaming roared roaring robert roberta roberto roberts
    robin robots robyn rocket rodeo rodgers rodney roger rogers rogue rohan roland rollins roman romani romania
    romanian romano romans romeo romero romney ronan ronin rooney rooster rosary rosen roses roster rotary rotting
    rouen rouge rouse rover rovers rowan rowland rubber rubble ruben rubin rugged rumble rumors rumours runaway
    runway russia russian ryder sabah saber sabha sabine sable sabre sachs sacked sacks sacrament sacramento sacred
    saetan sahara saharan sailed sailing sails saint salem salford salim saline salman salmon salon saloon salts
    salty salvage samba samoa sampson samson sandals sanford santa santo sarah sasha satan satin saunders savage
    savanna savannah saxon scala scalp scandals scandinavia scandinavian scarce scarf scent scents schwartz schwarz
    scoop scooped scooted scots scott scout scouting scouts scrap scrapped scroll scrub seaman seamen searing sears
    seattle sebastian sebastien sedan seine selena seminal seminar sensor sensors serbia serbian serena serene serge
    sergei sergey serie serra seven sevens seventh seventy severn sevilla seville sewing shack shade shaded shades
    shady shaft shafts shallow shaman shame shane shang shards shark sharks shatter shattered shattering shaun shave
    shaved shawn shear sheds sheen sheep shelby sheldon shell shells shelton sheng shepard sheppard shire shore
    shores shots shouldn shove shoved shovel shoving shriek shrine shrub shrubs shrug shrugs siberia siberian sidney
    siege siegel siena sienna sierra sigma sikhs silesia silesian silky silva silvia silvio simeon simmons simon
    simpson simulation sindh singh sipped sipping siren sixth sixty skate skater skating skies skins skirt skirts
    skull skulls skyla skylar slabs slack slacks slade slain slams slang slant slapped slapping slash slashed slate
    slated slater slave slaves slayer sleek slick slide slides sliding sling slits sloan slogan sloop slope sloping
    slots slovenia slovenian slump slung smack smacked smith smyth snail snails snake snakes snapped snapping snarl
    sneak sneakers sneaking sneered sniff snoop snort snorted snout snuck soaked soaking soared soaring sober
    socialism socialist socks sofia sofie solar somali somalia somber somethin sonar sonia sonic sonny sonya
    soothing sophia sophie sousa souza spade spain spanned spanning spans spark sparked sparkled sparks sparta
    spartak spartan spawn spawned spawning spear spears specialised specialising specialty spectra spectral spice
    spices spies spike spikes spill spilled spilling spinal spine spines spinning spins spiral spire spite spitting
    splash splashed splinter spores sprang sprint sprinter sprung spying squad squat squid squire stacy stade
    stadion staffed stafford stake stakes stale stalin stalk stalked stalks stall stalled stalls stamford stanford
    staple staples stark starr startled startling staten stature statute statutes steak steel steep steer steered
    stefan stefano stein stella stellar stemmed stemming stems stephan stephane stephanie stephen sterling stern
    steve steven stevens stevie steward stewart stiff stifled stigma stimulation sting stinging stink stint
    stipulated stirling stirred stirring stitch stitches stock stocked stocks stoke stokes stomped stone stones
    stony stood stool stout stove strain strained strains strait straits strand strands strap strapped straps straw
    stray streak streaked streaks stride strides strife strive strode stroke strokes stroking stroll strung stryker
    stuart stubble studios stuffed stumble stump stung stunt sturdy subset subtle sudan summit sumner sunni sunny
    sunset supplied supplies surfer suriname surname surrey surveys susan susanna susannah suspicions swami swamp
    swamps swans swayed swaying sweat sweater sweating swept swirling sword swung sydney sylvia sylvie syria syriac
    syrian tablet tablets tagged tailed tailor tails tainted talon taluk taluka tammy tangle tanner tasmania
    tasmanian taxon taylor teeth tempo temps tenor tense tensed tensor tenth tents teresa terra terre terri
    terrorism terrorist terry tesla tessa texans texas thames theater theaters theatre theatres theresa thirsty
    thirty thomas thompson thomson thong thorne thorough thorpe thoughts thrash three throat throne thrust thrusting
    thrusts thumb thump ticked ticking tiger tighten tilted timber timmy timor tinged tingle tinted tobin token
    tomas tombs tommy toned tones tonic topical toppled torah torch torches torre tourism toxic toxin tract tractor
    tracts trail trailed trailer trailers trailing trails trait traitor traits trams trance trans transit translit
    trash travers tread treatise tremor trent trevor triad tribal tribes tribune tribute trier tropical trough truce
    trump trunk trunks tucked tucking tudor tugged tully tumor tuned tunes tunic tuning tunis tunisia tunisian turin
    turing turks tutor twain twigs tying tyres tyrone undertaken unison upheld uphold upton uptown urban urbana
    usable uttar vague valiant valleys valor valve valves vance vantage vapor variant vaughan vaughn vector
    venezuela venezuelan vents ventura venus verde verdi verge verity versa versus vertex verve vichy vicki vicky
    victor victoria victorian vidal viktor villa ville vimes vince vinci vines vintage viola violent violet viral
    virgil virgin vital vogel vogue volga volley volta vortex vowed vowel wagner waist waived walden wallis walsh
    walter walters walton wanda warden wards warped warren warship water waters watts weaken weeds weigh weighed
    weighs welch welding welsh wendy werner whale whales whimper whimpered white whites whitley whitney whore wicked
    wicket widen widow widows wielding wiener wight willem willis wilson wilton winced wines winked witch witches
    wolfe wolff wooded wooden woods worms worship wouldn woven wrath wreath wright wrist writhing zhang zheng zombie
    zombies
    """.split()
)
