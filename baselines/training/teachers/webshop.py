"""What WebShop's demonstrations show: which look-alike it is, and which page to read before buying.

The teacher is told the wanted product, its players are not. They read and compare as the explorer
does, from what the small model's prompt holds and nothing else, and so come into all situations
that a buyer comes into. What is marked as best there is what leads to a perfect purchase: on a page
of results the wanted product; on the page of any product to read on while nothing is certain, then
to buy the wanted one and to leave another. A model cannot see which one is wanted. It learns how
often each that looks alike was it, given all that it has read: imitating a player who knows is how
one learns to weigh what is visible.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.explorer.webshop import BEHIND, Seen, WebShopPlayer, best_products, listed
from baselines.prompts import CLOSING_TAGS
from baselines.training.demonstrations import Choice, Decision, Population
from baselines.webshop_prompt import BUTTONS, NUM_PRODUCTS, Sheet, latest, sheet_of
from lamer_bench import make
from lamer_bench.agent import View

LUCK = 0.3
"""Share of a player's moves that happen to be the best ones, so that all that follows is seen."""
TRIVIAL_SHARE = 0.2
"""Of the pages where there is but one thing to do, this share is shown."""
READING = 2
"""Turns for a page behind a product's page and the way back."""
HITS_A_PAGE = 10
_COLUMNS = 8
_ID = re.compile(r"B\d{5}")
_NUMBER = re.compile(r"Page (\d+) ")


class WebShopTeacher:
    """Knows the wanted product, and shows what a buyer does who cannot know it."""

    randomness = (0.0, 0.0, 0.1, 0.3)
    told_solution = True

    def decide(
        self, view: View, population: Population, randomness: float, rng: random.Random
    ) -> Decision:
        """One move: a search, a product, a button or an option."""
        sheet = sheet_of(view)
        sheet.prompt("act")
        likely = plausible(sheet)
        forgetting = likely
        if view.earlier and population.remember < 1.0:
            forgetting = plausible(Sheet(replace(view, earlier=(), state={})))
        best, tempting = best_moves(sheet), moves(sheet)
        if rng.random() < randomness:
            played = rng.choice(tempting)
        elif rng.random() < LUCK and best:
            played = rng.choice(best)
        else:
            played = rng.choice(likely if rng.random() < population.remember else forgetting)
        answer = sheet.written(played)
        is_trivial = sheet.page.name in ("search", "behind") and rng.random() >= TRIVIAL_SHARE
        if is_trivial or not best:
            return Decision([answer], [])
        shares = population.mixed(best, forgetting if view.earlier else best, tempting)
        by_token = {sheet.written(move): share for move, share in shares.items()}
        choices: list[Choice] = [by_token, {CLOSING_TAGS["act"]: 1.0}]
        return Decision([answer], choices, _maps(sheet, best))

    def reflect(self, view: View) -> str:
        """All that is known: what pages told, which options are missing, what purchases scored."""
        sheet = sheet_of(view)
        sheet.prompt("reflect")
        return " ".join([*latest(sheet), CLOSING_TAGS["reflect"]])


def wanted_product(view: View) -> str:
    """The product that the reference solution buys."""
    clicks = [action[6:-1].upper() for action in view.solution or ()]
    return next(product for product in clicks if _ID.fullmatch(product))


def moves(sheet: Sheet) -> list[str]:
    """What a careless buyer might do on a page: all that it leads on to."""
    name = sheet.page.name
    if name == "results":
        return [*(product for product, _, _ in listed(sheet.page)), _onward(sheet)]
    if name == "item":
        pages = [page for page in BUTTONS if page not in ("next", "back")]
        return [*pages, *sheet.offered()]
    return ["prev" if name == "behind" else "search"]


def plausible(sheet: Sheet) -> list[str]:
    """Equally good moves of a buyer who knows what the prompt holds."""
    page = sheet.page
    if page.name == "results":
        best = best_products(sheet.judge)
        here = [product for product, _, _ in listed(page) if product in best]
        return here or [_onward(sheet)]
    if page.name == "item":
        return [_move(sheet, _considered(sheet))]
    return moves(sheet)


