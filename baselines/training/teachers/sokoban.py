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
from dataclasses import dataclass
from functools import cached_property
from math import inf

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
from baselines.training.demonstrations import Choice, Decision, Population
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
    """Moves along a shortest solution."""

    randomness = (0.0, 0.2, 0.5, 0.8, 1.0)

    def decide(
        self, view: View, population: Population, randomness: float, rng: random.Random
    ) -> Decision | None:
        """As many moves as a turn holds, then the end of the answer."""
        if view.state.get("is_lost"):
            return None
        rules = Rules.read(view.rules)
        room, position = read_board(rules, view.observation)
        solutions = view.state.setdefault("solutions", Solutions(room, position))
        failures = Failures.read(view, rules)
        answer: list[str] = []
        choices: list[Choice] = []
        ways = list(room.steps)
        while len(answer) < rules.moves_per_turn and position.boxes != room.targets:
            best = solutions.best(position)
            view.state["is_lost"] = not best
            wise = self._avoiding(solutions, failures, position) or best
            choices.append(population.mixed(wise or ways, best or ways, ways))
            answer.append(rng.choice(ways if rng.random() < randomness else wise or ways))
            position = room.move(position, answer[-1])
        return Decision(answer, [*choices, {CLOSING_TAGS["act"]: 1.0}])

    def _avoiding(self, solutions: Solutions, failures: Failures, position: Position) -> list[str]:
        """First moves of the shortest solutions that repeat no failure; none where all do."""
        opening = solutions.start.boxes
        pushes = solutions.room.pushes(position)
        allowed = [push for push in pushes if not failures.forbid(push, position, opening)]
        if len(allowed) == len(pushes):
            return solutions.best(position)
        costs = {
            push: len(push.moves) + solutions.moves_left[push.after]
            for push in allowed
            if push.after in solutions.moves_left
        }
        least = min(costs.values(), default=0)
        return sorted({push.moves[0] for push, cost in costs.items() if cost == least})

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


def _cell(rules: Rules, row: str, column: str) -> int:
    return (int(row) - 1) * rules.columns + int(column) - 1
