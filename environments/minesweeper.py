"""MineSweeper: find all safe cells of a board whose mines are fixed before the first move.

The one decision to know: the mines do not depend on the first click (in most implementations they
do), because every attempt of a trial must meet the same board. One safe cell is open at the start
instead.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import ClassVar, NamedTuple

from lamer_bench.env import Outcome, TextEnv
from lamer_bench.task import Split

_ACTION = re.compile(
    r"\W*(?:(?:click|open|reveal|cell)\W*)?(?:row\W*)?([0-9]{1,2})[^0-9]{1,3}?"
    r"(?:col(?:umn)?\W*)?([0-9]{1,2})\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Level:
    """Size, mines, turn limit and glyphs of a board."""

    description: str
    rows: int
    columns: int
    mines: int
    turn_limit: int
    hidden: str = "?"
    blank: str = "."
    mine: str = "*"
    max_clicks: int | None = None
    """Boards whose shortest win needs more clicks than this are not drawn (None: no bound)."""


class Minesweeper(TextEnv):
    """Open every cell that holds no mine.

    ## Action
    A hidden cell as ``(row,column)``, counted from 1 at the top left: ``(2,3)``. ``row 2 col 3``
    and ``2 3`` are the same action. A cell that is open, or off the board, is not an action.

    ## Observation
    A line with the number of mines, then the board, one line for each row, cells separated by
    spaces: ``?`` hidden, ``.`` no mine around, ``1`` to ``8`` mines around, ``*`` the mine that
    ended the attempt. A last line says how it ended. Opening a cell with no mine around opens its
    neighbours too, and so on.

    ## Reward
    +10 for the click that wins, +2 for one that opens several cells, +0.5 for one that opens one
    cell, -0.1 for a mine, -1 for an answer that is not an action.

    ## Ends
    Won when every safe cell is open, lost at the first mine, out of turns at the level's limit. On
    the levels of this suite the limit is the number of safe cells, so that it never cuts a player
    short; level ``paper`` keeps the published 7 turns and draws only boards that 7 clicks can win.

    ## Levels
    `easy`, `medium` and `hard` share the 6x6 board and differ in density: at ``hard`` ten of the 36
    cells are mines and guessing is unavoidable, so that what one attempt revealed decides the next.
    `ood` is a shift in kind: a 5x8 rectangle, a density that lies between those of training, and
    other glyphs (``#`` hidden, ``-`` blank, ``@`` mine). `paper` is the published setting.

    ## Splits
    A layout and its mirrored and rotated copies have one fingerprint and so belong to one split,
    whatever cell is open at the start.
    """

    family: ClassVar[str] = "minesweeper"
    version: ClassVar[int] = 2
    levels: ClassVar[dict[str, Level]] = {
        "easy": Level("6x6, 4 mines (11 %)", 6, 6, 4, 32),
        "medium": Level("6x6, 6 mines (17 %)", 6, 6, 6, 30),
        "hard": Level("6x6, 10 mines (28 %)", 6, 6, 10, 26),
        "ood": Level("5x8, 8 mines (20 %), other glyphs", 5, 8, 8, 32, "#", "-", "@"),
        "paper": Level("6x6, 3 mines (8 %), 7 turns", 6, 6, 3, 7, max_clicks=7),
    }
    action_hint: ClassVar[str] = "Name a hidden cell like this: <action>(2,3)</action>."

    def __init__(
        self, level: str = "easy", *, split: Split = "test", render_mode: str | None = None
    ) -> None:
        super().__init__(level, split=split, render_mode=render_mode)
        self.board = self.levels[level]
        self.turn_limit = self.board.turn_limit
        self._grid = _grid(self.board.rows, self.board.columns)
        self._mines = 0
        self._first = 0

    def generate(self, rng: Random) -> bool:
        cells = rng.sample(self._grid.cells, self.board.mines + 1)
        self._first = cells[0]
        symmetric = self._grid.symmetric
        packed = 0
        mines = 0
        for cell in cells[1:]:
            packed += symmetric[cell]
            mines |= 1 << cell
        self._mines = mines
        self._packed = packed
        self._initial_glyphs: list[str] = []
        bound = self.board.max_clicks
        if bound is not None:
            return 0 < len(self.solution()) <= bound
        # a board that its first open cell solves leaves nothing to do
        return self._flood(self._first, 0) | mines != self._grid.full

    def fingerprint(self) -> str:
        size = 8 * self._grid.num_symmetries
        masks = struct.unpack(
            f"<{self._grid.num_symmetries}Q", self._packed.to_bytes(size, "little")
        )
        return f"minesweeper {self.board.rows}x{self.board.columns} {min(masks):x}"

    def solution(self) -> list[str]:
        """One click for each region without neighbouring mines, then one for each cell left
        (3BV)."""
        opened = self._flood(self._first, 0)
        clicks = []
        blanks_first = sorted(self._grid.cells, key=self._count)
        for cell in blanks_first:
            if not (self._mines | opened) >> cell & 1:
                opened = self._flood(cell, opened)
                clicks.append(self._grid.names[cell])
        return clicks

    def rules(self) -> str:
        board = self.board
        return (
            f"MineSweeper. The board has {board.rows} rows and {board.columns} columns and hides "
            f"{board.mines} mines. Open every cell without a mine; "
            "opening a mine ends the attempt.\n"
            f"Symbols: {board.hidden} hidden, {board.blank} no mine around, 1 to 8 mines around "
            f"(up to eight neighbours), {board.mine} mine.\n"
            "Opening a cell with no mine around opens its neighbours too. One safe cell is open "
            f"at the start. You have {board.turn_limit} turns.\n"
            "Answer with one hidden cell, row and column counted from 1 at the top left, as "
            "<action>(row,column)</action>."
        )

    def start(self) -> str:
        if not self._initial_glyphs:
            self._rewind_slowly()
        self._glyphs: list[str] = self._initial_glyphs.copy()
        self._hidden: dict[str, int] = self._initial_hidden.copy()
        return self._initial_text

    def parse(self, answer: str) -> str | None:
        if answer in self._hidden:
            return answer
        if len(answer) > 64:
            return None
        found = _ACTION.fullmatch(answer)
        if found is None:
            return None
        name = f"({int(found[1])},{int(found[2])})"
        return name if name in self._hidden else None

    def act(self, action: str) -> Outcome:
        cell = self._hidden.pop(action)
        glyphs = self._glyphs
        if self._mines >> cell & 1:
            glyphs[2 * cell + 1] = self.board.mine
            text = "".join(glyphs)
            return Outcome(f"{text}\n{action} was a mine. The attempt is over.", -0.1, True, False)
        mines_around = (self._mines & self._grid.around[cell]).bit_count()
        if mines_around:
            glyphs[2 * cell + 1] = _DIGITS[mines_around]
            reward = 0.5
        else:
            before = len(self._hidden)
            self._open(cell)
            reward = 2.0 if len(self._hidden) < before else 0.5
        text = "".join(glyphs)
        if len(self._hidden) == self.board.mines:
            return Outcome(f"{text}\nEvery safe cell is open. Solved.", 10.0, True, True)
        return Outcome(text, reward, False, False)

    def look(self) -> str:
        return "".join(self._glyphs)

    def admissible(self) -> list[str]:
        return list(self._hidden)

    def symbols(self) -> dict[str, str]:
        board = self.board
        return {board.hidden: "hidden", board.blank: "blank", board.mine: "mine"}

    def _rewind_slowly(self) -> None:
        """Build the initial state once; every later restart copies it."""
        grid, board = self._grid, self.board
        self._glyphs = [f"Mines: {board.mines}\n", *[board.hidden, " "] * len(grid.cells)]
        self._glyphs[2 * board.columns :: 2 * board.columns] = ["\n"] * board.rows
        self._glyphs.pop()
        self._hidden = {name: cell for cell, name in enumerate(grid.names)}
        self._open(self._first)
        self._initial_glyphs = self._glyphs
        self._initial_hidden = self._hidden
        self._initial_text = "".join(self._glyphs)

    def _open(self, cell: int) -> None:
        """Open a safe cell and, from every blank one, its neighbours."""
        grid, glyphs = self._grid, self._glyphs
        opened = self._flood(cell, 0)
        while opened:
            cell = (opened & -opened).bit_length() - 1
            opened &= opened - 1
            self._hidden.pop(grid.names[cell], None)
            mines_around = self._count(cell)
            glyphs[2 * cell + 1] = _DIGITS[mines_around] if mines_around else self.board.blank

    def _flood(self, cell: int, opened: int) -> int:
        """The mask of open cells after a click on the safe ``cell``."""
        around, mines = self._grid.around, self._mines
        frontier = 1 << cell
        while frontier:
            cell = frontier.bit_length() - 1
            frontier ^= 1 << cell
            opened |= 1 << cell
            if not mines & around[cell]:
                frontier |= around[cell] & ~opened
        return opened

    def _count(self, cell: int) -> int:
        """Mines around a cell."""
        return (self._mines & self._grid.around[cell]).bit_count()


_DIGITS = "012345678"


class _Grid(NamedTuple):
    """What all boards of one shape share."""

    cells: range
    full: int
    """The mask of all cells."""
    names: list[str]
    around: list[int]
    """For each cell the mask of its up to eight neighbours."""
    symmetric: list[int]
    """For each cell its images under all symmetries, as bits in lanes of 64: the sum over a
    layout's mines holds all its mirrored copies side by side."""
    num_symmetries: int


@cache
def _grid(rows: int, columns: int) -> _Grid:
    names, around, symmetric = [], [], []
    for row in range(rows):
        for column in range(columns):
            names.append(f"({row + 1},{column + 1})")
            mask = 0
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for c in range(max(column - 1, 0), min(column + 2, columns)):
                    mask |= 1 << (r * columns + c)
            around.append(mask & ~(1 << (row * columns + column)))
            images = _images(row, column, rows, columns)
            symmetric.append(sum(1 << (64 * lane + image) for lane, image in enumerate(images)))
    size = rows * columns
    full = (1 << size) - 1
    return _Grid(range(size), full, names, around, symmetric, 8 if rows == columns else 4)


def _images(row: int, column: int, rows: int, columns: int) -> list[int]:
    """A cell's indices under the symmetries of the rectangle: 8 for a square, 4 otherwise."""
    mirrored = [(r, c) for r in (row, rows - 1 - row) for c in (column, columns - 1 - column)]
    if rows == columns:
        mirrored += [(c, r) for r, c in mirrored]
    return [r * columns + c for r, c in mirrored]
