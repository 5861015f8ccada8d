"""MineSweeper as the small models read it: what is known of a board, whatever its size.

A board drawn in rows tells a network which cells touch only by their distance in the text, which
is another one for every width; one that has learnt some widths cannot read the next (docs/log.md).
So the prompt of an action lists what the numbers say, each once: how many mines are among which
cells. A number counts what an earlier attempt is remembered to have shown, too::

    Mines 9 of 31
    safe (1,1) (1,2)
    mine (2,4)
    1/2 (3,3) (3,4)
    2/3 (1,3) (2,3) (3,3)
    (1,1) (1,2) (1,3) ...

The first line holds the mines left and the cells that they may be in, ``safe`` what an earlier
attempt opened and this one has not, ``mine`` where earlier ones ended; the last line is all hidden
cells, room for the network to judge each of them (pause tokens, arXiv 2310.02226). What follows
from two numbers together is left to it.

A reflection is about all attempts and names cells with what they hold, ``(1,1) 2 (2,4) *``. It is
written from such a list, and an action's prompt reads the list that was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from baselines.explorer.minesweeper import Board, Knowledge, neighbours, remembered, shown
from lamer_bench.agent import View


def prompt(view: View, kind: Literal["act", "reflect"], begun: str) -> str:
    """The text up to the beginning of the answer, which is ``begun``."""
    board = Board.from_rules(view.rules)
    if kind == "reflect":
        return f"{notes(board, shown(view))} {begun}"
    glyphs = board.read(view.observation) or [board.hidden] * (board.rows * board.columns)
    hidden = [cell for cell, glyph in enumerate(glyphs) if glyph == board.hidden]
    knowledge = remembered(view)
    safe = [cell for cell in hidden if cell in knowledge.numbers]
    mines = [cell for cell in hidden if cell in knowledge.mines]
    known = {*safe, *mines}
    left = max(board.mines - len(knowledge.mines), 0)
    unknown = [cell for cell in hidden if cell not in known]
    knowledge.add(board, glyphs)
    lines = [f"Mines {left} of {len(unknown)}"]
    if any(turn.action is None for turn in view.turns[-1:]):
        lines.append("not an action")
    for word, cells in (("safe", safe), ("mine", mines)):
        if cells:
            lines.append(" ".join([word, *map(board.name, cells)]))
    lines += _numbers(board, knowledge, unknown)
    return "\n".join([*lines, " ".join([*map(board.name, hidden), begun])])


def _numbers(board: Board, knowledge: Knowledge, unknown: list[int]) -> Iterator[str]:
    """What the numbers say of unknown cells, the fewest cells first; what several say alike is
    said once."""
    around = neighbours(board.rows, board.columns)
    among = set(unknown)
    needs: dict[tuple[int, ...], int] = {}
    for cell, number in sorted(knowledge.numbers.items()):
        near = tuple(one for one in around[cell] if one in among)
        need = number - sum(one in knowledge.mines for one in around[cell])
        needs[near] = min(max(need, 0), len(near))  # a reflection may be wrong
    for near in sorted(needs, key=len):
        if near:
            yield " ".join([f"{needs[near]}/{len(near)}", *map(board.name, near)])


def notes(board: Board, knowledge: Knowledge) -> str:
    """Cells with what they hold, in the board's order."""
    held = {cell: str(number) for cell, number in knowledge.numbers.items()}
    held |= dict.fromkeys(knowledge.mines, "*")
    return " ".join(f"{board.name(cell)} {held[cell]}" for cell in sorted(held))
