"""Questions to ask: a thousand that mean different things, their paraphrases, and ones never asked before."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

# Ten subjects with ten times ten fillings each: what a cache has to keep apart.
SUBJECTS: tuple[tuple[str, str, str], ...] = (
    (
        "remove {} stains from {}",
        "wine coffee grass ink blood oil mustard rust tomato paint",
        "carpet leather cotton silk wool concrete marble linen suede plastic",
    ),
    (
        "cook {} in {}",
        "rice lentils salmon beets mushrooms pumpkin chicken polenta artichokes trout",
        "an_oven a_microwave a_wok a_steamer a_smoker an_airfryer a_thermos a_fireplace a_skillet a_casserole",
    ),
    (
        "grow {} {}",
        "tomatoes basil orchids strawberries bamboo lavender potatoes ginger roses asparagus",
        "on_a_balcony in_a_greenhouse under_a_tree in_sandy_soil in_the_desert on_a_rooftop in_a_bottle in_winter "
        "without_pesticides near_the_sea",
    ),
    (
        "say {} in {}",
        "goodbye thanks sorry cheers welcome grandmother butterfly library seventeen breakfast",
        "Swedish Japanese Turkish Welsh Finnish Arabic Hungarian Korean Polish Swahili",
    ),
    (
        "travel from {} to {}",
        "Lisbon Vienna Nairobi Toronto Seoul Lima Cairo Dublin Mumbai Sydney",
        "Oslo Athens Havana Chicago Hanoi Quito Tunis Glasgow Kathmandu Auckland",
    ),
    (
        "replace the {} of {}",
        "battery fuse cable filter motor handle hinge sensor switch display",
        "a_dishwasher a_bicycle a_camera a_lawnmower a_guitar_amplifier a_drone a_telescope a_boiler an_elevator "
        "a_wheelchair",
    ),
    (
        "export {} from {}",
        "invoices contacts photos playlists bookmarks recipes subtitles drawings passwords timesheets",
        "Excel Photoshop Outlook Salesforce Spotify WordPress Trello Blender Quickbooks Notion",
    ),
    (
        "teach {} to {}",
        "chemistry chess swimming typing patience singing drawing algebra juggling sailing",
        "nurses prisoners toddlers soldiers accountants farmers dancers engineers refugees pensioners",
    ),
    (
        "treat {} in {}",
        "fleas fever diabetes anxiety worms arthritis obesity blindness mange colic",
        "horses cats parrots rabbits goats turtles hamsters alpacas ferrets pigeons",
    ),
    (
        "photograph {} during {}",
        "lightning dolphins fireworks athletes bridges snowflakes weddings volcanoes musicians insects",
        "sunset fog a_storm an_eclipse rain a_parade a_blackout a_safari twilight a_festival",
    ),
)
STORED = "How do I {}?"
ASKED = ("How can I {}?", "How would I {}?", "How do you {}?")


def tasks() -> list[str]:
    return [
        frame.format(first, second).replace("_", " ")
        for frame, firsts, seconds in SUBJECTS
        for first, second in itertools.product(firsts.split(), seconds.split())
    ]


def paraphrases() -> dict[str, str]:
    """Paraphrase → the stored question that it means; enough of them that what is kept of texts does not help."""
    return {frame.format(task): STORED.format(task) for frame in ASKED for task in tasks()}


def stored() -> list[str]:
    return [STORED.format(task) for task in tasks()]


def unique() -> Iterator[str]:
    """About 340 characters each, never the same twice."""
    filler = "Please answer in a few short sentences that a newcomer understands, and name one example. " * 3
    while True:
        yield f"Tell me about the subject {uuid.uuid4().hex} in plain words. {filler}"
