"""The WebShop explorer: it compares look-alikes page by page, and never buys the same mistake twice.

It reads only what a player sees: the instruction and the pages. What a page told about a product,
and which purchases failed, it keeps over all attempts of a trial, from the turns or from the
reflections that it wrote itself. An attempt is too short to read every look-alike, so that what
earlier ones have ruled out decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from lamer_bench.agent import PastTurn, View
from lamer_bench.errors import AgentError

BEHIND = ("description", "features", "reviews", "attributes")
"""The pages behind an item's page."""
_READING = 2
"""Turns for one of them and the way back."""
_MOVING = 2
"""Turns from an item's page to another's."""

_ID = re.compile(r"B\d{5}")
_MONEY = re.compile(r"\$(\d+\.\d\d)")
_LIMIT = re.compile(r"(\d+(?:\.\d+)?) dollars")
_SCORE = re.compile(r"^[01]\.\d+$")
_OPTION_LIST = re.compile(r" (?:in|with) ([a-z ]+: [^,:]+(?:, and [a-z ]+: [^,:]+)*)$")
_THE_ONE = re.compile(r"\bthe ([^,.;]+?) one\b")
_WORD = re.compile(r"[a-z0-9]+")
_FRAMES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:find me|show me|i need|i am looking for) an? (?P<kind>[^,:(]+?)"
        r"(?: with |: | \(| described as )(?P<wanted>.+?)\)?$",
        r"find me (?P<wanted>.+)$",
        r"(?:what i would like is|.*get us|my sister asked for) a (?P<wanted>.+)$",
    )
)
_EMPTY_WORDS = frozenset(
    ("that", "this", "with", "from", "into", "will", "does", "have", "good", "some", "other")
)


class Wish(NamedTuple):
    """What an instruction asks for, as far as it can be read without knowing the goods."""

    phrases: tuple[str, ...]
    """Wanted attributes, one of them perhaps with the kind of product at its beginning or end."""
    options: tuple[str, ...]
    limit: float
    """Dollars."""
    is_literal: bool
    """False where attributes are paraphrased, so that a shared word must do."""

    @classmethod
    @cache
    def read(cls, instruction: str) -> Wish:
        """Raises `AgentError` when the text names no price or nothing that is wanted."""
        text = instruction.lower().strip()
        limit = _LIMIT.search(text)
        if limit is None:
            raise AgentError("The instruction names no price limit.")
        head, is_literal, _ = text.partition(", and price lower than ")
        if is_literal:
            listed = _OPTION_LIST.search(head)
            options = [] if listed is None else re.findall(r": ([^,:]+)", listed[1])
            body = head if listed is None else head[: listed.start()]
        else:
            options = _THE_ONE.findall(text)
            body = re.sub(r", the .*? one\b.*|[;.] .*$", "", text)
        framed = next((found for frame in _FRAMES if (found := frame.match(body))), None)
        if framed is None:
            raise AgentError("The instruction does not say what is wanted.")
        phrases = re.split(r", and |, " if is_literal else r", and ", framed["wanted"])
        kind = framed.groupdict().get("kind")
        whole = [kind, *phrases] if kind else phrases
        return cls(tuple(whole), tuple(options), float(limit[1]), bool(is_literal))


class Seen(NamedTuple):
    """A page as it reads: its texts in order, whatever form the observation has."""

    texts: list[str]
    name: str
    """``search``, ``results``, ``item``, ``done`` or ``behind``."""

    @classmethod
    def read(cls, observation: str) -> Seen:
        """Raises `AgentError` when it is no page of the shop."""
        if " [SEP] " in observation:
            texts = observation.rpartition("\n")[2].split(" [SEP] ")
        else:
            texts = [_unmarked(line) for line in observation.splitlines()]
        if "Thank you for shopping with us!" in texts:
            return cls(texts, "done")
        if "Instruction:" not in texts:
            raise AgentError("The observation shows no page of the shop.")
        texts = texts[texts.index("Instruction:") :]
        if "Buy Now" in texts:
            return cls(texts, "item")
        if "Back to Search" not in texts:
            return cls(texts, "search")
        is_results = any(text.startswith("Page ") and "Total results" in text for text in texts)
        return cls(texts, "results" if is_results else "behind")

    @property
    def instruction(self) -> str:
        return self.texts[1]


def _unmarked(line: str) -> str:
    return re.sub(r"^\[(?:clicked )?button\] | \[(?:clicked )?button_\]$", "", line)


@dataclass
class Known:
    """What was seen of one product."""

    title: str = ""
    lowest: float = 0.0
    """The price without options that cost more, in dollars."""
    told: dict[str, str] = field(default_factory=dict)
    """Page behind its page -> its text, in lower case."""
    options: tuple[str, ...] | None = None
    """All values of its options, None where its page was not seen."""
    surcharge: float | None = None
    """Dollars that the wanted options add."""
    failed: bool = False
    """True when it was bought and was not it."""


@dataclass
class Memory:
    """What was seen of the shop."""

    products: dict[str, Known] = field(default_factory=dict)

    def of(self, product: str) -> Known:
        """What is known of a product; nothing at first."""
        return self.products.setdefault(product, Known())

    def walk(self, turns: Sequence[PastTurn], last: str, wish: Wish) -> Place:
        """Learn from an attempt's turns and from the page that the last one led to."""
        place = Place()
        for turn in turns:
            self.look(turn.observation, place, wish)
            place = place.after(turn.action)
        self.look(last, place, wish)
        return place

    def look(self, observation: str, place: Place, wish: Wish) -> None:
        """Learn from one page."""
        page = Seen.read(observation)
        if page.name == "results":
            for product, title, price in _listed(page):
                known = self.of(product)
                known.title, known.lowest = title, price
        elif place.product and page.name == "item":
            self._look_at_item(page, self.of(place.product), wish)
        elif place.product and page.name == "behind" and place.behind:
            self.of(place.product).told[place.behind] = "\n".join(page.texts[4:]).lower()
        elif place.product and page.name == "done":
            self.of(place.product).failed = "1.0" not in page.texts

    def _look_at_item(self, page: Seen, known: Known, wish: Wish) -> None:
        end = next(i for i, text in enumerate(page.texts) if text.startswith("Price: "))
        known.options = tuple(text.lower() for text in page.texts[4:end])
        chosen = next((text for text in page.texts if text.startswith("Chosen: ")), "")
        values = {part.rpartition(": ")[2] for part in chosen.lower().split(", ")}
        price = _MONEY.search(page.texts[end])
        if price and values and set(wish.options) <= values:
            known.surcharge = round(float(price[1]) - known.lowest, 2)


class Place(NamedTuple):
    """Where a player is: the open product, and the page behind it that is open."""

    product: str = ""
    behind: str = ""

    def after(self, action: str | None) -> Place:
        """Where an action leads."""
        clicked = (action or "").removeprefix("click[").removesuffix("]")
        if action is None or clicked == "buy now":
            return self
        if _ID.fullmatch(clicked.upper()):
            return Place(clicked.upper())
        if clicked in BEHIND:
            return Place(self.product, clicked)
        if clicked == "< prev":
            return Place(self.product) if self.behind else Place()
        return Place() if clicked == "back to search" or action.startswith("search") else self


def _listed(page: Seen) -> Iterator[tuple[str, str, float]]:
    for index, text in enumerate(page.texts[:-2]):
        price = _MONEY.search(page.texts[index + 2])
        if _ID.fullmatch(text) and price:
            yield text, page.texts[index + 1], float(price[1])
