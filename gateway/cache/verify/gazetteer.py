"""Names that people write in lower case, too: a text that has one which the other lacks is about something else. Data.

Written by hand for this purpose. Left out are names that are everyday words as well (“target”, “nice”, “mobile”).
"""

from __future__ import annotations

# Each line: a country, and how its people, things and languages are called. One thing, whichever form is used.
_COUNTRIES = """
afghanistan afghan;albania albanian;algeria algerian;andorra;angola angolan;argentina argentine argentinian;
armenia armenian;australia australian aussie;austria austrian;azerbaijan azerbaijani;bahamas;bahrain;
bangladesh bangladeshi;barbados;belarus belarusian;belgium belgian;belize;benin;bhutan;bolivia bolivian;bosnia \
bosnian;
botswana;brazil brazilian;brunei;bulgaria bulgarian;burundi;cambodia cambodian;cameroon;canada canadian;chad;
chile chilean;china chinese;colombia colombian;congo congolese;croatia croatian;cuba cuban;cyprus cypriot;
czechia czech;denmark danish danes;djibouti;dominica dominican;ecuador ecuadorian;egypt egyptian;
england english;eritrea;estonia estonian;ethiopia ethiopian;fiji;finland finnish finn;france french;gabon;gambia;
germany german germans;ghana ghanaian;greece greek;greenland;grenada;guatemala guatemalan;guinea;guyana;haiti haitian;
honduras honduran;hungary hungarian;iceland icelandic;india indian;indonesia indonesian;iran iranian;iraq iraqi;
ireland irish;israel israeli;italy italian;jamaica jamaican;japan japanese;jordan jordanian;kazakhstan kazakh;
kenya kenyan;kosovo;kuwait kuwaiti;kyrgyzstan;laos laotian;latvia latvian;lebanon lebanese;liberia liberian;
libya libyan;liechtenstein;lithuania lithuanian;luxembourg;macau;macedonia macedonian;madagascar;malawi;
malaysia malaysian;maldives;mali;malta maltese;mauritius;mexico mexican;moldova moldovan;monaco;mongolia mongolian;
montenegro;morocco moroccan;mozambique;myanmar burma burmese;namibia;nepal nepali nepalese;netherlands dutch holland;
nicaragua nicaraguan;niger;nigeria nigerian;norway norwegian;oman omani;pakistan pakistani;palestine palestinian;
panama panamanian;paraguay;peru peruvian;philippines filipino philippine;poland polish;portugal portuguese;qatar \
qatari;
romania romanian;russia russian;rwanda rwandan;samoa samoan;scotland scottish scots;senegal senegalese;serbia serbian;
singapore singaporean;slovakia slovak;slovenia slovenian;somalia somali;spain spanish spaniards;sudan sudanese;
suriname;sweden swedish swedes;switzerland swiss;syria syrian;taiwan taiwanese;tajikistan;tanzania tanzanian;
thailand thai;tibet tibetan;tunisia tunisian;turkmenistan;uganda ugandan;ukraine ukrainian;uruguay uruguayan;
uzbekistan uzbek;vatican;venezuela venezuelan;vietnam vietnamese;wales welsh;yemen yemeni;zambia zambian;
zimbabwe zimbabwean;europe european;africa african;asia asian;antarctica antarctic;oceania;arctic
"""
_PLACES = """
alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho illinois indiana
iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri montana nebraska
nevada ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia washington wisconsin wyoming ontario
quebec alberta manitoba saskatchewan queensland tasmania bavaria catalonia sicily tuscany normandy provence scotland
abu accra adelaide albuquerque amsterdam anchorage antwerp athens atlanta auckland austin baghdad baltimore bangalore
bangkok barcelona basel beijing beirut belfast belgrade berlin bern birmingham boise bogota bologna bordeaux boston
bratislava brighton brisbane bristol brooklyn brussels bucharest budapest burbank cairo calgary canberra caracas
cardiff casablanca charlotte chennai chicago cincinnati cleveland cologne columbus copenhagen dallas delhi denver
detroit dresden dubai dublin durban edinburgh edmonton florence frankfurt fresno galway geneva genoa glasgow \
guadalajara
gothenburg halifax hamburg hanoi havana heidelberg helsinki honolulu houston hyderabad indianapolis istanbul jakarta
jerusalem johannesburg kabul kansas karachi kathmandu kiev kingston krakow kyiv kyoto lagos lausanne leeds leicester
leipzig lima lisbon liverpool ljubljana london lyon madrid malaga manchester manhattan manila marrakech marseille
melbourne memphis miami milan milwaukee minneapolis minsk montreal moscow mumbai munich nairobi naples nashville
newark newcastle nottingham oakland odessa orlando osaka oslo ottawa oxford palermo paris perth petersburg \
philadelphia
phoenix pittsburgh portland porto prague pretoria providence raleigh reno reykjavik riga rome rotterdam sacramento
salzburg santiago sarajevo seattle seoul seville shanghai sheffield sofia stockholm stuttgart sydney sidney taipei
tallinn tampa tehran tijuana tokyo toledo toronto toulouse tripoli tucson tulsa turin utrecht valencia vancouver \
venice
vienna vilnius warsaw wellington winnipeg yokohama zagreb zurich bali capri corfu crete cyprus hawaii ibiza mallorca
majorca rhodes sardinia santorini phuket tenerife everest kilimanjaro amazonas sahara himalayas alps andes heathrow
gatwick logan laguardia jfk lax
mercury venus mars jupiter saturn uranus neptune pluto
"""
_FIRMS = """
adidas aetna airbnb airbus alaska alibaba amazon amd amex ancestry asus atlassian audi barclays bbc bmw boeing bosch
canva chevrolet chrysler cisco citibank citigroup coinbase costco crowdstrike datadog dell disney doordash dropbox \
ebay
ericsson etsy expedia facebook fedex ferrari fidelity figma fitbit google gmail github gitlab grubhub hilton honda \
hsbc
huawei hulu hyundai ibm ikea instagram intel jira jpmorgan kayak kia klarna klm lenovo lexus lidl linkedin lowes
lufthansa lyft marriott mastercard mazda mcdonalds microsoft mitsubishi monzo motorola netflix nike nintendo nissan
nokia nvidia openai oracle outlook paypal pepsi peugeot philips pinterest pixar playstation porsche qantas qualcomm
reddit renault revolut roku ryanair safari salesforce samsung santander shopify siemens skype slack snapchat sony
spacex spotify starbucks stripe subaru tesla tiktok toyota twitch twitter uber usps vanguard verizon visa
vodafone volkswagen volvo walmart whatsapp wikipedia xbox xiaomi yahoo yelp youtube zalando zara zelle zillow easyjet
jetblue twa lufthansa qantas emirates etihad delta aeroflot alitalia iberia finnair nationair
"""
_SOFTWARE = """
airflow angular ansible android apache aws azure bash bitbucket bootstrap cassandra celery centos chrome clickhouse
clojure cobol confluence css cuda cypress dart debian django docker dynamodb eclipse elasticsearch electron elixir
emacs erlang excel express fastapi fedora firebase firefox flask flutter fortran gcp gcc git gradle grafana graphql
grpc hadoop haskell helm heroku html hibernate ios ipad ipados iphone java javascript jenkins jest jquery julia junit
jupyter kafka keras kotlin kubernetes langchain laravel latex linux lua macos macbook mariadb markdown matlab maven
memcached mongodb mongo mysql netlify nginx nodejs npm numpy objective-c ocaml opencv opengl pandas perl php podman
postgres postgresql powershell powerpoint prisma prolog prometheus puppet pycharm pytest python pytorch rabbitmq rails
redis redshift redux rspec ruby rust saml sass scala scipy seaborn selenium snowflake solidity spark splunk
spring sql sqlalchemy sqlite ssh svelte swift symfony tableau tailwind tensorflow terraform tomcat typescript ubuntu
unity unix vercel vim vmware vscode vue webpack windows wordpress xcode xgboost xml yaml yarn zsh json csv pdf pip \
conda
"""
_HEALTH = """
acetaminophen adderall advil albuterol alprazolam amlodipine amoxicillin ambien aspirin atorvastatin azithromycin
benadryl bupropion ciprofloxacin citalopram clonazepam codeine cortisone diazepam diclofenac doxycycline escitalopram
fentanyl fluoxetine furosemide gabapentin hydrocodone hydrocortisone hydroxyzine ibuprofen insulin ketamine lexapro
lipitor lisinopril loratadine lorazepam losartan melatonin metformin methadone metoprolol morphine naproxen nexium
nicotine omeprazole oxycodone ozempic pantoprazole paracetamol penicillin prednisolone prednisone prozac ritalin
sertraline simvastatin tramadol trazodone tylenol valium viagra warfarin wegovy xanax zoloft zyrtec
adhd alzheimer alzheimers anemia angina arthritis autism bronchitis chickenpox cholera covid dementia dengue eczema
epilepsy glaucoma gonorrhea gout hepatitis hernia herpes hypertension hypotension hyperthyroidism hypothyroidism
leukemia lupus lyme measles meningitis migraine mononucleosis mumps osteoporosis parkinson parkinsons pneumonia polio
psoriasis rabies rosacea scabies schizophrenia scoliosis shingles sinusitis smallpox syphilis tetanus
tuberculosis vertigo
"""
_CULTURE = """
buddhism buddhist catholic catholicism christian christianity hindu hinduism islam islamic jewish judaism lutheran
methodist mormon muslim orthodox presbyterian protestant sikh sunni shia taoism arabic bengali cantonese farsi hebrew
hindi latin mandarin punjabi swahili tamil urdu yiddish basketball baseball cricket rugby soccer tennis volleyball
hanukkah christmas easter diwali ramadan kwanzaa passover halloween thanksgiving
"""
# As a plain word it is another: only where the name is meant, which a guard cannot tell.
_AMBIGUOUS = frozenset("polish orange turkey express spark spring unity valve outlook visa easter stroke".split())

COUNTRIES: tuple[frozenset[str], ...] = tuple(frozenset(line.split()) for line in _COUNTRIES.split(";"))
NAMES: frozenset[str] = (
    frozenset().union(*COUNTRIES, *(text.split() for text in (_PLACES, _FIRMS, _SOFTWARE, _HEALTH, _CULTURE)))
    - _AMBIGUOUS
)
