"""Sokoban: push every box onto a target, in a room whose shortest solution is known exactly.

The one decision to know: a position that can no longer be won does not end the attempt (in the
published setting an oracle ends it). The player is not told; noticing it is part of the task.
`rooms` draws the instances, this file plays them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random
from typing import ClassVar, NamedTuple

from environments.sokoban.rooms import DIRECTIONS, Room, shape_of
from lamer_bench.env import Outcome, TextEnv
from lamer_bench.errors import SettingError
from lamer_bench.task import Split, Task

_WORD = re.compile(r"[^\W_]+|[↑↓←→]")
_DIRECTION_OF = {
    **{word: name for name in DIRECTIONS for word in (name, name[0])},
    **dict(zip("↑↓←→", DIRECTIONS, strict=True)),
}
_FILLERS = frozenset(("go", "move", "push", "then", "and"))
_LONGEST_ANSWER = 200
_STARTS_TRIED = 16
# Longest solution that a hand-made board is searched for; no level comes near it.
_SEARCH_LIMIT = 1_000


class Symbols(NamedTuple):
    """What a cell looks like."""

    wall: str
    floor: str
    target: str
    box: str
    player: str
    box_on_target: str
    player_on_target: str


PAPER = Symbols("#", "_", "O", "X", "P", "√", "S")
STANDARD = Symbols("#", "-", ".", "$", "@", "*", "+")
"""The notation of Sokoban collections (XSB), with ``-`` for the floor."""


@dataclass(frozen=True)
class Level:
    """Size, boxes, length of the shortest solution, limits and symbols."""

    description: str
    boxes: int
    min_moves: int
    """Least and greatest length of a room's shortest solution, in moves."""
    max_moves: int
    turn_limit: int
    moves_per_turn: int = 3
    rows: int = 6
    """With the outer wall."""
    columns: int = 6
    symbols: Symbols = PAPER
    min_floor: int = 0
    """Rooms with fewer cells inside are not searched: hardly any holds so long a solution."""


