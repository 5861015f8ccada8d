"""Goals: what an instruction asks for, drawn with controlled difficulty, and its certificate.

A goal is drawn backwards: first the product that will fulfil it, then which of its attributes and
options are asked for, then the words. That is why every goal has a purchase with reward 1.0;
`visit.certificate` is the way there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from random import Random
from typing import Literal

from environments.webshop.catalogue import Catalogue, Line, Telling
from environments.webshop.goods import Answer
from environments.webshop.products import Product
from environments.webshop.scoring import Wanted, score
from environments.webshop.shop import Chosen, Range

Price = Literal["loose", "near", "tight", "published"]
Reward = Literal["graded", "all_or_nothing"]


@dataclass(frozen=True)
class Level:
    """What the goals of a level ask for, and how long an attempt may take."""

    description: str
    turn_limit: int
    line_sizes: tuple[int, ...]
    """Near-duplicates, the wanted product included; see `catalogue.LINE_SIZES`."""
    title_attributes: int
    """Wanted attributes that the titles tell."""
    page_attributes: int | None
    """Wanted attributes that one page behind the item's page tells; None asks for all in which the
    near-duplicates differ."""
    options: tuple[int, int]
    """Fewest and most wanted options."""
    price: Price
    """How far above the price the limit lies: see `_limit`."""
    phrasing: Literal["plain", "published", "paraphrased"] = "plain"
    sells: Range = "main"
    reward: Reward = "graded"


@dataclass(frozen=True, slots=True)
class Goal:
    """An instruction, and what fulfils it."""

    instruction: str
    wanted: Wanted
    position: int
    """The product that it was drawn for."""
    options: Chosen
    """The wanted options."""

    def content(self, stock_name: str, product_id: str) -> str:
        """What decides the split: product, attributes and options, however they are phrased."""
        options = ", ".join(f"{name}={value}" for name, value in sorted(self.options))
        attributes = ", ".join(sorted(self.wanted.attributes))
        return f"webshop {stock_name} {product_id} ({attributes}) ({options})"


def draw(stock: Catalogue, level: Level, rng: Random) -> Goal | None:
    """A goal of a level; None where what was drawn would not be a fair one."""
    position = stock.draw(rng, level.line_sizes)
    number, model = stock.place(position)
    line = stock.line(number)
    product = line.models[model]
    answers = _draw_answers(line, model, level, rng)
    most = min(level.options[1], len(product.options))
    asked = rng.sample(product.options, rng.randint(min(level.options[0], most), most))
    asked.sort(key=product.options.index)
    options = tuple((option.name, rng.choice(option.values)) for option in asked)
    limit = _limit(level.price, product.price_with(dict(options)), rng)
    wanted = Wanted(
        title=product.title,
        path=product.path,
        query=product.query,
        attributes=tuple(answer.attribute for answer in answers),
        options=tuple(value for _, value in options),
        price_limit=limit,
    )
    if level.page_attributes is None and _has_equal(line, product, wanted, options):
        return None
    instruction = _PHRASINGS[level.phrasing](product.query, answers, options, limit, rng)
    return Goal(instruction, wanted, position, options)


def _draw_answers(line: Line, model: int, level: Level, rng: Random) -> list[Answer]:
    told: list[tuple[Telling, Answer]] = [*zip(line.tellings, line.answers[model], strict=True)]
    in_title = [answer for telling, answer in told if telling.place == "title"]
    behind = [(telling, answer) for telling, answer in told if telling.place != "title"]
    if level.page_attributes is None:
        asked = [answer for telling, answer in behind if len(telling.answers) > 1]
    else:
        asked = [answer for _, answer in rng.sample(behind, level.page_attributes)]
    answers = rng.sample(in_title, level.title_attributes) + asked
    rng.shuffle(answers)
    return answers


def _limit(price: Price, paid: float, rng: Random) -> float:
    """The price limit in dollars, above what is ``paid``.

    ``tight`` is the next multiple of 5, ``near`` one of the next two multiples of 10, ``loose`` the
    second to fourth; ``published`` is the larger of two of the next four, as the original draws it.
    """
    next_ten = 10.0 * (floor(paid / 10) + 1)
    if price == "tight":
        return 5.0 * (floor(paid / 5) + 1)
    if price == "near":
        return next_ten + 10 * rng.randrange(2)
    if price == "loose":
        return next_ten + 10 * rng.randint(1, 3)
    return next_ten + 10 * max(rng.sample(range(4), 2))


def _has_equal(line: Line, product: Product, wanted: Wanted, options: Chosen) -> bool:
    """True where another model of the line would fulfil the goal as well."""
    return any(
        score(model, dict(options), wanted).total == 1.0
        for model in line.models
        if model is not product
    )


# Words -------------------------------------------------------------------------------------------

_PLAIN = (
    "find me a {kind} with {attributes}{options}, and price lower than {limit} dollars",
    "i am looking for a {kind}: {attributes}{options}, and price lower than {limit} dollars",
    "i need a {kind} ({attributes}){options}, and price lower than {limit} dollars",
    "show me a {kind} described as {attributes}{options}, and price lower than {limit} dollars",
)
_PARAPHRASED = (
    "what i would like is a {kind} {attributes}{options}; i can spend up to {limit} dollars",
    "with {limit} dollars at most, get us a {kind} {attributes}{options}",
    "my sister asked for a {kind} {attributes}{options}. her budget is {limit} dollars",
)


def _plain(kind: str, answers: list[Answer], options: Chosen, limit: float, rng: Random) -> str:
    chosen = ", and ".join(f"{name}: {value}" for name, value in options)
    return rng.choice(_PLAIN).format(
        kind=kind,
        attributes=", ".join(answer.attribute for answer in answers),
        options=f" in {chosen}" if chosen else "",
        limit=f"{limit:.2f}",
    )


def _published(kind: str, answers: list[Answer], options: Chosen, limit: float, _: Random) -> str:
    attributes = ", ".join(answer.attribute for answer in answers)
    chosen = ", and ".join(f"{name}: {value}" for name, value in options)
    with_options = f" with {chosen}" if chosen else ""
    return f"Find me {attributes} {kind}{with_options}, and price lower than {limit:.2f} dollars"


def _paraphrased(
    kind: str, answers: list[Answer], options: Chosen, limit: float, rng: Random
) -> str:
    """Attributes by their paraphrase, options by their value alone, other words for the price."""
    asked = [answer.asked for answer in answers]
    chosen = " and ".join(f"the {value} one" for _, value in options)
    return rng.choice(_PARAPHRASED).format(
        kind=kind,
        attributes=", and ".join(asked),
        options=f", {chosen}" if chosen else "",
        limit=f"{limit:.0f}",
    )


_PHRASINGS = {"plain": _plain, "published": _published, "paraphrased": _paraphrased}
