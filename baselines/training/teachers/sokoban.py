"""What Sokoban's demonstrations show: shortest solutions, and failed attempts not repeated.

A room's state graph is searched once; with the distance of every state known, so are all equally
good moves. Nothing is hidden, so that memory is worth nothing to a player without error; it is
worth a lot to one that errs the same way each time: a language model repeats the very push that
lost in every second retry. So a reflection lists the pushes of its attempt, the prompt shows those
of them that were made from the present arrangement of boxes (`baselines.prompts`), and who
remembers does not slip into them again. Which of them lost is not told: how far to trust a push
that was tried in vain is learnt from the policy's own failures (`corrections`).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from baselines.explorer.sokoban import (
    Position,
    Push,
    Room,
    Rules,
    cell_name,
    push_names,
    pushes_made,
    read_board,
    tried_here,
)
from baselines.prompts import CLOSING_TAGS
from baselines.sokoban_prompt import first_pushes, upright
from baselines.training.demonstrations import Beginning, Choice, Decision, Population
from lamer_bench.agent import PastEpisode, View

LATER_FAILURES = 0.5
"""Chance that an attempt fails all the same that does not lose here."""


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

    def best_pushes(self, pushes: Sequence[Push], most: float = inf) -> list[Push]:
        """Those that a shortest solution of ``most`` moves or fewer begins with; none where all of
        them lose."""
        costs = [len(push.moves) + self.moves_left.get(push.after, inf) for push in pushes]
        least = min(costs, default=inf)
        if least > most or least == inf:
            return []
        return [push for push, cost in zip(pushes, costs, strict=True) if cost == least]


class _Known(NamedTuple):
    """What a teacher knows of a view, which is `upright` here as in the prompt."""

    view: View
    rules: Rules
    room: Room
    position: Position
    solutions: Solutions


def _known(view: View) -> _Known:
    view = upright(view)
    rules = Rules.read(view.rules)
    if "solutions" not in view.state:
        view.state["solutions"] = solutions_from(rules, view.observation)
    return _Known(view, rules, *read_board(rules, view.observation), view.state["solutions"])


@lru_cache(maxsize=8)
def solutions_from(rules: Rules, observation: str) -> Solutions:
    """Kept for the next attempts at the same room."""
    return Solutions(*read_board(rules, observation))


class SokobanTeacher:
    """Names a push that a shortest solution begins with, and walks to it."""

    randomness = (0.0, 0.2, 0.4, 0.7, 1.0)
    told_solution = False

    def decide(
        self, view: View, population: Population, randomness: float, rng: random.Random
    ) -> Decision | None:
        """A push, then as many moves as a turn holds, then the end of the answer.

        A slip is a push that looks good; who remembers makes none that was tried from here. Where
        the room is lost there is nothing to learn: the player goes on with slips.
        """
        known = _known(view)
        view, rules, room, start, solutions = known
        pushes = room.pushes(start)
        if not pushes:
            return None
        best = solutions.best_pushes(pushes)
        tempting = [push for push in pushes if _looks_good(room, push)] or pushes
        tried = set(tried_here(view, rules))
        heeding = [p for p in tempting if (p.box, p.moves[-1]) not in tried] or tempting
        remembers = rng.random() < population.remember
        slips = rng.random() < randomness or not best
        pushed = rng.choice(best if not slips else heeding if remembers else tempting)
        likely = _likely(population, best, tempting, heeding)
        return self._turn(known, pushed, likely, best, rng)

    def tried(self, view: View) -> set[Beginning]:
        """The pushes that failed attempts made from the present arrangement of boxes."""
        view = upright(view)
        rules = Rules.read(view.rules)
        return {(cell_name(rules, box), way) for box, way in tried_here(view, rules)}

    def failed_by(self, view: View, begin: Beginning, rng: random.Random) -> View | None:
        """An earlier attempt's reflection lists this attempt's pushes and that one. Who makes a
        push that wins may still lose later, but not always."""
        view, rules, room, position, solutions = _known(view)
        wins = any(
            push.after in solutions.moves_left
            for push in room.pushes(position)
            if _beginning(rules, push) == begin
        )
        if wins and rng.random() >= LATER_FAILURES:
            return None
        pushed = push_names(rules, pushes_made(rules, view.turns))
        failed = PastEpisode(reflection=" ".join([*pushed, *begin]))
        return replace(view, earlier=[*view.earlier, failed])

    def redirect(
        self, view: View, others: Mapping[Beginning, float], rng: random.Random
    ) -> Decision | None:
        """The best of the pushes that were not tried and win in the turns that are left; where
        none does, one of ``others``. None once the room is lost."""
        known = _known(view)
        view, rules, room, start, solutions = known
        pushes = room.pushes(start)
        tried = self.tried(view)
        untried = [push for push in pushes if _beginning(rules, push) not in tried]
        moves_left = (view.turn_limit - view.turn) * rules.moves_per_turn
        wins = solutions.best_pushes(untried, moves_left)
        likely = [(push, 1.0) for push in wins] or [
            (push, share) for push in untried if (share := others.get(_beginning(rules, push)))
        ]
        if not likely:
            return None
        [pushed] = rng.choices(*zip(*likely, strict=True))
        best = solutions.best_pushes(pushes)
        return self._turn(known, pushed, likely, best, rng, stops_when_lost=True)

    def _turn(
        self,
        known: _Known,
        pushed: Push,
        likely: Sequence[tuple[Push, float]],
        best: Sequence[Push],
        rng: random.Random,
        stops_when_lost: bool = False,
    ) -> Decision:
        """A push named, walked to and made, and then the best that follows; ``likely`` are the
        weights of what could be named. Where a room is lost moves are random, or with
        ``stops_when_lost`` the answer ends, which is not marked."""
        _, rules, room, start, solutions = known
        answer = [cell_name(rules, pushed.box), pushed.moves[-1], "<action>"]
        walked: list[Choice] = []
        position = start
        end: Choice = {CLOSING_TAGS["act"]: 1.0}
        is_pushed = False
        for _ in range(rules.moves_per_turn):
            if position.boxes == room.targets:
                break
            ways = room.walk(position, pushed) if not is_pushed else solutions.best(position)
            if not ways and stops_when_lost:
                end = {}
                break
            ways = ways or list(room.steps)
            walked.append(dict.fromkeys(ways, 1 / len(ways)))
            answer.append(rng.choice(ways))
            before, position = position, room.move(position, answer[-1])
            is_pushed = is_pushed or position.boxes != before.boxes
        if not best:
            return Decision(answer, [])
        by_cell = shares((cell_name(rules, push.box), share) for push, share in likely)
        by_way = shares((p.moves[-1], share) for p, share in likely if p.box == pushed.box)
        by_way = by_way or {pushed.moves[-1]: 1.0}  # a slip, in a population that never slips
        choices = [by_cell, by_way, {"<action>": 1.0}, *walked, end]
        return Decision(answer, choices, self._maps(rules, room, start, best))

    def _maps(
        self,
        rules: Rules,
        room: Room,
        position: Position,
        best: Sequence[Push],
    ) -> NDArray[np.float32]:
        """Inside the outer wall: where the player can walk, from where a lone box can be brought to
        a target, the boxes that a shortest solution pushes next."""
        maps = np.zeros((3, rules.rows * rules.columns), np.float32)
        maps[0, list(room.reachable(position))] = 1.0
        maps[1, [cell for pushes in room.pushes_to for cell in pushes]] = 1.0
        for push in best:
            maps[2, push.box] += 1 / len(best)
        return maps.reshape(-1, rules.rows, rules.columns)[:, 1:-1].clip(max=1.0)

    def reflect(self, view: View) -> str:
        """The attempt's first pushes."""
        return " ".join([*first_pushes(upright(view)), CLOSING_TAGS["reflect"]])


