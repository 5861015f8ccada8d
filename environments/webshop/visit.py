"""Visit: one buyer's way through a shop, whatever door was taken in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from environments.webshop.goals import Goal
from environments.webshop.nouns import FindNouns, by_rule
from environments.webshop.pages import (
    BACK,
    BUY,
    HITS_A_PAGE,
    NEXT,
    PREVIOUS,
    Element,
    Page,
    done_page,
)
from environments.webshop.scoring import Score, score
from environments.webshop.shop import Chosen, Shop

LONGEST_QUERY = 200
"""A search is cut to so many characters."""

_TITLE_WORDS = 8
_NO_QUERY = re.compile(r"[^a-z0-9 .,'&%$+-]+")


class Visit:
    """Which page is open, what was chosen, and what was bought."""

    def __init__(self, shop: Shop, goal: Goal, nouns: FindNouns = by_rule) -> None:
        self.shop = shop
        self.goal = goal
        self.page: Page = shop.start
        self.score: Score | None = None
        """What the purchase is worth; None before it."""
        self._nouns = nouns
        self._query, self._number = "", 1
        self._position = 0
        self._chosen: dict[str, str] = {}

    @property
    def instruction(self) -> str:
        """What is asked for."""
        return self.goal.instruction

    def act(self, action: str) -> None:
        """Carry out what `read_action` made of an answer: go to another page."""
        element = self.page.actions.get(action)
        if element is None:
            self._query = action.removeprefix("search[").removesuffix("]")
            self._results(1)
        elif element.role == "product":
            position = self.shop.stock.find(element.text)
            assert position is not None
            self._position, self._chosen = position, {}
            self._item()
        elif element.role == "option":
            self._choose(element)
        elif element.text == BUY:
            self._buy()
        else:
            self._turn_page(element.text)

    def _choose(self, option: Element) -> None:
        self._chosen[option.group] = option.text
        self._item()

    def _turn_page(self, button: str) -> None:
        if button == BACK:
            self.page = self.shop.start
        elif button == NEXT:
            self._results(self._number + 1)
        elif button != PREVIOUS:
            self.page = self.shop.behind(self._position, button)
        elif self.page.name == "results":
            self._results(self._number - 1)
        elif self.page.name == "item":
            self._results(self._number)
        else:
            self._item()

    def _results(self, number: int) -> None:
        self._number = number
        self.page = self.shop.results(self._query, number)

    def _item(self) -> None:
        names = [option.name for option in self.shop.stock[self._position].options]
        chosen: Chosen = tuple((n, self._chosen[n]) for n in names if n in self._chosen)
        self.page = self.shop.item(self._position, chosen)

    def _buy(self) -> None:
        product = self.shop.stock[self._position]
        self.score = score(product, self._chosen, self.goal.wanted, self._nouns)
        self.page = done_page(self.score.total)


def certificate(shop: Shop, goal: Goal, turn_limit: int) -> list[str] | None:
    """Actions that were tried and lead to the reward 1.0: search for the product by the beginning
    of its title, choose the options, buy. None where none are known that fit the turn limit."""
    product = shop.stock[goal.position]
    query = clean_query(" ".join(product.title.partition(",")[0].split()[:_TITLE_WORDS]))
    hits = shop.index.search(query)
    if goal.position not in hits:
        return None
    pages_before = hits.index(goal.position) // HITS_A_PAGE
    actions = [f"search[{query}]", *["click[next >]"] * pages_before]
    actions.append(f"click[{product.id.lower()}]")
    actions += [f"click[{value.lower()}]" for _, value in goal.options]
    actions.append("click[buy now]")
    return actions if len(actions) <= turn_limit and _fulfils(actions, shop, goal) else None


def _fulfils(actions: Sequence[str], shop: Shop, goal: Goal) -> bool:
    visit = Visit(shop, goal)
    for action in actions:
        if read_action(action, visit.page) != action:
            return False
        visit.act(action)
    return visit.score is not None and visit.score.total == 1.0


def read_action(answer: str, page: Page) -> str | None:
    """The canonical action that a text names on a page, or None."""
    if answer in page.actions:
        return answer
    verb, inner = _split(answer)
    if verb == "search" and page.has_search:
        query = clean_query(inner)
        return f"search[{query}]" if query else None
    action = f"click[{' '.join(inner.lower().split())}]"
    return action if verb == "click" and action in page.actions else None


def clean_query(text: str) -> str:
    """A search as it is carried out: lower case, plain characters, at most `LONGEST_QUERY`."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = _NO_QUERY.sub(" ", text.lower()).split()
    return " ".join(words)[:LONGEST_QUERY].rstrip()


def _split(answer: str) -> tuple[str, str]:
    """``Search [red shoes]`` -> ("search", "red shoes"); a missing bracket is forgiven."""
    text = answer.strip()
    for verb in ("search", "click"):
        if text[: len(verb)].lower() == verb:
            rest = text[len(verb) :].lstrip()
            if rest.startswith("["):
                return verb, rest[1:].removesuffix("]")
            is_apart = len(rest) < len(text) - len(verb)
            return (verb, rest) if is_apart else ("", "")
    return "", ""
