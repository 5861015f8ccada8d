"""The random agent: a uniform draw from what is possible; the lower anchor of every table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise, product
from typing import ClassVar

from lamer_bench.agent import Agent, Answer, Memory, View

_EXAMPLE = re.compile(r"<action>(.*?)</action>", re.DOTALL)
_WORD = re.compile(r"[a-z]{3,}")
_MOST_MOVES = re.compile(r"up to (\d+) moves")


class RandomAgent(Agent):
    """Draws uniformly from the actions that are possible."""

    name: ClassVar[str] = "random"
    memories: ClassVar[Sequence[Memory]] = ("none", "history", "reflection", "both")

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [f"<action>{view.rng.choice(possible_actions(view))}</action>" for view in views]


def possible_actions(view: View) -> Sequence[str]:
    """The admissible actions; where they are too many to list, what the family's rules allow, or
    else the examples that the rules give."""
    if view.admissible:
        return view.admissible
    if view.family in _UNLISTED:
        return _UNLISTED[view.family](view)
    return _EXAMPLE.findall(f"{view.rules}\n{view.action_hint}") or [""]


def _sokoban(view: View) -> Sequence[str]:
    """Every sequence of moves that a turn may hold."""
    found = _MOST_MOVES.search(view.rules)
    return _move_sequences(int(found[1]) if found else 1)


@cache
def _move_sequences(most: int) -> list[str]:
    moves = ("up", "down", "left", "right")
    lengths = range(1, most + 1)
    return [", ".join(sequence) for length in lengths for sequence in product(moves, repeat=length)]


def _webshop(view: View) -> Sequence[str]:
    """A search for any word of the page, the instruction's own among them, or for two in a row."""
    words = _WORD.findall(view.observation.lower())
    pairs = [f"{one} {other}" for one, other in pairwise(words)]
    return [f"search[{query}]" for query in dict.fromkeys(words + pairs)]


_UNLISTED: dict[str, Callable[[View], Sequence[str]]] = {
    "sokoban": _sokoban,
    "webshop": _webshop,
    "webshop-browser": _webshop,
}
