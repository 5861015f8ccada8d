"""The MineSweeper explorer: exact mine inference over all layouts that fit everything seen so far.

It reads only what a player sees: the rules, the board, and earlier attempts as the memory shows
them (final boards, or boards that it drew into its own reflections). Layouts are counted exactly,
in integers: cells with the same numbered neighbours are one class, classes that share numbers one
component, and the components are joined by how many mines they take of the total.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import comb

from lamer_bench.agent import View
from lamer_bench.errors import AgentError

_SIZE = re.compile(r"(\d+) rows and (\d+) columns and hides (\d+) mines")
_NOTE = re.compile(r"\((\d),(\d)\) ([0-8*])")
_SYMBOLS = re.compile(r"Symbols: (\S) hidden, (\S) no mine around.*?, (\S) mine\.", re.DOTALL)


@dataclass(frozen=True)
class Board:
    """Shape, mines and glyphs, as the rules state them."""

    rows: int
    columns: int
    mines: int
    hidden: str
    blank: str
    mine: str

    @classmethod
    @cache
    def from_rules(cls, rules: str) -> Board:
        """Read the rules page; raises `AgentError` when it is not MineSweeper's."""
        size, symbols = _SIZE.search(rules), _SYMBOLS.search(rules)
        if size is None or symbols is None:
            raise AgentError("These rules do not name a board's size, mines and symbols.")
        rows, columns, mines = (int(number) for number in size.groups())
        return cls(rows, columns, mines, *symbols.groups())

    def name(self, cell: int) -> str:
        """``(row,column)`` from 1."""
        row, column = divmod(cell, self.columns)
        return f"({row + 1},{column + 1})"

    def read(self, text: str) -> list[str] | None:
        """The glyphs of the first board drawn in a text, row by row, or None."""
        known = {self.hidden, self.blank, self.mine, *"12345678"}
        glyphs: list[str] = []
        for line in text.splitlines():
            cells = line.split()
            if len(cells) == self.columns and known.issuperset(cells):
                glyphs += cells
                if len(glyphs) == self.rows * self.columns:
                    return glyphs
            else:
                glyphs = []
        return None


@dataclass
class Knowledge:
    """What was seen of a layout, over all attempts."""

    numbers: dict[int, int] = field(default_factory=dict)
    """Open cell -> mines around it."""
    mines: set[int] = field(default_factory=set)

    def add(self, board: Board, glyphs: Sequence[str] | None) -> None:
        """Add what a drawn board shows; a board that could not be read adds nothing."""
        for cell, glyph in enumerate(glyphs or ()):
            if glyph == board.mine:
                self.mines.add(cell)
            elif glyph != board.hidden:
                self.numbers[cell] = 0 if glyph == board.blank else int(glyph)

    def add_notes(self, board: Board, text: str) -> None:
        """Add what a text says of cells one by one, ``(1,1) 2 (2,4) *``."""
        for row, column, held in _NOTE.findall(text):
            inside = 1 <= int(row) <= board.rows and 1 <= int(column) <= board.columns
            cell = (int(row) - 1) * board.columns + int(column) - 1
            if inside and held == "*":
                self.mines.add(cell)
            elif inside:
                self.numbers[cell] = int(held)

    def draw(self, board: Board) -> str:
        """The board as it is known."""
        glyphs = [board.hidden] * (board.rows * board.columns)
        for cell, number in self.numbers.items():
            glyphs[cell] = str(number) if number else board.blank
        for cell in self.mines:
            glyphs[cell] = board.mine
        rows = range(0, len(glyphs), board.columns)
        return "\n".join(" ".join(glyphs[row : row + board.columns]) for row in rows)