class Sokoban(TextEnv):
    """Push every box onto a target.

    ## Action
    A direction, ``up``, ``down``, ``left`` or ``right``, or several up to the level's moves a turn:
    ``up, left, left``. ``Up Left``, ``U L`` and ``move up then left`` are read too. A move into a
    wall, or against a box that cannot move, is an action that changes nothing. More moves than
    allowed, or any other word, is not an action.

    ## Observation
    The room, one line for each row, cells separated by spaces: ``#`` wall, ``_`` floor, ``O``
    target, ``X`` box, ``P`` player, ``√`` box on a target, ``S`` player on a target. It is the
    whole state.

    ## Reward
    For each move -0.1, +1 when one box more is on a target, -1 when one less is, and +10 when all
    are; a turn's reward is the sum over all its moves. -1 for an answer that is not an action.

    ## Ends
    Won when every box is on a target, which also ends the turn. Otherwise only out of turns: a
    position that can no longer be won goes on. Every room's shortest solution fits the turn limit,
    on `easy` to `ood` about twice over; level ``paper`` keeps the published 7 turns of 3 moves.

    ## Levels
    `easy` has one box and one move a turn. `medium` has two boxes, `hard` three with long
    solutions, both with three moves a turn, all in a 6x6 room. `ood` is a shift in kind: rooms of 7
    rows and 8 columns, and other symbols (``-`` floor, ``.`` target, ``$`` box, ``@`` player, ``*``
    box on a target, ``+`` player on a target). `paper` is the published setting: two boxes,
    shortest solution 5 to 21 moves. No box starts on a target.

    ## Splits
    A room (walls, targets, boxes, player) and its mirrored and rotated copies have one fingerprint
    and so belong to one split, whatever symbols draw it.
    """

    family: ClassVar[str] = "sokoban"
    levels: ClassVar[dict[str, Level]] = {
        "easy": Level(
            "6x6, 1 box, 2 to 9 moves, 1 move a turn",
            boxes=1,
            min_moves=2,
            max_moves=9,
            moves_per_turn=1,
            turn_limit=20,
        ),
        "medium": Level(
            "6x6, 2 boxes, 6 to 18 moves, 3 moves a turn",
            boxes=2,
            min_moves=6,
            max_moves=18,
            turn_limit=12,
        ),
        "hard": Level(
            "6x6, 3 boxes, 14 to 30 moves, 3 moves a turn",
            boxes=3,
            min_moves=14,
            max_moves=30,
            turn_limit=20,
            min_floor=14,
        ),
        "ood": Level(
            "7x8, 2 boxes, 8 to 24 moves, 3 moves a turn, other symbols",
            rows=7,
            columns=8,
            boxes=2,
            min_moves=8,
            max_moves=24,
            turn_limit=16,
            symbols=STANDARD,
        ),
        "paper": Level(
            "6x6, 2 boxes, 5 to 21 moves, 7 turns of 3 moves",
            boxes=2,
            min_moves=5,
            max_moves=21,
            turn_limit=7,
        ),
    }
    action_hint: ClassVar[str] = (
        "Name one of the moves up, down, left, right, like this: <action>up</action>; "
        "the rules say how many a turn may hold."
    )

    def __init__(
        self, level: str = "easy", *, split: Split = "test", render_mode: str | None = None
    ) -> None:
        super().__init__(level, split=split, render_mode=render_mode)
        self.board = self.levels[level]
        self.turn_limit = self.board.turn_limit
        self._shape = shape_of(self.board.rows, self.board.columns, self.board.boxes)
        self._glyph_moves = _glyph_moves(self.board.symbols)
        self._steps = _steps(self.board.columns, self.board.moves_per_turn)
        self._wanted: Task | None = None
        self._room: Room
        self._fingerprint: str
        self._moves: list[str] | None
        self._initial_text: str | None

    # The instance --------------------------------------------------------------------------------

    def load(self, task: Task) -> None:
        """Draw the instance of ``task``.

        The task is noted first: one search of a room certifies many starting positions, so that
        `generate` can pick one that may be the task's instead of throwing the search away.
        """
        self._wanted = task
        super().load(task)

    def generate(self, rng: Random) -> bool:
        shape, level = self._shape, self.board
        floor = shape.draw_floor(rng)
        if floor.bit_count() < level.min_floor:
            return False
        places = shape.cells(shape.pull_cells(floor))
        if len(places) < level.boxes:
            return False
        targets = tuple(sorted(rng.sample(places, level.boxes)))
        layers = shape.solve(floor, targets, level.max_moves)
        starts = [shape.starts(layer, targets) for layer in layers[level.min_moves :]]
        starts = [states for states in starts if states]
        if not starts:
            return False
        for _ in range(_STARTS_TRIED):
            room = Room(floor, targets, *shape.draw_state(rng.choice(starts), rng))
            fingerprint = f"sokoban {shape.fingerprint(room)}"
            if self._wanted is None or self._wanted.owns(fingerprint):
                self._room, self._fingerprint = room, fingerprint
                self._moves = shape.shortest(room, layers)
                self._initial_text = None
                return self._moves is not None
        return False

    def lay_out(self, board: str) -> None:
        """Take a hand-made board, drawn in this level's symbols, as the present task's instance.

        For tests and notebooks. It must have the level's size and boxes, and walls around; it need
        not be solvable.
        """
        level, symbols = self.board, self.board.symbols
        rows = [line.split() for line in board.strip().splitlines()]
        glyphs = [glyph for row in rows for glyph in row[1:-1]][
            level.columns - 2 : 2 - level.columns
        ]
        boxes = _where(glyphs, symbols.box, symbols.box_on_target)
        targets = _where(glyphs, symbols.target, symbols.box_on_target, symbols.player_on_target)
        players = _where(glyphs, symbols.player, symbols.player_on_target)
        floor = sum(1 << cell for cell, glyph in enumerate(glyphs) if glyph != symbols.wall)
        is_sound = (
            len(rows) == level.rows
            and all(len(row) == level.columns and set(row) <= set(symbols) for row in rows)
            and len(boxes) == len(targets) == level.boxes
            and len(players) == 1
        )
        if not is_sound:
            raise SettingError(
                f"A board of {self.environment} has {level.rows} rows and {level.columns} columns, "
                f"{level.boxes} boxes and targets and 1 player, in the symbols {' '.join(symbols)}."
            )
        self._room = Room(floor, targets, boxes, players[0])
        self._fingerprint = f"sokoban {self._shape.fingerprint(self._room)}"
        layers = self._shape.solve(floor, targets, _SEARCH_LIMIT)
        self._moves = self._shape.shortest(self._room, layers)
        self._initial_text = None
        self._over = True

    def fingerprint(self) -> str:
        return self._fingerprint

    def solution(self) -> list[str]:
        """A shortest solution in moves, as many moves a turn as the level allows."""
        if self._moves is None:
            raise SettingError("This board, laid out by hand, cannot be solved.")
        size = self.board.moves_per_turn
        starts = range(0, len(self._moves), size)
        return [", ".join(self._moves[first : first + size]) for first in starts]

    # Playing it ----------------------------------------------------------------------------------

    def rules(self) -> str:
        level, symbols = self.board, self.board.symbols
        if level.moves_per_turn == 1:
            turns = f"You have {level.turn_limit} turns of 1 move."
            answer = "Answer with one move, as <action>up</action>."
        else:
            most = level.moves_per_turn
            turns = f"You have {level.turn_limit} turns of up to {most} moves."
            answer = f"Answer with 1 to {most} moves in order, as <action>up, left</action>."
        return (
            f"Sokoban. The room has {level.rows} rows and {level.columns} columns. Push every box "
            "onto a target. You push a box by moving against it; you cannot pull, nor push two "
            "boxes at once.\n"
            f"Symbols: {symbols.wall} wall, {symbols.floor} floor, {symbols.target} target, "
            f"{symbols.box} box, {symbols.player} player, {symbols.box_on_target} box on a target, "
            f"{symbols.player_on_target} player on a target.\n"
            "Moves: up, down, left, right. A move into a wall, or against a box that cannot move, "
            f"changes nothing. {turns}\n{answer}"
        )

    def start(self) -> str:
        if self._initial_text is None:
            self._initial_glyphs = self._draw()
            self._initial_text = "".join(self._initial_glyphs)
            row, column = divmod(self._room.player, self._shape.columns)
            self._initial_player = 2 * ((row + 1) * self.board.columns + column + 1)
            self._initial_missing = len(set(self._room.targets) - set(self._room.boxes))
        self._glyphs = self._initial_glyphs.copy()
        self._player = self._initial_player
        self._missing = self._initial_missing
        return self._initial_text

    def parse(self, answer: str) -> str | None:
        if answer in self._steps:
            return answer
        if len(answer) > _LONGEST_ANSWER:
            return None
        moves = []
        for word in _WORD.findall(answer.lower()):
            if word not in _FILLERS:
                if word not in _DIRECTION_OF:
                    return None
                moves.append(_DIRECTION_OF[word])
        return ", ".join(moves) if 0 < len(moves) <= self.board.moves_per_turn else None

    def act(self, action: str) -> Outcome:
        glyphs, player = self._glyphs, self._player
        leave, enter, push = self._glyph_moves
        wall = self.board.symbols.wall
        reward = 0.0
        for step in self._steps[action]:
            reward -= 0.1
            ahead = player + step
            glyph = glyphs[ahead]
            if glyph == wall:
                continue
            entered = enter.get(glyph)
            if entered is None:
                pushed = push.get((glyph, glyphs[ahead + step]))
                if pushed is None:
                    continue
                entered, glyphs[ahead + step], gained = pushed
                self._missing -= gained
                reward += gained
            glyphs[player] = leave[glyphs[player]]
            glyphs[ahead] = entered
            player = ahead
            if not self._missing:
                text = "".join(glyphs)
                reward += 10.0
                return Outcome(f"{text}\nEvery box is on a target. Solved.", reward, True, True)
        self._player = player
        return Outcome("".join(glyphs), reward, False, False)

    def look(self) -> str:
        return "".join(self._glyphs)

    def admissible(self) -> list[str] | None:
        """The four directions where a turn is one move; otherwise too many to list."""
        return list(DIRECTIONS) if self.board.moves_per_turn == 1 else None

    def symbols(self) -> dict[str, str]:
        return {glyph: meaning for meaning, glyph in self.board.symbols._asdict().items()}

    def _draw(self) -> list[str]:
        """The initial board: a glyph and a separator by turns, the last separator left out."""
        level, symbols, room = self.board, self.board.symbols, self._room
        glyphs = [symbols.wall, " "] * (level.rows * level.columns)
        glyphs[2 * level.columns - 1 :: 2 * level.columns] = ["\n"] * level.rows
        for cell in self._shape.cells(room.floor):
            is_target = cell in room.targets
            glyph = symbols.target if is_target else symbols.floor
            if cell in room.boxes:
                glyph = symbols.box_on_target if is_target else symbols.box
            elif cell == room.player:
                glyph = symbols.player_on_target if is_target else symbols.player
            row, column = divmod(cell, self._shape.columns)
            glyphs[2 * ((row + 1) * level.columns + column + 1)] = glyph
        glyphs.pop()
        return glyphs


