"""The random agent: a uniform draw from what is possible; the lower anchor of every table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from lamer_bench.agent import Agent, Answer, Memory, View

_EXAMPLE = re.compile(r"<action>(.*?)</action>", re.DOTALL)


class RandomAgent(Agent):
    """Draws from the admissible actions; where there are none to read, from the examples of the
    rules."""

    name: ClassVar[str] = "random"
    memories: ClassVar[Sequence[Memory]] = ("none", "history", "reflection", "both")

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [f"<action>{view.rng.choice(possible_actions(view))}</action>" for view in views]


def possible_actions(view: View) -> Sequence[str]:
    """Admissible actions, or else every action that the rules and the hint give as an example."""
    if view.admissible:
        return view.admissible
    return _EXAMPLE.findall(f"{view.rules}\n{view.action_hint}") or [""]
