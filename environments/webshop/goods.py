"""Goods: the words that departments are described in; `catalogue` makes products of them.

Everything here was written for this shop. An `Aspect` is a question that a product answers in one
of a few ways ("how is it cleaned?"); the answers are the attributes that instructions ask for. No
two attributes, and no two values of an option, may match each other under the reward's fuzzy
comparison (a test compares all pairs): otherwise a wrong product could score as the right one.
"""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """One attribute, and how pages and instructions speak of it."""

    attribute: str
    phrase: str
    """What follows "it": ``is leak proof``."""
    reason: str
    """What a feature or a description adds."""
    asked: str = ""
    """How a paraphrased instruction asks for it; shares a word with the attribute."""


class OptionAxis(NamedTuple):
    """What a buyer chooses on an item's page."""

    name: str
    values: tuple[str, ...]
    step: float
    """Surcharge of each further value, as a share of the base price; 0 for a free choice."""


class Kind(NamedTuple):
    """A kind of product."""

    name: str
    category: str
    lowest_price: float
    """Base prices, in dollars."""
    highest_price: float
    options: tuple[str, ...]
    """Names of option axes."""
    aspects: tuple[str, ...]
    """Names of aspects, at least five."""


class Department(NamedTuple):
    """A part of the shop."""

    name: str
    aspects: dict[str, tuple[Answer, ...]]
    kinds: tuple[Kind, ...]


COLOURS = (
    "black", "white", "blue", "green", "grey", "brown", "pink", "purple", "orange", "yellow",
    "beige", "silver", "gold", "teal", "olive", "ivory", "burgundy", "turquoise",
)  # fmt: skip

OPTION_AXES = {
    axis.name: axis
    for axis in (
        OptionAxis("color", COLOURS, 0.0),
        OptionAxis("size", ("xs", "s", "m", "l", "xl", "xxl"), 0.04),
        OptionAxis("shoe size", ("6", "7", "8", "9", "10", "11", "12"), 0.0),
        OptionAxis("capacity", ("8 oz", "12 oz", "20 oz", "32 oz", "40 oz"), 0.12),
        OptionAxis("volume", ("30 ml", "75 ml", "150 ml", "240 ml", "480 ml"), 0.25),
        OptionAxis("scent", ("unscented", "lavender", "vanilla", "citrus", "sandalwood"), 0.0),
        OptionAxis("count", ("single", "pair", "set of 4", "six pack", "dozen"), 0.45),
        OptionAxis("cable", ("3 ft", "6 ft", "10 ft", "15 ft"), 0.1),
        OptionAxis("width", ("24 in", "30 in", "36 in", "48 in", "60 in"), 0.15),
        OptionAxis("finish", ("oak", "walnut", "maple", "charcoal", "whitewash"), 0.06),
        OptionAxis("weight", ("1 lb", "3 lb", "5 lb", "8 lb", "20 lb"), 0.3),
    )
}

SYLLABLES = (
    ("bar", "cal", "dor", "fen", "gal", "hav", "kel", "lum", "mor", "nor", "pel", "quin", "ros",
     "sel", "tor", "vel", "wen", "zan"),
    ("a", "e", "i", "o", "ami", "eri", "ona", "uli"),
    ("dan", "ko", "lio", "mark", "nex", "ra", "sen", "tis", "va", "wyn"),
)  # fmt: skip
"""Brand names are made of these, one of each."""

SERIES = (
    "Alder", "Amber", "Arbor", "Aster", "Atlas", "Basalt", "Beacon", "Birch", "Breeze", "Canyon",
    "Cedar", "Cirrus", "Clover", "Comet", "Cove", "Delta", "Dune", "Ember", "Falcon", "Fjord",
    "Flint", "Glacier", "Harbor", "Haven", "Heron", "Horizon", "Juniper", "Lagoon", "Lark",
    "Laurel", "Linden", "Lumen", "Lynx", "Maple", "Meadow", "Meridian", "Mesa", "Mistral", "Nimbus",
    "Nova", "Oasis", "Orbit", "Osprey", "Pebble", "Pine", "Prairie", "Quartz", "Raven", "Ridge",
    "River", "Sierra", "Sparrow", "Summit", "Tern", "Thistle", "Tundra", "Vale", "Willow", "Wren",
    "Zephyr",
)  # fmt: skip
"""Names of a line's models."""
