"""WebShop as the small models read and write it: words, products and prices by short names.

A model of a million parameters cannot know the words of every shop, and need not: what counts is
which words of a page the instruction has, too. So its prompts are delexicalised (Henderson et al.,
"Robust dialog state tracking using delexicalised recurrent neural networks", 2014). The parts of
an instruction are ``p1``, ``p2`` ... and their words ``w1``, ``w2`` ...; other words of a page are
left out. Products are ``A``, ``B`` ... in the order in which the prompt names them, prices are
twentieths of the limit. What a model writes is put back into the shop's own words (`spoken`), so
that its answers and reflections read like anybody's, and mean the same in a later attempt, where
the names are others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from math import floor, inf
from typing import Literal, NamedTuple

from baselines.explorer.webshop import (
    BEHIND,
    Judge,
    Memory,
    Seen,
    Wish,
    instruction_of,
    line_of,
    listed,
    without_regrets,
)
from lamer_bench.agent import View
from lamer_bench.errors import AgentError

NUM_WORDS = 40
NUM_PARTS = 9
NUM_PRODUCTS = 24
LONGEST_NOTE = 76
"""Tokens of a reflection; where there is more to say, the oldest facts are left out."""
LONGEST_PROMPT = 200
"""Tokens of a prompt at most, on every level (a test reads trials of all of them)."""

BUTTONS = {
    "buy": "buy now",
    "prev": "< prev",
    "next": "next >",
    "back": "back to search",
    **{page: page for page in BEHIND},
}
"""Short names of the buttons."""
TOO_DEAR = 20
"""A price above the limit, in twentieths of it."""

_LETTERS = [chr(ord("A") + number) for number in range(NUM_PRODUCTS)]
_FIELDS = (*BEHIND, "lacks", "plus", "scored")
_DIGITS = [f"#{digit}" for digit in range(10)]
_NOTED = frozenset((";", "-", *_FIELDS, *_DIGITS))
_ID = re.compile(r"B\d{5}")
_WORD = re.compile(r"[a-z0-9]+")
_TAG = re.compile(r"</?remark>")
_PRICE = re.compile(r"\$(\d+\.\d\d)")
_EMPTY_WORDS = """
    a an and are as at be but by can does for from good has have i in is it its me my not of on
    ones or other some than that the them there these they this to up us was when will with would
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
"""Words that say nothing of a product."""


def tokens() -> list[str]:
    """Every token that prompts and answers are made of."""
    numbers = [str(number) for number in range(21)]
    words = [f"w{number + 1}" for number in range(NUM_WORDS)]
    parts = [f"p{number + 1}" for number in range(NUM_PARTS)]
    pages = ["item", "results", "offers", "chosen", "price", "left", "done"]
    marks = ["\n", ";", ":", "-"]
    names = [*_DIGITS, *words, *parts, *_LETTERS, *_FIELDS, *BUTTONS]
    return [*marks, *numbers, *names, "search", *pages]


class Fact(NamedTuple):
    """One thing that was learnt of a product."""

    product: str
    field: str
    """A page behind the product's page, ``lacks`` (wanted options), ``plus`` (dollars that the
    wanted options add) or ``scored`` (what buying it paid, in tenths)."""
    words: tuple[str, ...]
    """What the field holds, in the words of the instruction; of numbers the digits."""