class MinesweeperPlayer:
    """Opens a cell that is a mine in the fewest layouts; equals are drawn from the view's
    stream."""

    def answer(self, view: View) -> str:
        """``<action>(row,column)</action>``."""
        seen = outlook(view)
        return f"<action>{seen.board.name(view.rng.choice(seen.best))}</action>"

    def reflect(self, view: View) -> str:
        """The board as all attempts so far have shown it."""
        return f"<remark>\n{shown(view).draw(Board.from_rules(view.rules))}\n</remark>"


def shown(view: View) -> Knowledge:
    """What all attempts have shown, the present one included."""
    board = Board.from_rules(view.rules)
    knowledge = remembered(view)
    knowledge.add(board, board.read(view.observation))
    return knowledge


def remembered(view: View) -> Knowledge:
    """What earlier attempts have shown, as far as the memory holds it; read once for each
    attempt."""
    if "remembered" not in view.state:
        board = Board.from_rules(view.rules)
        knowledge = Knowledge()
        for episode in view.earlier:
            knowledge.add(board, board.read(episode.final_observation))
            knowledge.add(board, board.read(episode.reflection))
            knowledge.add_notes(board, episode.reflection)
        view.state["remembered"] = knowledge
    kept: Knowledge = view.state["remembered"]
    return Knowledge(dict(kept.numbers), set(kept.mines))


@dataclass(frozen=True)
class Outlook:
    """What exact inference says about a position."""

    board: Board
    hidden: list[int]
    """Cells that can be opened; never empty."""
    weights: list[int]
    """For each cell the number of layouts in which it is a mine."""

    @property
    def best(self) -> list[int]:
        """The hidden cells that are mines in the fewest layouts."""
        least = min(self.weights[cell] for cell in self.hidden)
        return [cell for cell in self.hidden if self.weights[cell] == least]

    def risks(self) -> list[float]:
        """For each cell the probability of a mine, 0..1."""
        layouts = sum(self.weights) // self.board.mines  # each layout counts its mines once
        return [weight / layouts for weight in self.weights]


def outlook(view: View) -> Outlook:
    """Infer from everything that the view shows and remembers."""
    board = Board.from_rules(view.rules)
    glyphs = board.read(view.observation)
    if glyphs is None:
        raise AgentError("The observation shows no board.")
    knowledge = remembered(view)
    knowledge.add(board, glyphs)
    hidden = [cell for cell, glyph in enumerate(glyphs) if glyph == board.hidden]
    weights = mine_weights(board, knowledge)
    if not any(weights):  # a reflection that contradicts the board: trust the board
        knowledge = Knowledge()
        knowledge.add(board, glyphs)
        weights = mine_weights(board, knowledge)
    return Outlook(board, hidden, weights)


def mine_weights(board: Board, knowledge: Knowledge) -> list[int]:
    """For each cell the number of layouts in which it is a mine, among those that fit the
    knowledge.

    Known safe cells have 0. Exact integers; divide by the weight of a known mine for a probability,
    or by the common total of all layouts.
    """
    size = board.rows * board.columns
    around = neighbours(board.rows, board.columns)
    unknown = [c for c in range(size) if c not in knowledge.numbers and c not in knowledge.mines]
    left = board.mines - len(knowledge.mines)

    touching: dict[int, list[int]] = {cell: [] for cell in unknown}
    needs: dict[int, int] = {}
    for cell, number in knowledge.numbers.items():
        need = number - sum(near in knowledge.mines for near in around[cell])
        near_unknown = [near for near in around[cell] if near in touching]
        if near_unknown:
            needs[cell] = need
            for near in near_unknown:
                touching[near].append(cell)

    classes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for cell, numbers in touching.items():
        classes[tuple(numbers)].append(cell)
    apart = classes.pop((), [])

    components = [_count(part, classes, needs) for part in _components(classes)]
    # prefix/suffix products give "everything but this component" without division
    before = [{0: 1}]
    for counts in components:
        before.append(_convolve(before[-1], counts.total))
    after = {k: comb(len(apart), k) for k in range(min(len(apart), left) + 1)}

    weights = [0] * size
    total = sum(ways * after.get(left - k, 0) for k, ways in before[-1].items())
    for cell in knowledge.mines:
        weights[cell] = total
    if apart:
        inside = len(apart) - 1  # a given cell apart is a mine: choose the rest among the others
        share = sum(
            ways * comb(inside, left - k - 1)
            for k, ways in before[-1].items()
            if 0 <= left - k - 1 <= inside
        )
        for cell in apart:
            weights[cell] = share
    for index in range(len(components) - 1, -1, -1):
        rest = _convolve(before[index], after)
        for members, with_mine in components[index].by_class.items():
            weight = sum(ways * rest.get(left - k, 0) for k, ways in with_mine.items())
            for cell in classes[members]:
                weights[cell] = weight
        after = _convolve(after, components[index].total)
    return weights


