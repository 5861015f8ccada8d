"""The WebShop explorer: it compares look-alikes page by page and buys no mistake twice.

It reads only what a player sees: the instruction and the pages. What a page told about a product,
and which purchases failed, it keeps over all attempts of a trial, from the turns or from the
reflections that it wrote itself. An attempt is too short to read every look-alike, so that what
earlier ones have ruled out decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple

from lamer_bench.agent import PastTurn, View
from lamer_bench.errors import AgentError

BEHIND = ("description", "features", "reviews", "attributes")
"""The pages behind an item's page."""
_READING = 2
"""Turns for one of them and the way back."""
_MOVING = 2
"""Turns from an item's page to another's."""

_USUAL_GAP = 0.2
"""A limit lies up to this share above what is paid."""

_ID = re.compile(r"B\d{5}")
_MONEY = re.compile(r"\$(\d+\.\d\d)")
_LIMIT = re.compile(r"(\d+(?:\.\d+)?) dollars")
_OPTION_LIST = re.compile(r"(.*) (?:in|with) ([a-z ]+: [^,:]+(?:, and [a-z ]+: [^,:]+)*)$")
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
    num_attributes: int
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
            named = _OPTION_LIST.match(head)
            options = [] if named is None else re.findall(r": ([^,:]+)", named[2])
            body = head if named is None else named[1]
        else:
            options = _THE_ONE.findall(text)
            body = re.sub(r", the .*? one\b.*|[;.] .*$", "", text)
        framed = next((found for frame in _FRAMES if (found := frame.match(body))), None)
        if framed is None:
            raise AgentError("The instruction does not say what is wanted.")
        phrases = re.split(r", and |, " if is_literal else r", and ", framed["wanted"])
        kind = framed.groupdict().get("kind")
        whole = [kind, *phrases] if kind else phrases
        return cls(tuple(whole), len(phrases), tuple(options), float(limit[1]), bool(is_literal))


class Seen(NamedTuple):
    """A page as it reads: its texts in order, whatever form the observation has."""

    texts: list[str]
    name: str
    """``search``, ``results``, ``item``, ``done`` or ``behind``."""

    @classmethod
    @lru_cache(maxsize=4_096)
    def read(cls, observation: str) -> Seen:
        """Raises `AgentError` when it is no page of the shop."""
        if " [SEP] " in observation:
            texts = observation.rpartition("\n")[2].split(" [SEP] ")
        else:
            texts = [_unmarked(line) for line in observation.splitlines()]
        if "Thank you for shopping with us!" in texts:
            return cls(texts, "done")
        if "Instruction:" not in texts[:-1]:
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
    highest: float = 0.0
    """The price with those that cost most."""
    told: dict[str, str] = field(default_factory=dict)
    """Page behind its page -> its text, in lower case."""
    options: tuple[str, ...] | None = None
    """All values of its options, None where its page was not seen."""
    surcharge: float | None = None
    """Dollars that the wanted options add."""
    score: float | None = None
    """What buying it scored, below 1.0; None where it was not bought."""


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
            for product, title, prices in listed(page):
                known = self.of(product)
                known.title, known.lowest, known.highest = title, prices[0], prices[-1]
        elif place.product and page.name == "item":
            self._look_at_item(page, self.of(place.product), wish)
        elif place.product and page.name == "behind" and place.behind:
            self.of(place.product).told[place.behind] = "\n".join(page.texts[4:]).lower()
        elif place.product and page.name == "done":
            self.of(place.product).score = float(page.texts[-1])

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


def listed(page: Seen) -> Iterator[tuple[str, str, list[float]]]:
    """Id, title, and one or two prices of each product on a page of results."""
    for index, text in enumerate(page.texts[:-2]):
        if _ID.fullmatch(text):
            prices = [float(amount) for amount in _MONEY.findall(page.texts[index + 2])]
            if prices:
                yield text, page.texts[index + 1], prices