class Sheet:
    """What a view tells, and the short names that its prompt uses."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.page = Seen.read(view.observation)
        wish = _wish(instruction_of(view))
        wanted = [*wish.phrases, *wish.options][:NUM_PARTS]
        self.parts = {f"p{number + 1}": part for number, part in enumerate(wanted)}
        """Short name -> what is wanted, in the instruction's words."""
        self.wish = wish._replace(phrases=tuple(" ".join(content(p)) for p in wish.phrases))
        self._options = [*self.parts][len(self.wish.phrases) :]
        self._words: dict[str, str] = {}
        """Short name -> word."""
        self._stems: dict[str, str] = {}
        """Beginning of a word -> its short name."""
        for part in self.parts.values():
            for word in content(part):
                if _stem(word) not in self._stems and len(self._words) < NUM_WORDS:
                    name = f"w{len(self._words) + 1}"
                    self._words[name], self._stems[_stem(word)] = word, name
        self.memory = Memory()
        self.reflection = _TAG.sub(" ", view.earlier[-1].reflection) if view.earlier else ""
        self._recall(self.reflection)
        self.recalled = self._facts()
        """What the last reflection says."""
        for episode in view.earlier:
            if episode.final_observation:
                self.memory.walk(episode.turns, episode.final_observation, self.wish)
        self.place = self.memory.walk(view.turns, view.observation, self.wish)
        self.learnt = [fact for fact in self._facts() if fact not in self.recalled]
        """What pages have shown beyond that: of this attempt, and of earlier ones where the memory
        holds them."""
        self.judge = Judge(self.wish, self.memory)
        self._products: dict[str, str] = {}

    # Names ---------------------------------------------------------------------------------------

    def product(self, product_id: str) -> str | None:
        """The letter of a product, given when it is first asked for; None when all are taken."""
        if product_id not in self._products and len(self._products) < NUM_PRODUCTS:
            self._products[product_id] = _LETTERS[len(self._products)]
        return self._products.get(product_id)

    def named(self) -> list[str]:
        """The products that have a letter, in the letters' order."""
        return [*self._products]

    def heard(self, text: str) -> list[str]:
        """The words of a text that the instruction has, too, each once, in the instruction's
        form."""
        names = (self._stems.get(_stem(word)) for word in content(without_regrets(text.lower())))
        return [self._words[name] for name in dict.fromkeys(names) if name]

    def short(self, words: Iterable[str]) -> list[str]:
        """Words of the instruction by their names; what is no such word stays as it is."""
        return [self._stems.get(_stem(word), word) for word in words]

    # Facts ---------------------------------------------------------------------------------------

    def _facts(self) -> list[Fact]:
        """What is known of all products; what was told is cut down to what can be noted, so that
        the `Judge` knows no more than the prompt says."""
        facts = []
        for product, known in self.memory.products.items():
            known.title = " ".join(content(known.title))
            for page, text in known.told.items():
                heard = self.heard(text)
                known.told[page] = " ".join(heard)
                facts.append(Fact(product, page, tuple(heard)))
            if known.options is not None:
                lacking = [value for value in self.wish.options if value not in known.options]
                if lacking:
                    facts.append(Fact(product, "lacks", tuple(content(" ".join(lacking)))))
            if known.surcharge is not None:
                known.surcharge = floor(known.surcharge)
                facts.append(Fact(product, "plus", _digits(known.surcharge)))
            if known.score is not None:
                known.score = floor(10 * known.score) / 10
                facts.append(Fact(product, "scored", _digits(round(10 * known.score))))
        return facts

    def _recall(self, reflection: str) -> None:
        """Take up what a reflection says; what is not in the form of `note` is left alone."""
        for product, field, words in _read_note(reflection):
            known = self.memory.of(product)
            if field in BEHIND:
                known.told[field] = " ".join(words)
            elif field == "lacks":
                lacking = {_stem(word) for word in words}
                known.options = tuple(
                    value
                    for value in self.wish.options
                    if not {_stem(word) for word in content(value)} <= lacking
                )
            elif number := "".join(word[1:] for word in words if word in _DIGITS)[:4]:
                if field == "plus":
                    known.surcharge = float(number)
                else:
                    known.score = int(number[0]) / 10

    def note(self, facts: Sequence[Fact]) -> list[str]:
        """Facts in tokens: each product with all that is known of it."""
        written: list[str] = []
        last = ""
        for fact in facts:
            letter = self.product(fact.product)
            if letter is None:
                continue
            if fact.product != last:
                written += [";", letter] if written else [letter]
            last = fact.product
            words = fact.words if fact.field in ("plus", "scored") else self.short(fact.words)
            written += [fact.field, *(words or "-")]
        return written

    # The prompt ----------------------------------------------------------------------------------

    def prompt(self, kind: Literal["act", "reflect"]) -> list[str]:
        """Lines: what is wanted, the last reflection, what this attempt has shown, the page."""
        lines = [self._wanted(), self._reflected(), self.note(_latest(self.learnt))]
        if kind == "act":
            left = self.view.turn_limit - self.view.turn
            lines += [self._page(), ["left", str(min(left, 20))]]
        return [" ".join(line) for line in lines if line]

    def _wanted(self) -> list[str]:
        written: list[str] = []
        for number, (name, part) in enumerate(self.parts.items()):
            if number == len(self.wish.phrases):
                written.append(";")
            written += [name, *self.short(self.heard(part))]
        return written

    def _reflected(self) -> list[str]:
        """The last reflection as it was written, by short names."""
        written = []
        for word in self.reflection.split():
            if _ID.fullmatch(word):
                written.append(self.product(word) or "-")
            elif short := word if word in _NOTED else self._stems.get(_stem(word)):
                written.append(short)
        return written[:LONGEST_NOTE]

    def _page(self) -> list[str]:
        if self.page.name == "results":
            return [*self._results()]
        if self.page.name == "item":
            return self._item()
        if self.page.name == "behind":
            return [self.place.behind or "-"]
        return ["done" if self.page.name == "done" else "search"]

    def _results(self) -> Iterator[str]:
        """Products by their lines: the title's words, then letter, lowest and highest price of
        each."""
        yield "results"
        if "Next >" in self.page.texts:
            yield "next"
        lines: dict[str, list[str]] = {}
        for product, _, _ in listed(self.page):
            lines.setdefault(line_of(self.memory.of(product).title), []).append(product)
        for products in lines.values():
            yield from (";", *self.short(self.heard(self.memory.of(products[0]).title)), ":")
            plus = max(self.memory.of(product).surcharge or 0.0 for product in products)
            for product in products:
                known = self.memory.of(product)
                if letter := self.product(product):
                    yield letter
                    yield self._share(known.lowest + plus)
                    yield self._share(known.highest)

    def _item(self) -> list[str]:
        title = self.memory.of(self.place.product).title
        shown = ["item", self.product(self.place.product) or "-", *self.short(self.heard(title))]
        price = next((text for text in self.page.texts if text.startswith("Price: ")), "")
        shares = [self._share(float(amount)) for amount in _PRICE.findall(price)]
        picked = self.picked(self.page)
        return [*shown, "offers", *self.offered(), "chosen", *picked, "price", *shares]

    def offered(self) -> list[str]:
        """The wanted options that the open product's page has, by their names."""
        texts = {text.lower() for text in self.page.texts}
        return [name for name in self._options if self.parts[name] in texts]

    def picked(self, page: Seen) -> list[str]:
        """The wanted options that are chosen on a product's page."""
        chosen = next((text.lower() for text in page.texts if text.startswith("Chosen: ")), "")
        values = {part.rpartition(": ")[2] for part in chosen.split(", ")}
        return [name for name in self._options if self.parts[name] in values]

    def _share(self, price: float) -> str:
        if price > self.wish.limit or not self.wish.limit:
            return str(TOO_DEAR)
        return str(min(TOO_DEAR - 1, floor(TOO_DEAR * price / self.wish.limit)))

    # Answers -------------------------------------------------------------------------------------

    def action(self, words: Sequence[str]) -> str:
        """What an answer by short names says in the shop's words; ``search`` alone searches for all
        that is wanted."""
        first, *others = words or ["-"]
        if first == "search":
            return f"search[{' '.join(self.parts.get(p, p) for p in others or self.parts)}]"
        if others:
            return " ".join(words)
        products = {letter: product for product, letter in self._products.items()}
        name = products.get(first) or self.parts.get(first) or BUTTONS.get(first, first)
        return f"click[{name.lower()}]"

    def written(self, move: str) -> str:
        """The token of a move: ``search``, a product's id, or the short name of a button or an
        option."""
        return (self.product(move) or "-") if _ID.fullmatch(move) else move

    def long(self, words: Iterable[str]) -> list[str]:
        """A reflection's words in the shop's words."""
        names = {letter: product for product, letter in self._products.items()} | self._words
        return [names.get(word, word) for word in words]


