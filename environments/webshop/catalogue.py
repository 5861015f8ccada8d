"""The catalogue: any number of products made from `goods` and a seed, each when it is asked for.

Products come in *lines*: near-duplicates of one brand that share kind, title and price level. The
models of a line differ in attributes that one page of each tells, in the options they come in, and
in price. A product is rebuilt from its position, so that 100,000 of them need no memory: only the
lines in use are kept. The light catalogue is the beginning of the large one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product
from pathlib import Path
from random import Random
from typing import NamedTuple

from environments.webshop import goods, products
from environments.webshop.goods import OPTION_AXES, Answer, Department, Kind
from environments.webshop.products import Option, Product, Review, dollars

LINE_SIZES = (8, 5, 4, 2, 1)
"""Models of the lines of a block; a catalogue is a row of such blocks."""
BLOCK = sum(LINE_SIZES)
_STARTS = tuple(accumulate(LINE_SIZES, initial=0))
_VARYING = {8: (2, 2, 2), 5: (3, 3), 4: (2, 2), 2: (2,), 1: ()}
"""For each line size: how many answers each varying aspect has among the models."""
_KIND_STRIDE = 7
_BRANDS = 14
"""Brands of a department."""
_LINES_KEPT = 1_000

PLACES = ("features", "description", "reviews", "attributes")
"""The pages behind an item's page."""

# Ids are spread over 100,000 numbers so that neighbours in a line are not neighbours in number.
_IDS, _SPREAD = 100_000, 61_803
_UNSPREAD = pow(_SPREAD, -1, _IDS)


class Telling(NamedTuple):
    """An aspect of a line: where its products tell it, and what they may answer."""

    answers: tuple[Answer, ...]
    """One answer where all models share it."""
    place: str
    """``title``, or one of `PLACES`."""


@dataclass(frozen=True, slots=True)
class Line:
    """Near-duplicates of one brand, and how they differ."""

    department: str
    kind: Kind
    brand: str
    tellings: tuple[Telling, ...]
    answers: tuple[tuple[Answer, ...], ...]
    """For each model its answer to each telling."""
    models: tuple[Product, ...]