def _beginning(rules: Rules, push: Push) -> Beginning:
    """How an answer begins that names a push."""
    return cell_name(rules, push.box), push.moves[-1]


def _looks_good(room: Room, push: Push) -> bool:
    """True where the box comes nearer to a target, as if it were alone, and does not get stuck."""
    landed = push.box + room.steps[push.moves[-1]]
    is_nearer = any(
        pushes.get(landed, inf) < pushes.get(push.box, inf) for pushes in room.pushes_to
    )
    return is_nearer and landed not in room.stuck(push.after.boxes)


def _likely(
    population: Population,
    best: Sequence[Push],
    tempting: Sequence[Push],
    heeding: Sequence[Push],
) -> list[tuple[Push, float]]:
    """What a population would push, with the shares of those who remember and of those who do
    not."""
    slipping = Population(slip=population.slip)
    return [
        (push, share * weight)
        for slips, weight in ((heeding, population.remember), (tempting, 1 - population.remember))
        for push, share in slipping.mixed(best, (), slips).items()
        if weight
    ]


def shares(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Weights by token, added up and scaled to a sum of 1; empty without weights."""
    added: dict[str, float] = {}
    for token, share in parts:
        added[token] = added.get(token, 0.0) + share
    total = sum(added.values())
    return {token: share / total for token, share in added.items()}