def sheet_of(view: View) -> Sheet:
    """The sheet of a view, kept for whoever asks again at the same turn."""
    kept: tuple[int, Sheet] | None = view.state.get("sheet")
    if kept is None or kept[0] != view.turn:
        kept = view.state["sheet"] = (view.turn, Sheet(view))
    return kept[1]


def prompt(view: View, kind: Literal["act", "reflect"]) -> list[str]:
    """The lines of a prompt, without the beginning of the answer; of what is no page ``-``."""
    try:
        return sheet_of(view).prompt(kind)
    except AgentError:
        return ["-"]


def spoken(view: View, kind: Literal["act", "reflect"], text: str) -> str:
    """What a model wrote after `prompt`, in the words of the shop."""
    try:
        sheet = sheet_of(view)
    except AgentError:
        return text
    sheet.prompt(kind)  # gives the names
    body, tag, rest = text.partition("</action>" if kind == "act" else "</remark>")
    words = body.split()
    said = sheet.action(words) if kind == "act" else " ".join(sheet.long(words))
    return " ".join([said, tag, rest]).strip()


def content(text: str) -> list[str]:
    """The words of a text that say something of a product."""
    return [word for word in _WORD.findall(text.lower()) if word not in _EMPTY]


def _stem(word: str) -> str:
    return word[:5].lower()


def _wish(instruction: str) -> Wish:
    """What is wanted; an instruction of another form is one part without options and limit."""
    try:
        return Wish.read(instruction)
    except AgentError:
        return Wish((instruction.lower(),), 1, (), inf, False)


def _digits(number: float) -> tuple[str, ...]:
    return tuple(f"#{digit}" for digit in str(int(number)))


def _latest(facts: Sequence[Fact]) -> Sequence[Fact]:
    """As many of the last facts as a reflection holds."""
    size, product = 0, ""
    for number, fact in enumerate(reversed(facts)):
        size += 1 + max(1, len(fact.words)) + 2 * (fact.product != product)
        product = fact.product
        if size > LONGEST_NOTE:
            return facts[len(facts) - number :]
    return facts


def latest(sheet: Sheet) -> list[str]:
    """The reflection that holds all that is known, or as much of the latest as fits."""
    return sheet.note(_latest([*sheet.recalled, *sheet.learnt]))


def _read_note(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Product, field and words of each fact in a reflection."""
    product, field, words = "", "", list[str]()
    for word in [*text.split(), ";"]:
        if word in _FIELDS or word == ";" or _ID.fullmatch(word):
            if product and field:
                yield product, field, words
            product = word if _ID.fullmatch(word) else product
            field, words = (word if word in _FIELDS else ""), []
        elif word != "-":
            words.append(word)