@dataclass
class _Counts:
    """Layouts of one component by their number of mines."""

    total: dict[int, int]
    by_class: dict[tuple[int, ...], dict[int, int]]
    """For each class the layouts in which one given cell of it is a mine."""


def _components(
    classes: Iterable[tuple[int, ...]],
) -> list[list[tuple[int, ...]]]:
    """Classes grouped by shared numbers, each group ordered so that neighbours follow each
    other."""
    by_number: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for members in classes:
        for number in members:
            by_number[number].append(members)
    seen: set[tuple[int, ...]] = set()
    groups = []
    for first in classes:
        if first in seen:
            continue
        seen.add(first)
        group = [first]
        for members in group:  # grows while it is walked: breadth first
            for number in members:
                for near in by_number[number]:
                    if near not in seen:
                        seen.add(near)
                        group.append(near)
        groups.append(group)
    return groups


def _count(
    group: list[tuple[int, ...]],
    classes: dict[tuple[int, ...], list[int]],
    needs: dict[int, int],
) -> _Counts:
    """Count a component's layouts by depth-first search over "how many mines in each class"."""
    sizes = [len(classes[members]) for members in group]
    need = {number: needs[number] for members in group for number in members}
    room = dict.fromkeys(need, 0)  # unknown cells around a number that are not decided yet
    for members, size in zip(group, sizes, strict=True):
        for number in members:
            room[number] += size
    total: dict[int, int] = defaultdict(int)
    by_class: list[dict[int, int]] = [defaultdict(int) for _ in group]
    chosen = [0] * len(group)

    def visit(index: int, ways: int, mines: int) -> None:
        if index == len(group):
            total[mines] += ways
            for position, count in enumerate(chosen):
                if count:  # of C(n, c) placements, C(n-1, c-1) = c/n of them hold a given cell
                    by_class[position][mines] += ways * count // sizes[position]
            return
        members, size = group[index], sizes[index]
        for number in members:
            room[number] -= size
        most = min(size, *(need[number] for number in members))
        least = max(0, *(need[number] - room[number] for number in members))
        for count in range(least, most + 1):
            chosen[index] = count
            for number in members:
                need[number] -= count
            visit(index + 1, ways * comb(size, count), mines + count)
            for number in members:
                need[number] += count
        chosen[index] = 0
        for number in members:
            room[number] += size

    visit(0, 1, 0)
    return _Counts(total, dict(zip(group, by_class, strict=True)))


def _convolve(left: dict[int, int], right: dict[int, int]) -> dict[int, int]:
    joined: dict[int, int] = defaultdict(int)
    for a, ways_a in left.items():
        for b, ways_b in right.items():
            joined[a + b] += ways_a * ways_b
    return joined


@cache
def neighbours(rows: int, columns: int) -> list[list[int]]:
    """For each cell, row by row, those that touch it."""
    return [
        [
            r * columns + c
            for r in range(max(row - 1, 0), min(row + 2, rows))
            for c in range(max(column - 1, 0), min(column + 2, columns))
            if (r, c) != (row, column)
        ]
        for row in range(rows)
        for column in range(columns)
    ]