class Verdict(NamedTuple):
    """What is known of a product against the wish."""

    is_out: bool
    """True where it cannot be it."""
    fit: int
    """Wanted phrases that were seen, less pages read in vain."""
    missing: tuple[str, ...]
    """Wanted phrases that were not seen yet."""


class Judge:
    """Compares products with a wish by what is known of them and of their look-alikes."""

    def __init__(self, wish: Wish, memory: Memory) -> None:
        self.wish = wish
        self.memory = memory
        self._lines: dict[str, list[Known]] = {}
        for known in memory.products.values():
            self._lines.setdefault(line_of(known.title), []).append(known)
        self._kind = self._kind_words()

    def verdict(self, known: Known) -> Verdict:
        """What is known of one product."""
        line = self._lines.get(line_of(known.title), [])
        in_title = [phrase for phrase in self.wish.phrases if self._tells(known.title, phrase)]
        hidden = [phrase for phrase in self.wish.phrases if phrase not in in_title]
        seen = [
            phrase
            for phrase in hidden
            if any(self._tells(text, phrase) for text in known.told.values())
        ]
        missing = tuple(phrase for phrase in hidden if phrase not in seen)
        places = {phrase: self._places(line, phrase) for phrase in missing}
        is_ruled_out = any(places[phrase] & known.told.keys() for phrase in missing)
        useful = [page for page in known.told if not self._tells_any(known.told[page], seen)]
        in_vain = sum(not self._is_idle(line, page) for page in useful)
        is_out = (
            known.score is not None
            or is_ruled_out
            or len(missing) > len(BEHIND) - len(known.told)
            or self._lacks_option(known)
            or known.lowest + self._surcharge(line) > self.wish.limit
        )
        fit = 2 * len(in_title) + 2 * len(seen) - in_vain - self._strangeness(known)
        fit += self._lesson(line, len(hidden))
        return Verdict(is_out, fit, missing)

    def next_page(self, known: Known, missing: Sequence[str]) -> str | None:
        """The page behind an item's page that tells most, None where all that may tell were
        read."""
        line = self._lines.get(line_of(known.title), [])
        unread = [page for page in BEHIND if page not in known.told]
        for page in unread:
            if any(page in self._places(line, phrase) for phrase in missing):
                return page
        spoken_for = {
            page
            for phrase in self.wish.phrases
            if phrase not in missing
            for page in self._places(line, phrase)
        }
        return next((page for page in unread if page not in spoken_for), None)

    def is_of_kind(self, known: Known) -> bool:
        """True for the kind of product that most results are."""
        return self._kind <= set(_WORD.findall(known.title.lower()))

    def _kind_words(self) -> set[str]:
        """The words of the wish that stand in most of the titles."""
        titles = [set(_WORD.findall(k.title.lower())) for k in self.memory.products.values()]
        wanted = {word for phrase in self.wish.phrases for word in _WORD.findall(phrase)}
        return {word for word in wanted if 2 * sum(word in title for title in titles) > len(titles)}

    def _tells(self, text: str, phrase: str) -> bool:
        words = [word for word in _WORD.findall(phrase) if word not in self._kind]
        told = _WORD.findall(without_regrets(text.lower()))
        if not words:
            return True
        if self.wish.is_literal:
            return f" {' '.join(words)} " in f" {' '.join(told)} "
        stems = {word[:5] for word in words if len(word) > 3 and word not in _EMPTY_WORDS}
        return bool(stems & {word[:5] for word in told})

    def _tells_any(self, text: str, phrases: Sequence[str]) -> bool:
        return any(self._tells(text, phrase) for phrase in phrases)

    def _places(self, line: Sequence[Known], phrase: str) -> set[str]:
        """The pages that told a phrase of some look-alike."""
        return {
            page for known in line for page, text in known.told.items() if self._tells(text, phrase)
        }

    def _is_idle(self, line: Sequence[Known], page: str) -> bool:
        """True where all look-alikes tell the same on a page, as far as it was read."""
        told = [known.told[page] for known in line if page in known.told]
        return len(told) > 2 and not any(self._tells_any(text, self.wish.phrases) for text in told)

    def _lacks_option(self, known: Known) -> bool:
        if known.options is None:
            return False
        return any(value not in known.options for value in self.wish.options)

    def _strangeness(self, known: Known) -> int:
        """A point off for a price far below the limit, which is named with the price in mind; less
        than a wanted phrase counts."""
        return int((self.wish.limit - known.highest) / self.wish.limit >= _USUAL_GAP)

    def _lesson(self, line: Sequence[Known], num_hidden: int) -> int:
        """Points for what bought look-alikes scored: the more was met, the nearer it is."""
        unmet = [self._unmet(known) for known in line if known.score is not None]
        return round(2 * (num_hidden - min(unmet))) - 1 if unmet else 0

    def _unmet(self, known: Known) -> float:
        """About how many wanted attributes a bought product lacks: see the reward's formula."""
        assert known.score is not None
        num_wanted = self.wish.num_attributes + len(self.wish.options) + 1
        lacking = sum(value not in (known.options or ()) for value in self.wish.options)
        return num_wanted * (1 - known.score) - lacking

    def _surcharge(self, line: Sequence[Known]) -> float:
        """What the wanted options add, where it was seen of some look-alike."""
        return max((known.surcharge or 0.0 for known in line), default=0.0)


