"""What Sokoban's demonstrations show: shortest solutions, and openings not tried twice.

A room's state graph is searched once; with the distance of every state known, all equally good
moves are. Nothing is hidden, so that memory is worth nothing to a player without error; it is worth
a lot to one that errs the same way each time. A remembering player therefore takes the shortest
solution that neither opens with the push of a failed attempt nor puts a box where one got stuck.
"""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf

import numpy as np
from numpy.typing import NDArray

from baselines.explorer.sokoban import (
    Position,
    Push,
    Room,
    Rules,
    cell_name,
    pushes_made,
    read_board,
)
from baselines.prompts import CLOSING_TAGS
from baselines.training.demonstrations import Decision, Population
from lamer_bench.agent import View

_OPENING = re.compile(r"\((\d+),(\d+)\) (up|down|left|right)")
_CELL = re.compile(r"\((\d+),(\d+)\)")


@dataclass
class Solutions:
    """The shortest solution of every state that can be reached from ``start``."""

    room: Room
    start: Position

    @cached_property
    def moves_left(self) -> dict[Position, int]:
        """State -> moves to the nearest solved one; states that cannot be won are missing."""
        before: dict[Position, list[Position]] = {self.start: []}
        queue = deque([self.start])
        solved = []
        while queue:
            position = queue.popleft()
            if position.boxes == self.room.targets:
                solved.append(position)
                continue
            for direction in self.room.steps:
                after = self.room.move(position, direction)
                if after not in before:
                    before[after] = []
                    queue.append(after)
                before[after].append(position)
        distances = dict.fromkeys(solved, 0)
        queue.extend(solved)
        while queue:
            position = queue.popleft()
            for earlier in before[position]:
                if earlier not in distances:
                    distances[earlier] = distances[position] + 1
                    queue.append(earlier)
        return distances

    def best(self, position: Position) -> list[str]:
        """All first moves of shortest solutions; none where the position is lost or solved."""
        left = self.moves_left.get(position, inf)
        return [
            direction
            for direction in self.room.steps
            if self.moves_left.get(self.room.move(position, direction), inf) < left
        ]

    def best_pushes(self, pushes: Sequence[Push]) -> list[Push]:
        """Those that a shortest solution begins with; none where all of them lose."""
        costs = [len(push.moves) + self.moves_left.get(push.after, inf) for push in pushes]
        least = min(costs, default=inf)
        return [push for push, cost in zip(pushes, costs, strict=True) if cost == least < inf]


@lru_cache(maxsize=8)
def solutions_from(rules: Rules, observation: str) -> Solutions:
    """Kept for the next attempts at the same room."""
    return Solutions(*read_board(rules, observation))


@dataclass(frozen=True)
class Failures:
    """What the last reflection says of all failed attempts."""

    openings: frozenset[tuple[int, str]] = frozenset()
    """First pushes: (cell of the box before, direction)."""
    stuck: frozenset[int] = frozenset()
    """Cells where a box got stuck."""

    @classmethod
    def read(cls, view: View, rules: Rules) -> Failures:
        """From the reflection that the memory holds; nothing where there is none."""
        text = view.earlier[-1].reflection if view.earlier else ""
        openings, _, stuck = text.partition("stuck")
        return cls(
            frozenset((_cell(rules, r, c), way) for r, c, way in _OPENING.findall(openings)),
            frozenset(_cell(rules, r, c) for r, c in _CELL.findall(stuck)),
        )

    def forbid(self, push: Push, position: Position, opening: frozenset[int]) -> bool:
        """True for a push that repeats a failure; ``opening``: the boxes of the initial state."""
        (landed,) = push.after.boxes - position.boxes
        is_opening = position.boxes == opening and (push.box, push.moves[-1]) in self.openings
        return is_opening or landed in self.stuck


