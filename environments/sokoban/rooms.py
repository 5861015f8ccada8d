"""Rooms: drawing them, and the exact shortest solution from every state of a room at once.

A set of states is one Python integer, one bit for each (player cell, cell of box 1, cell of box 2,
...). Moving the player, or pulling a box along, is then the same shift for all states of the set,
so that a breadth-first search backwards from the solved states costs a few dozen integer operations
for each layer, however many states the layer holds. It is exact in moves and certifies every state
that it reaches.
"""

from __future__ import annotations

from functools import cache, cached_property
from itertools import permutations
from random import Random
from typing import NamedTuple

DIRECTIONS = ("up", "down", "left", "right")


class Room(NamedTuple):
    """One instance. Cells are numbered row by row inside the outer wall."""

    floor: int
    """Mask of the cells that are not wall."""
    targets: tuple[int, ...]
    boxes: tuple[int, ...]
    player: int


class Pull(NamedTuple):
    """What one move of the player does to a set of states, seen backwards."""

    shift: int
    """By how many bits a state moves when the player walks."""
    boxes: list[tuple[int, int]]
    """For each box: the states in which it stands behind the player, and the shift of a pull."""
    arrivals: int
    """The states in which the player can have arrived by this move: none wrapped around an edge."""


class Shape:
    """What all rooms of one size and number of boxes share. Use `shape_of`, which keeps them."""

    def __init__(self, rows: int, columns: int, num_boxes: int) -> None:
        self.rows = rows
        """Rows inside the outer wall."""
        self.columns = columns
        self.num_boxes = num_boxes
        self.num_cells = rows * columns
        self.every_cell = (1 << self.num_cells) - 1
        first = sum(1 << row * columns for row in range(rows))
        self._not_first_column = self.every_cell & ~first
        self._not_last_column = self.every_cell & ~(first << columns - 1)
        self.symmetric = [self._images(cell) for cell in range(4 * self.num_cells)]
        self.num_symmetries = 8 if rows == columns else 4

    def draw_floor(self, rng: Random) -> int:
        """Random walls (each cell with chance 1/4), and of the rest the part around one cell."""
        walls = rng.getrandbits(self.num_cells) & rng.getrandbits(self.num_cells)
        cell = 1 << rng.randrange(self.num_cells)
        return self.reachable(cell, self.every_cell & ~walls | cell)

    def reachable(self, start: int, floor: int) -> int:
        """Mask of the cells of ``floor`` that are connected with those of ``start``."""
        columns, not_first, not_last = self.columns, self._not_first_column, self._not_last_column
        reached, grown = 0, start
        while grown != reached:
            reached = grown
            grown |= (
                reached << columns
                | reached >> columns
                | reached << 1 & not_first
                | reached >> 1 & not_last
            ) & floor
        return reached

    def pull_cells(self, floor: int) -> int:
        """Mask of the cells from which a box can be pulled: two more cells of floor in a row.

        Seen forwards, the only cells that a box can be pushed onto.
        """
        columns, not_first, not_last = self.columns, self._not_first_column, self._not_last_column
        below, above = floor >> columns, floor << columns
        right, left = floor >> 1 & not_last, floor << 1 & not_first
        return floor & (
            below & below >> columns
            | above & above << columns
            | right & right >> 1 & not_last
            | left & left << 1 & not_first
        )

    def cells(self, mask: int) -> list[int]:
        """The cells of a mask in ascending order."""
        return [cell for cell in range(self.num_cells) if mask >> cell & 1]

    def solve(self, floor: int, targets: tuple[int, ...], max_moves: int) -> list[int]:
        """Sets of states by their exact distance to a solved one: element k needs k moves.

        Ends after ``max_moves`` or when no state is left.
        """
        free = self._distinct
        for cell in range(self.num_cells):
            if not floor >> cell & 1:
                free &= self._without[cell]
        layer = self._solved(floor, targets)
        layers = [layer]
        unseen = free & ~layer
        upward, downward = self._pulls
        for _ in range(max_moves):
            reached = 0
            for shift, boxes, arrivals in upward:
                moved = layer << shift
                for behind, box_shift in boxes:
                    moved |= (layer & behind) << box_shift
                reached |= moved & arrivals
            for shift, boxes, arrivals in downward:
                moved = layer >> shift
                for behind, box_shift in boxes:
                    moved |= (layer & behind) >> box_shift
                reached |= moved & arrivals
            layer = reached & unseen
            if not layer:
                break
            unseen ^= layer
            layers.append(layer)
        return layers

    def starts(self, layer: int, targets: tuple[int, ...]) -> int:
        """The states of a layer in which no box stands on a target."""
        for cell in targets:
            layer &= self._without_box[cell]
        return layer

    def draw_state(self, states: int, rng: Random) -> tuple[tuple[int, ...], int]:
        """One of the states with equal probability, as (boxes in ascending order, player)."""
        index = _nth_bit(states, rng.randrange(states.bit_count()))
        index, player = divmod(index, self.num_cells)
        boxes = []
        for _ in range(self.num_boxes):
            index, box = divmod(index, self.num_cells)
            boxes.append(box)
        return tuple(sorted(boxes)), player

    def shortest(self, room: Room, layers: list[int]) -> list[str] | None:
        """The moves of a shortest solution, read off the layers of `solve`; None without one."""
        boxes, player = list(room.boxes), room.player
        index = self._index(boxes, player)
        distance = next((k for k, layer in enumerate(layers) if layer >> index & 1), None)
        if distance is None:
            return None
        moves = []
        for layer in reversed(layers[:distance]):
            for name, offset in self.offsets.items():
                # A blocked move leads to an index that the layer does not hold; only a cell beyond
                # the edge could be taken for one in the next row, hence `neighbour`.
                ahead = self.neighbour(player, name)
                moved = [box + offset if box == ahead else box for box in boxes]
                is_push = moved != boxes
                if ahead is None or (is_push and self.neighbour(ahead, name) is None):
                    continue
                if layer >> self._index(moved, ahead) & 1:
                    boxes, player = moved, ahead
                    moves.append(name)
                    break
        return moves

    def fingerprint(self, room: Room) -> str:
        """The room as a number, the least over its mirrored and rotated copies."""
        symmetric, cells = self.symmetric, self.num_cells
        packed = symmetric[room.player]
        for box in room.boxes:
            packed += symmetric[cells + box]
        for target in room.targets:
            packed += symmetric[2 * cells + target]
        for cell in self.cells(room.floor):
            packed += symmetric[3 * cells + cell]
        width = 4 * cells
        lane = (1 << width) - 1
        least = min(packed >> width * k & lane for k in range(self.num_symmetries))
        return f"{self.rows + 2}x{self.columns + 2} {least:x}"

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Direction -> difference of cell numbers."""
        return {"up": -self.columns, "down": self.columns, "left": -1, "right": 1}

    def neighbour(self, cell: int, direction: str) -> int | None:
        """The cell next to ``cell``; None beyond the edge."""
        at_edge = {
            "up": cell < self.columns,
            "down": cell >= self.num_cells - self.columns,
            "left": cell % self.columns == 0,
            "right": cell % self.columns == self.columns - 1,
        }[direction]
        return None if at_edge else cell + self.offsets[direction]

    # Sets of states ------------------------------------------------------------------------------

    def _index(self, boxes: list[int], player: int) -> int:
        index = 0
        for box in reversed(boxes):
            index = (index + box) * self.num_cells
        return index + player

    def _solved(self, floor: int, targets: tuple[int, ...]) -> int:
        """All states with a box on every target, the player anywhere else on the floor."""
        players = floor
        for cell in targets:
            players &= ~(1 << cell)
        solved = 0
        for boxes in permutations(targets):
            solved |= players << self._index(list(boxes), 0)
        return solved

    @cached_property
    def _standing(self) -> list[list[int]]:
        """``[who][cell]``: the states with the player (0) or a box (1, 2, ...) on a cell."""
        size = self.num_cells
        table = []
        for who in range(self.num_boxes + 1):
            run = size**who
            pattern = (1 << run) - 1
            repeats = size ** (self.num_boxes - who)
            table.append([_repeat(pattern << run * c, run * size, repeats) for c in range(size)])
        return table

    @cached_property
    def _distinct(self) -> int:
        """All states in which no two stand on one cell."""
        states: int = (1 << self.num_cells ** (self.num_boxes + 1)) - 1
        for one in range(self.num_boxes + 1):
            for other in range(one):
                for cell in range(self.num_cells):
                    states &= ~(self._standing[one][cell] & self._standing[other][cell])
        return states

    @cached_property
    def _without_box(self) -> list[int]:
        """For each cell the states with no box on it."""
        return [self._except(cell, self._standing[1:]) for cell in range(self.num_cells)]

    @cached_property
    def _without(self) -> list[int]:
        """For each cell the states with nobody on it."""
        return [self._except(cell, self._standing) for cell in range(self.num_cells)]

    def _except(self, cell: int, standing: list[list[int]]) -> int:
        states = self._distinct
        for who in standing:
            states &= ~who[cell]
        return states

    @cached_property
    def _pulls(self) -> tuple[list[Pull], list[Pull]]:
        """The moves that raise a state's index (down, right), and those that lower it."""
        pulls = {name: self._pull(name) for name in DIRECTIONS}
        return [pulls["down"], pulls["right"]], [pulls["up"], pulls["left"]]

    def _pull(self, direction: str) -> Pull:
        step = abs(self.offsets[direction])
        players = self._standing[0]
        arrivals = 0
        behind = [0] * self.num_boxes
        for cell in range(self.num_cells):
            ahead = self.neighbour(cell, direction)
            if ahead is None:
                continue
            arrivals |= players[ahead]
            for k in range(self.num_boxes):
                behind[k] |= self._standing[k + 1][cell] & players[ahead]
        boxes = [
            (states, step * (1 + self.num_cells ** (k + 1))) for k, states in enumerate(behind)
        ]
        return Pull(step, boxes, arrivals)

    def _images(self, bit: int) -> int:
        """A bit's images under all symmetries, side by side in lanes of four masks each."""
        kind, cell = divmod(bit, self.num_cells)
        row, column = divmod(cell, self.columns)
        rows, columns = (row, self.rows - 1 - row), (column, self.columns - 1 - column)
        mirrored = [(r, c) for r in rows for c in columns]
        if self.rows == self.columns:
            mirrored += [(c, r) for r, c in mirrored]
        return sum(
            1 << 4 * self.num_cells * lane + kind * self.num_cells + r * self.columns + c
            for lane, (r, c) in enumerate(mirrored)
        )


@cache
def shape_of(rows: int, columns: int, num_boxes: int) -> Shape:
    """The shape of rooms with this outer size, its tables built once for each process."""
    return Shape(rows - 2, columns - 2, num_boxes)


def _repeat(pattern: int, period: int, times: int) -> int:
    """``pattern`` at every multiple of ``period`` bits, by doubling."""
    result, length = 0, 0
    block, block_length = pattern, 1
    while times:
        if times & 1:
            result |= block << period * length
            length += block_length
        block |= block << period * block_length
        block_length *= 2
        times >>= 1
    return result


def _nth_bit(mask: int, n: int) -> int:
    """The position of the n-th set bit, counted from 0 at the lowest, by halving."""
    position, width = 0, mask.bit_length()
    while width > 1:
        half = width >> 1
        low = mask & (1 << half) - 1
        count = low.bit_count()
        if n < count:
            mask, width = low, half
        else:
            n -= count
            mask >>= half
            position += half
            width -= half
    return position
