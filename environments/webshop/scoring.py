"""Scoring: what a purchase is worth against a goal, by WebShop's published formula.

    reward = type * (attributes + options + price) / (wanted attributes + wanted options + 1)

Written from a description of the original, quirks included: "bored teal" is the color "red", one
chosen "x-large" satisfies both "large" and "x-large". Its fuzzy comparison is the token-set ratio
of the package ``thefuzz``; `token_set_ratio` computes the same number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from environments.webshop.nouns import FindNouns, by_rule
from environments.webshop.products import Product

SAME_ABOVE = 85
"""Two texts count as the same when their token-set ratio is greater than this."""

# The original's color words in its order, which decides: the first one found in a value counts.
_COLORS = """
    alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown
    burgundy camel camo caramel champagne charcoal cheetah chestnut chocolate christmas coffee
    cognac copper coral cranberry cream crystal dark denim eggplant elephant espresso fuchsia gold
    granite grape graphite grass gray green grey heather indigo ivory ivy khaki lavender lemon
    leopard light lilac lime magenta maroon mauve merlot midnight mint mocha multicolor mushroom
    mustard natural navy nude olive orange peach pewter pink plum purple rainbow red rose royal rust
    sand sapphire seashell silver skull slate steel stone stonewash sunflower tan taupe teal tiger
    turquoise violet walnut wheat white wine yellow
"""
COLOR_WORDS = tuple(_COLORS.split())

_NO_TOKEN = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a goal asks for, as far as the reward reads it."""

    title: str
    """Title of the goal's own product."""
    path: tuple[str, ...]
    query: str
    attributes: tuple[str, ...]
    options: tuple[str, ...]
    """Wanted option values."""
    price_limit: float | None
    """Dollars; None where any price will do."""


@dataclass(frozen=True, slots=True)
class Score:
    """A purchase's reward and everything that it is made of."""

    total: float
    """0 to 1; 1.0 is a perfect purchase."""
    type: float
    """0, 0.1, 0.5 or 1."""
    is_same_query: bool
    is_same_category: bool
    title: float
    """Share of the wanted title's nouns that the bought title has."""
    num_attributes: int
    num_options: int
    is_price_met: bool
    wanted: Wanted

    def parts(self) -> dict[str, float]:
        """The components by name, each from 0 to 1; a share of nothing is left out."""
        wanted = self.wanted
        parts = {"score": self.total, "type": self.type, "title": self.title}
        parts |= {"query": float(self.is_same_query), "category": float(self.is_same_category)}
        if wanted.attributes:
            parts["attributes"] = self.num_attributes / len(wanted.attributes)
        if wanted.options:
            parts["options"] = self.num_options / len(wanted.options)
        return {**parts, "price": float(self.is_price_met)}


def score(
    product: Product, chosen: Mapping[str, str], wanted: Wanted, nouns: FindNouns = by_rule
) -> Score:
    """The reward of buying ``product`` with the options ``chosen`` (name -> value)."""
    is_same_query = product.query == wanted.query
    is_same_category = len(set(product.path) & set(wanted.path)) >= 2
    title = _title_share(nouns(product.title), nouns(wanted.title))
    kind = 1.0 if is_same_query or is_same_category or title > 0.2 else 0.5
    if title < 0.1:
        kind = 0.1 if title else 0.0
    num_attributes = _count_attributes(product, wanted.attributes)
    num_options = _count_options(chosen.values(), wanted.options)
    limit = wanted.price_limit
    is_price_met = limit is None or product.price_with(chosen) <= limit
    met = num_attributes + num_options + is_price_met
    return Score(
        total=kind * met / (len(wanted.attributes) + len(wanted.options) + 1),
        type=kind,
        is_same_query=is_same_query,
        is_same_category=is_same_category,
        title=title,
        num_attributes=num_attributes,
        num_options=num_options,
        is_price_met=is_price_met,
        wanted=wanted,
    )


def _title_share(bought: tuple[str, ...], wanted: tuple[str, ...]) -> float:
    return len(set(bought) & set(wanted)) / len(wanted) if wanted else 0.2


def _count_attributes(product: Product, wanted: Iterable[str]) -> int:
    texts = (product.title, " ".join(product.features), product.description)
    told = [text.lower() for text in texts]
    return sum(
        any(is_same(own, attribute) for own in product.attributes)
        or any(attribute in text for text in told)
        for attribute in wanted
    )


def _count_options(chosen: Iterable[str], wanted: Iterable[str]) -> int:
    values = [color_of(value) for value in chosen]
    return sum(any(is_same(value, color_of(one)) for value in values) for one in wanted)


def color_of(value: str) -> str:
    """The first of the color words that the value contains, else the value itself."""
    return next((word for word in COLOR_WORDS if word in value), value)


def is_same(one: str, other: str) -> bool:
    """True where the original takes two texts for the same."""
    return token_set_ratio(one, other) > SAME_ABOVE


@lru_cache(maxsize=65_536)
def token_set_ratio(one: str, other: str) -> int:
    """0 to 100: how well the sets of words agree, as ``thefuzz.fuzz.token_set_ratio`` has it.

    Of the shared words and of each text with the shared words first, the best of the three
    pairwise similarities 2 * (longest common subsequence) / (sum of lengths).
    """
    left, right = set(_words(one)), set(_words(other))
    if not left or not right:
        return 0
    shared = left & right
    if shared in (left, right):
        return 100
    core = " ".join(sorted(shared))
    first = f"{core} {' '.join(sorted(left - shared))}".strip()
    second = f"{core} {' '.join(sorted(right - shared))}".strip()
    best = _similarity(first, second)
    if core:
        best = max(best, _similarity(core, first), _similarity(core, second))
    return round(100 * best)


def _words(text: str) -> list[str]:
    """Words in lower case; what is neither letter nor digit separates, beyond ASCII vanishes."""
    return _NO_TOKEN.sub(" ", text.encode("ascii", "ignore").decode().lower()).split()


def _similarity(one: str, other: str) -> float:
    return 2 * _common(one, other) / (len(one) + len(other))


def _common(one: str, other: str) -> int:
    """Length of the longest common subsequence, the rows of its table packed into integers (Hyyro,
    "Bit-parallel LCS-length computation revisited", 2004)."""
    positions: dict[str, int] = {}
    for index, character in enumerate(one):
        positions[character] = positions.get(character, 0) | 1 << index
    full = (1 << len(one)) - 1
    row = full
    for character in other:
        hit = row & positions.get(character, 0)
        row = ((row + hit) | (row - hit)) & full
    return len(one) - row.bit_count()