class SokobanTeacher:
    """Names a push that a shortest solution begins with, and walks to it."""

    randomness = (0.0, 0.2, 0.5, 0.8, 1.0)

    def decide(
        self, view: View, population: Population, randomness: float, rng: random.Random
    ) -> Decision | None:
        """A push, then as many moves as a turn holds, then the end of the answer.

        The maps hold, inside the outer wall: where the player can walk, from where a lone box can
        be brought to a target, and the boxes that a shortest solution pushes next.
        """
        if view.state.get("is_lost"):
            return None
        rules = Rules.read(view.rules)
        room, position = read_board(rules, view.observation)
        if "solutions" not in view.state:
            view.state["solutions"] = solutions_from(rules, view.observation)
        solutions: Solutions = view.state["solutions"]
        failures = Failures.read(view, rules)
        pushes = room.pushes(position)
        best = solutions.best_pushes(pushes)
        view.state["is_lost"] = not best
        if not pushes:
            return None
        opening = solutions.start.boxes
        wise = solutions.best_pushes(
            [push for push in pushes if not failures.forbid(push, position, opening)]
        )
        likely = population.mixed(wise or best or pushes, best or pushes, pushes)
        is_opening = position.boxes == opening  # a good one, so that its failure is a lesson
        slips = not is_opening and rng.random() < randomness
        pushed = rng.choice(pushes if slips else wise or best or pushes)
        answer = [cell_name(rules, pushed.box), pushed.moves[-1], "<action>"]
        by_cell = shares((cell_name(rules, push.box), share) for push, share in likely.items())
        by_way = shares(
            (push.moves[-1], share) for push, share in likely.items() if push.box == pushed.box
        )
        choices = [by_cell, by_way, {"<action>": 1.0}]
        is_pushed = False
        for _ in range(rules.moves_per_turn):
            if position.boxes == room.targets:
                break
            ways = room.walk(position, pushed) if not is_pushed else solutions.best(position)
            ways = ways or list(room.steps)
            choices.append(dict.fromkeys(ways, 1 / len(ways)))
            answer.append(rng.choice(ways))
            before, position = position, room.move(position, answer[-1])
            is_pushed = is_pushed or position.boxes != before.boxes
        maps = self._maps(rules, room, read_board(rules, view.observation)[1], best)
        return Decision(answer, [*choices, {CLOSING_TAGS["act"]: 1.0}], maps)

    def _maps(
        self, rules: Rules, room: Room, position: Position, best: Sequence[Push]
    ) -> NDArray[np.float32]:
        maps = np.zeros((3, rules.rows * rules.columns), np.float32)
        maps[0, list(room.reachable(position))] = 1.0
        maps[1, [cell for pushes in room.pushes_to for cell in pushes]] = 1.0
        for push in best:
            maps[2, push.box] += 1 / len(best)
        return maps.reshape(3, rules.rows, rules.columns)[:, 1:-1].clip(max=1.0)

    def reflect(self, view: View) -> str:
        """The first push of each failed attempt, then the cells where boxes got stuck."""
        rules = Rules.read(view.rules)
        room, position = read_board(rules, view.observation)
        failures = Failures.read(view, rules)
        openings = failures.openings | set(pushes_made(rules, view.turns)[:1])
        stuck = failures.stuck | set(room.stuck(position.boxes))
        return " ".join(
            [
                *(f"{cell_name(rules, box)} {way}" for box, way in sorted(openings)),
                "stuck",
                *(cell_name(rules, cell) for cell in sorted(stuck)),
                CLOSING_TAGS["reflect"],
            ]
        )


def shares(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Weights by token, added up and scaled to a sum of 1."""
    added: dict[str, float] = {}
    for token, share in parts:
        added[token] = added.get(token, 0.0) + share
    total = sum(added.values())
    return {token: share / total for token, share in added.items()}


def _cell(rules: Rules, row: str, column: str) -> int:
    return (int(row) - 1) * rules.columns + int(column) - 1