def line_of(title: str) -> str:
    """What look-alikes share: the title without the model's name, its second word."""
    brand, _, rest = title.partition(" ")
    return f"{brand} {rest.partition(' ')[2]}"


def without_regrets(text: str) -> str:
    """A review's wish for another product is not a word about this one."""
    return re.sub(r"i wanted one that .*?, but", "", text)


class WebShopPlayer:
    """Looks at what fits best so far, reads on while turns are left, then buys."""

    def answer(self, view: View) -> str:
        """``<action>search[...]</action>`` or ``<action>click[...]</action>``."""
        page = Seen.read(view.observation)
        wish = Wish.read(page.instruction)
        memory = remembered(view, wish)
        place = memory.walk(view.turns, view.observation, wish)
        judge = Judge(wish, memory)
        left = view.turn_limit - view.turn
        if page.name == "search":
            action = self._search(view, judge)
        elif page.name == "results":
            action = self._choose(view, page, judge)
        elif page.name == "behind":
            action = "click[< prev]"
        else:
            action = self.consider(page, judge, memory.of(place.product), left)
        return f"<action>{action}</action>"

    def reflect(self, view: View) -> str:
        """What all attempts so far have shown, in words that `remembered` reads again."""
        wish = Wish.read(instruction_of(view))
        memory = remembered(view, wish)
        memory.walk(view.turns, view.observation, wish)
        judge = Judge(wish, memory)
        lines = [
            _noted(product, known, judge)
            for product, known in memory.products.items()
            if known.told or known.score is not None or known.options is not None
        ]
        return "\n".join(["<remark>", *lines, "</remark>"])

    def _search(self, view: View, judge: Judge) -> str:
        """All that is wanted; where a candidate is known, by its title; again, with less."""
        best = _best(judge, view)
        if best is not None:
            title = judge.memory.of(best).title
            return f"search[{' '.join(_WORD.findall(title.lower()))}]"
        searches = sum((turn.action or "").startswith("search") for turn in view.turns)
        words = _WORD.findall(" ".join(judge.wish.phrases))
        return f"search[{' '.join(words[searches:] or words)}]"

    def _choose(self, view: View, page: Seen, judge: Judge) -> str:
        """The best product of a page of results."""
        here = [product for product, _, _ in listed(page)]
        best = _best(judge, view)
        turns = len(judge.wish.options) + 3
        if best is not None and best in here:
            return f"click[{best.lower()}]"
        if "Next >" in page.texts and view.turn_limit - view.turn > turns:
            return "click[next >]"
        if best is not None or not here:
            return "click[back to search]"
        return f"click[{view.rng.choice(here).lower()}]"

    def consider(self, page: Seen, judge: Judge, known: Known, left: int) -> str:
        """On an item's page: read on, look elsewhere, choose options, or buy."""
        verdict = judge.verdict(known)
        chosen = next((text for text in page.texts if text.startswith("Chosen: ")), "").lower()
        own = known.options or ()
        open_options = [
            value for value in judge.wish.options if value in own and f": {value}" not in chosen
        ]
        to_buy = len(open_options) + 1
        can_move = left >= _MOVING + len(judge.wish.options) + 1
        if verdict.is_out and can_move and "< Prev" in page.texts:
            return "click[< prev]"
        unread = judge.next_page(known, verdict.missing) if verdict.missing else None
        if not verdict.is_out and unread is not None and left >= to_buy + _READING:
            return f"click[{unread}]"
        return f"click[{open_options[0]}]" if open_options else "click[buy now]"


