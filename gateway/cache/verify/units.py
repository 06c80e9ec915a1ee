"""Numbers in words; units of measure and currencies, by what they measure, with the ways to write them. Data."""

from __future__ import annotations

# Each line: what is measured: unit and its other forms; unit …  Plurals with -s need no mention.
_UNITS = """
mass: kg kgs kilo kilogram kilogramme|g gram gramme gr|mg milligram|mcg µg ug microgram|lb lbs pound|oz ounce|ton \
tonne|stone
length: km kms kilometer kilometre|m meter metre|cm centimeter centimetre|mm millimeter millimetre|mi mile|ft foot \
feet|inch inches|yd yard|nm nanometer|au lightyear
volume: l liter litre ltr|ml milliliter millilitre|cl centiliter|gal gallon|qt quart|pt pint|cup|tbsp tablespoon|\
tsp teaspoon
area: sqft|sqm|acre|hectare ha
temperature: celsius c °c centigrade|fahrenheit f °f|kelvin
speed: kmh kph kmph|mph|knot
data: kb kilobyte|mb megabyte|gb gigabyte gig|tb terabyte|mbps|gbps|kbps|bit|byte
money: usd $ dollar buck|eur € euro|gbp £ pound quid sterling|jpy ¥ yen|yuan cny rmb renminbi|inr ₹ rupee|cad|aud|\
nzd|chf franc|krona sek|peso mxn|ruble rub|zloty pln|btc bitcoin|eth ethereum ether|cent|penny pence
energy: calorie cal kcal|joule kj|kwh|watt w|kw kilowatt|hp horsepower|volt v|amp|mah
pressure: psi|bar|pascal
share: percent % percentage pct
clock: am a.m|pm p.m
time: second sec|minute min|hour hr h|day d|week wk|month mo mth|year yr|decade|century|ms millisecond
sound: db decibel|hz hertz|khz|mhz|ghz
"""
# These stand for a unit only behind a number: “5 m”, but “I m”.
AFTER_NUMBERS = frozenset(
    "g m l c f h d w v gr pt cal mo kilo ton stone foot feet cup yard bar second sec bit au ha ft mi am a.m pm min"
    " amp gal lb mg".split()
)


def _forms() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for line in _UNITS.strip().splitlines():
        kind, _, units = line.partition(": ")
        for unit in units.split("|"):
            forms = unit.split()
            name = f"{kind} {forms[0]}"
            for form in forms:
                plurals = (form, form + "s") if len(form) > 2 or form == "hr" else (form,)
                for one in plurals:
                    found[one] = found.get(one, frozenset()) | {name}
    return found


# Form → what it may mean, each as “kind unit”: a pound is money or a mass.
UNITS: dict[str, frozenset[str]] = _forms() | {"kilos": frozenset({"mass kg"})}
# How many minutes, or months, there are in one: “90 minutes” is an hour and a half.
DURATIONS: dict[str, tuple[str, int]] = {
    "time minute": ("minutes", 1), "time hour": ("minutes", 60), "time day": ("minutes", 1440),
    "time week": ("minutes", 10080), "time month": ("months", 1), "time year": ("months", 12),
    "time decade": ("months", 120),
}  # fmt: skip

_SMALL = (
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# “One” is left out: it is a pronoun more often than a number. “Second” too: it is a time.
SPELLED: dict[str, int] = (
    {word: number for number, word in enumerate(_SMALL, 2)}
    | {word: 10 * number for number, word in enumerate(_TENS, 2)}
    | {"zero": 0, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
)
ORDINALS = {
    "first": 1, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
    "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
# Not “i”, which speaks of the speaker, nor those that are letters and words of their own.
ROMAN = {
    "ii": 2, "iii": 3, "iv": 4, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "xi": 11, "xii": 12, "xiii": 13, "xiv": 14,
    "xv": 15, "xvi": 16, "xvii": 17, "xviii": 18, "xix": 19, "xx": 20, "xxi": 21,
}  # fmt: skip