def _onward(sheet: Sheet) -> str:
    return "next" if "Next >" in sheet.page.texts else "back"


def best_moves(sheet: Sheet) -> list[str]:
    """What leads to the wanted product and its purchase within the turns that are left; none where
    nothing does."""
    left = sheet.view.turn_limit - sheet.view.turn
    wanted = wanted_product(sheet.view)
    needed = _turns_needed(sheet, wanted)
    if needed > left:
        return []
    if sheet.page.name == "results":
        further = _pages_further(sheet, wanted)
        return [wanted if not further else "next" if further > 0 else "prev"]
    if sheet.page.name != "item":
        return moves(sheet)
    move = _move(sheet, _considered(sheet, is_wanted=sheet.place.product == wanted))
    if sheet.place.product == wanted:
        return [move]
    if move in BEHIND and left >= needed + READING:
        return [move]
    verdict = sheet.judge.verdict(sheet.memory.of(sheet.place.product))
    if not verdict.missing and not verdict.is_out:
        return []  # it looks as good as the wanted one: nothing that could be learnt
    return ["prev"]


def _considered(sheet: Sheet, *, is_wanted: bool = False) -> str:
    """What the explorer clicks on a product's page; one who knows that it is the wanted one does
    not go away."""
    known = sheet.memory.of(sheet.place.product)
    left = sheet.view.turn_limit - sheet.view.turn
    clicked = WebShopPlayer().consider(sheet.page, sheet.judge, known, left)
    if is_wanted and clicked == "click[< prev]":
        clicked = WebShopPlayer().consider(sheet.page, sheet.judge, known, 0)
    return clicked.removeprefix("click[").removesuffix("]")


def _move(sheet: Sheet, clicked: str) -> str:
    """The short name of what was clicked on a product's page."""
    names = {text: name for name, text in BUTTONS.items()}
    return names.get(clicked) or next(p for p in sheet.offered() if sheet.parts[p] == clicked)


def _turns_needed(sheet: Sheet, wanted: str) -> float:
    """Turns from here to the purchase of the wanted product, if no further page is read."""
    options = len(sheet.wish.options)
    name = sheet.page.name
    if name in ("item", "behind") and sheet.place.product == wanted:
        item = next(page for page in reversed(_pages(sheet)) if page.name == "item")
        return (name == "behind") + options - len(sheet.picked(item)) + 1
    return _TURNS_TO_RESULTS[name] + abs(_pages_further(sheet, wanted)) + 1 + options + 1


_TURNS_TO_RESULTS = {"search": 1, "results": 0, "item": 1, "behind": 2}


def _pages(sheet: Sheet) -> list[Seen]:
    """The pages of this attempt."""
    return [Seen.read(turn.observation) for turn in sheet.view.turns] + [sheet.page]


def _pages_further(sheet: Sheet, wanted: str) -> float:
    """How many pages of results after the last one that was seen the wanted product stands; before
    a search, after the first."""
    number, query = 1, " ".join(sheet.parts.values())
    if sheet.page.name != "search":
        results = next(page for page in reversed(_pages(sheet)) if page.name == "results")
        number = int(next(found[1] for text in results.texts if (found := _NUMBER.match(text))))
        actions = [turn.action or "" for turn in sheet.view.turns]
        searches = [action for action in actions if action.startswith("search[")]
        query = searches[-1].removeprefix("search[").removesuffix("]")
    shop = _shop(sheet.view.environment)
    hits = shop.index.search(query)
    position = shop.stock.find(wanted)
    return hits.index(position) // HITS_A_PAGE + 1 - number if position in hits else inf


@cache
def _shop(environment: str) -> Any:
    """The shop of an environment, which the teacher knows as well as the solution."""
    env: Any = make(environment)
    return env.shop


def _maps(sheet: Sheet, best: Sequence[str]) -> NDArray[np.float32]:
    """For each letter: whether its product is ruled out, and whether it is to be opened."""
    maps = np.zeros((2, NUM_PRODUCTS), np.float32)
    for place, product in enumerate(sheet.named()):
        maps[0, place] = sheet.judge.verdict(sheet.memory.of(product)).is_out
        maps[1, place] = product in best
    return maps.reshape(2, -1, _COLUMNS)