def _best(judge: Judge, view: View) -> str | None:
    """One of the best products, by the view's stream."""
    equals = best_products(judge)
    return view.rng.choice(equals) if equals else None


def best_products(judge: Judge) -> list[str]:
    """The products that fit best of those that are not ruled out."""
    fits: dict[str, int] = {}
    for product, known in judge.memory.products.items():
        verdict = judge.verdict(known)
        if not verdict.is_out and judge.is_of_kind(known):
            fits[product] = verdict.fit
    return [product for product, fit in fits.items() if fit == max(fits.values())]


# Memory ------------------------------------------------------------------------------------------


def remembered(view: View, wish: Wish) -> Memory:
    """What earlier attempts have shown, as far as the memory holds it."""
    memory = Memory()
    for episode in view.earlier:
        if episode.final_observation:
            memory.walk(episode.turns, episode.final_observation, wish)
        for line in episode.reflection.splitlines():
            _recall(line, memory)
    return memory


_NOTE = re.compile(
    r"(B\d{5}) (.+?) \$(\d+\.\d\d) to \$(\d+\.\d\d)(?: plus (\d+\.\d\d))?"
    r"(?:, scored (\d\.\d+))?(, bad options)?:"
)


def _noted(product: str, known: Known, judge: Judge) -> str:
    """A product in one line."""
    plus = "" if known.surcharge is None else f" plus {known.surcharge:.2f}"
    lacks = ", bad options" if judge._lacks_option(known) else ""
    pages = []
    for page, text in known.told.items():
        told = [phrase for phrase in judge.wish.phrases if judge._tells(text, phrase)]
        pages.append(f"{page} tells {' + '.join(told) or 'nothing'}")
    scored = "" if known.score is None else f", scored {known.score}"
    price = f"${known.lowest:.2f} to ${known.highest:.2f}"
    return f"{product} {known.title} {price}{plus}{scored}{lacks}: {'; '.join(pages)}"


def _recall(line: str, memory: Memory) -> None:
    """Take up what `_noted` wrote; anything else is left alone."""
    note = _NOTE.match(line)
    if note is None:
        return
    known = memory.of(note[1])
    known.title, known.lowest, known.highest = note[2], float(note[3]), float(note[4])
    known.surcharge = float(note[5]) if note[5] else known.surcharge
    known.score = float(note[6]) if note[6] else known.score
    known.options = () if note[7] else known.options
    for page, told in re.findall(r"(\w+) tells ([^;]+)", line[note.end() :]):
        known.told[page] = told


def instruction_of(view: View) -> str:
    """The instruction, from the first page of the attempt: the last one does not repeat it."""
    first = view.turns[0].observation if view.turns else view.observation
    return Seen.read(first).instruction