class _GlyphMoves(NamedTuple):
    """The rules of the game as changes of glyphs: the board's text is the only state."""

    leave: dict[str, str]
    """The player's glyph -> what stays behind."""
    enter: dict[str, str]
    """A free glyph -> the player's glyph there."""
    push: dict[tuple[str, str], tuple[str, str, int]]
    """(Box, free glyph behind it) -> (player's glyph, box's glyph, boxes gained on targets)."""


@cache
def _glyph_moves(symbols: Symbols) -> _GlyphMoves:
    free = {symbols.floor: symbols.player, symbols.target: symbols.player_on_target}
    boxes = {symbols.box: symbols.player, symbols.box_on_target: symbols.player_on_target}
    behind = {symbols.floor: symbols.box, symbols.target: symbols.box_on_target}
    return _GlyphMoves(
        {player: glyph for glyph, player in free.items()},
        free,
        {
            (box, glyph): (
                boxes[box],
                behind[glyph],
                (glyph == symbols.target) - (box == symbols.box_on_target),
            )
            for box, glyph in product(boxes, behind)
        },
    )


@cache
def _steps(columns: int, moves_per_turn: int) -> dict[str, tuple[int, ...]]:
    """Canonical action -> steps in the list of glyphs and separators."""
    step = dict(zip(DIRECTIONS, (-2 * columns, 2 * columns, -2, 2), strict=True))
    return {
        ", ".join(moves): tuple(step[move] for move in moves)
        for length in range(1, moves_per_turn + 1)
        for moves in product(DIRECTIONS, repeat=length)
    }


def _where(glyphs: list[str], *wanted: str) -> tuple[int, ...]:
    return tuple(cell for cell, glyph in enumerate(glyphs) if glyph in wanted)