class Catalogue:
    """Products by position, 0 and up."""

    def __init__(self, name: str, departments: tuple[Department, ...], size: int) -> None:
        if size % BLOCK or not 0 < size <= _IDS:
            raise ValueError(f"A catalogue has a multiple of {BLOCK} products, not {size}.")
        self.name = name
        self._size = size
        self._departments = departments
        # by turns from each department, so that neighbouring lines have nothing in common
        kinds = [(department, kind) for department in departments for kind in department.kinds]
        self._kinds = [kinds[i * _KIND_STRIDE % len(kinds)] for i in range(len(kinds))]
        self._brands = {d.name: self._draw_brands(d) for d in departments}
        self._kept_line = lru_cache(maxsize=_LINES_KEPT)(self._make_line)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Product:
        line, model = self.place(index)
        return self._kept_line(line).models[model]

    def find(self, product_id: str) -> int | None:
        """The position of a product, None when there is none of that id."""
        digits = product_id[1:]
        if len(digits) != 5 or product_id[0] not in "Bb" or not digits.isdecimal():
            return None
        index = int(digits) * _UNSPREAD % _IDS
        return index if index < self._size else None

    def version(self) -> str:
        """A digest of the sources that make products, and of what they are asked to make."""
        digest = hashlib.sha256(f"{self.name} {self._size} {self._departments}".encode())
        for module in (__file__, goods.__file__, products.__file__):
            digest.update(Path(str(module)).read_bytes())
        return digest.hexdigest()

    def documents(self) -> Iterator[tuple[str, str]]:
        """(id, what the search reads) of each product, in order."""
        for number in range(self._size // BLOCK * len(LINE_SIZES)):
            # not kept: a walk over the catalogue would push out what is in use
            for model in self._make_line(number).models:
                yield model.id, model.search_text()

    def line(self, number: int) -> Line:
        """The line of that number."""
        return self._kept_line(number)

    def place(self, index: int) -> tuple[int, int]:
        """(line number, model in it) of a product."""
        if not 0 <= index < self._size:
            raise IndexError(index)
        block, offset = divmod(index, BLOCK)
        slot = next(slot for slot in range(len(LINE_SIZES)) if offset < _STARTS[slot + 1])
        return block * len(LINE_SIZES) + slot, offset - _STARTS[slot]

    def draw(self, rng: Random, sizes: tuple[int, ...]) -> int:
        """The position of a product in a line of one of these sizes."""
        block = rng.randrange(self._size // BLOCK)
        size = rng.choice(sizes)
        return block * BLOCK + _STARTS[LINE_SIZES.index(size)] + rng.randrange(size)

    # Making a line -------------------------------------------------------------------------------

    def _rng(self, purpose: str) -> Random:
        digest = hashlib.sha256(f"webshop/{self.name}/{purpose}".encode()).digest()
        return Random(int.from_bytes(digest, "big"))

    def _draw_brands(self, department: Department) -> list[str]:
        rng = self._rng(f"brands/{department.name}")
        brands: dict[str, None] = {}
        while len(brands) < _BRANDS:
            brands["".join(rng.choice(part) for part in goods.SYLLABLES).capitalize()] = None
        return list(brands)

    def _make_line(self, number: int) -> Line:
        rng = self._rng(f"line/{number}")
        block, slot = divmod(number, len(LINE_SIZES))
        size = LINE_SIZES[slot]
        department, kind = self._kinds[(block + slot * _KIND_STRIDE) % len(self._kinds)]
        brand = rng.choice(self._brands[department.name])
        tellings = _draw_tellings(rng, department, kind, _VARYING[size])
        answers = _draw_answers(rng, tellings, size)
        base = rng.uniform(kind.lowest_price, kind.highest_price)
        options = [_draw_option(rng, name, base) for name in kind.options]
        first = block * BLOCK + _STARTS[slot]
        series = rng.sample(goods.SERIES, size)
        models = tuple(
            _make_product(
                rng,
                f"B{(first + model) * _SPREAD % _IDS:05}",
                (brand, series[model]),
                (department.name, kind),
                [*zip(tellings, answers[model], strict=True)],
                base,
                options,
            )
            for model in range(size)
        )
        return Line(department.name, kind, brand, tellings, answers, models)


def _draw_tellings(
    rng: Random, department: Department, kind: Kind, varying: tuple[int, ...]
) -> tuple[Telling, ...]:
    """Two aspects in the title, shared by all models; the others on the pages behind, the varying
    ones first and each on a page of its own."""
    aspects = [department.aspects[name] for name in rng.sample(kind.aspects, len(kind.aspects))]
    places = ["title", "title", *rng.sample(PLACES, len(PLACES))]
    places += rng.choices(PLACES, k=max(0, len(aspects) - len(places)))
    numbers = [1, 1, *varying, *[1] * (len(aspects) - 2 - len(varying))]
    return tuple(
        Telling(tuple(rng.sample(aspect, number)), place)
        for aspect, number, place in zip(aspects, numbers, places[: len(aspects)], strict=True)
    )


def _draw_answers(
    rng: Random, tellings: tuple[Telling, ...], size: int
) -> tuple[tuple[Answer, ...], ...]:
    """For each model its answers; no two models have the same."""
    combinations = list(product(*(telling.answers for telling in tellings)))
    return tuple(rng.sample(combinations, size))


def _draw_option(rng: Random, name: str, base: float) -> Option:
    """An option of a line: values in their axis' order, with surcharges in half dollars."""
    axis = OPTION_AXES[name]
    number = rng.randint(4, 6) if len(axis.values) > 6 else rng.randint(3, len(axis.values))
    drawn = rng.sample(range(len(axis.values)), number)
    values = [axis.values[position] for position in sorted(drawn)]
    steps = [axis.step * base * position for position in range(number)]
    if not axis.step and rng.random() < 0.4:
        steps[rng.randrange(number)] = 0.1 * base  # a sought-after color or scent
    return Option(name, tuple(values), tuple(round(2 * step) / 2 for step in steps))


def _make_product(
    rng: Random,
    product_id: str,
    name: tuple[str, str],
    what: tuple[str, Kind],
    told: list[tuple[Telling, Answer]],
    base: float,
    options: list[Option],
) -> Product:
    department, kind = what
    by_place: dict[str, list[Answer]] = {place: [] for place in ("title", *PLACES)}
    for telling, answer in told:
        by_place[telling.place].append(answer)
    price = int(base * rng.choice((1.0, 1.0, 1.0, 1.02, 0.97, 1.15))) + rng.choice((0.49, 0.99))
    own_options = tuple(_without_one(rng, option) for option in options)
    most = price + sum(max(option.surcharges) for option in own_options)
    stars = rng.choices((3, 4, 5), (1, 3, 3), k=rng.randint(2, 3))
    title_words = [answer.attribute.title() for answer in by_place["title"]]
    return Product(
        id=product_id,
        title=", ".join([f"{name[0]} {name[1]} {kind.name.title()}", *title_words]),
        path=(department, kind.category, kind.name.title()),
        query=kind.name,
        price=price,
        price_tag=dollars(price) if most == price else f"{dollars(price)} to {dollars(most)}",
        rating=f"{sum(stars) / len(stars):.1f}",
        options=own_options,
        features=_features(rng, by_place["features"]),
        description=_description(rng, name, kind, by_place["description"]),
        reviews=_reviews(rng, stars, by_place["reviews"], told),
        listed=tuple(answer.attribute for answer in by_place["attributes"] + by_place["title"]),
        attributes=tuple(answer.attribute for _, answer in told),
    )


def _without_one(rng: Random, option: Option) -> Option:
    """The option of one model: now and then a value of the line is missing."""
    if rng.random() < 0.6 or len(option.values) < 4:
        return option
    gone = rng.randrange(1, len(option.values))
    kept = [position for position in range(len(option.values)) if position != gone]
    return Option(
        option.name,
        tuple(option.values[position] for position in kept),
        tuple(option.surcharges[position] for position in kept),
    )


# Pages -------------------------------------------------------------------------------------------

_FILLER_FEATURES = (
    "Packed in plain cardboard without plastic.",
    "Comes with a short leaflet.",
    "Returned within 30 days, no questions asked.",
    "Made in batches and checked one by one.",
    "Our service answers within a day.",
)
_OPENINGS = (
    "The {series} is the {kind} that {brand} is known for.",
    "With the {series}, {brand} has thought the {kind} over again.",
    "Meet the {series} by {brand}: a {kind} for every day.",
    "{brand} made the {series} for people who use their {kind} a lot.",
)
_CLOSINGS = (
    "Give it a try.",
    "A good present, too.",
    "You will wonder how you did without.",
    "It does what it should.",
)
_OPINIONS = (
    "Arrived on time.",
    "Looks just like the picture.",
    "My sister wants one as well.",
    "Worth the money.",
    "I would buy it again.",
    "The box was dented, the rest was fine.",
)


def _features(rng: Random, answers: list[Answer]) -> tuple[str, ...]:
    told = [f"{answer.attribute.capitalize()}: {answer.reason}." for answer in answers]
    filler = rng.sample(_FILLER_FEATURES, 2)
    return (filler[0], *told, filler[1])


def _description(rng: Random, name: tuple[str, str], kind: Kind, answers: list[Answer]) -> str:
    opening = rng.choice(_OPENINGS).format(brand=name[0], series=name[1], kind=kind.name)
    told = [f"It {answer.phrase}, {answer.reason}." for answer in answers]
    return " ".join([opening, *told, rng.choice(_CLOSINGS)])


def _reviews(
    rng: Random, stars: list[int], answers: list[Answer], told: list[tuple[Telling, Answer]]
) -> tuple[Review, ...]:
    """One review tells what the reviews tell; a reader may have looked for the other answer."""
    others = {
        answer: [other for other in telling.answers if other != answer] for telling, answer in told
    }
    texts = rng.sample(_OPINIONS, len(stars))
    for position, answer in enumerate(answers):
        if others[answer] and rng.random() < 0.4:
            missed = rng.choice(others[answer])
            text = f"I wanted one that {missed.phrase}, but this one {answer.phrase} instead."
        else:
            text = f"Bought it because it {answer.phrase}, {answer.reason}."
        where = position % len(texts)
        texts[where] = f"{text} {texts[where]}"
    return tuple(Review(str(star), text) for star, text in zip(stars, texts, strict=True))
