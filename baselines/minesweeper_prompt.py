"""MineSweeper's boards as a small model reads and writes them: in a frame, in the usual symbols.

A network with positions learns where a cell's neighbours stand for each size of board anew, and
knows nothing of a size that it has not met. So a board is shown in the upper left corner of a
frame, 6x6 or else 6x8, whose other cells are outside. The rules say what the symbols mean; in the
frame they are the same for all boards. Boards of 6x6 in the usual symbols are shown as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from baselines.explorer.minesweeper import Board

FRAMES = ((6, 6), (6, 8))
"""Rows and columns."""
USUAL = ("?", ".", "*")
"""Hidden, blank, mine."""
OUTSIDE = "X"


def frame_of(board: Board) -> tuple[int, int]:
    """Rows and columns of the smallest frame that holds a board; its own size where none does."""
    fitting = [f for f in FRAMES if f[0] >= board.rows and f[1] >= board.columns]
    return fitting[0] if fitting else (board.rows, board.columns)


def framed(rules: str, text: str) -> str:
    """A text with its boards in a frame."""
    board = Board.from_rules(rules)
    if _is_usual(board):
        return text
    return "\n".join(_framed_lines(board, text))


def unframed(rules: str, text: str) -> str:
    """What a model wrote, with framed boards put back into the symbols and the size of the
    rules."""
    board = Board.from_rules(rules)
    if _is_usual(board):
        return text
    own = dict(zip(USUAL, _glyphs(board), strict=True))
    lines = []
    for line in text.split("\n"):
        cells = line.split()
        if len(cells) == frame_of(board)[1] and {*USUAL, OUTSIDE, *"12345678"}.issuperset(cells):
            if set(cells) == {OUTSIDE}:
                continue
            line = " ".join(own.get(cell, cell) for cell in cells[: board.columns])
        lines.append(line)
    return "\n".join(lines)


def _framed_lines(board: Board, text: str) -> Iterator[str]:
    rows, columns = frame_of(board)
    usual = dict(zip(_glyphs(board), USUAL, strict=True))
    num_rows = 0
    for line in text.split("\n"):
        cells = line.split()
        if len(cells) != board.columns or not {*usual, *"12345678"}.issuperset(cells):
            num_rows = 0
            yield line
            continue
        shown = [usual.get(cell, cell) for cell in cells]
        yield " ".join([*shown, *[OUTSIDE] * (columns - board.columns)])
        num_rows += 1
        if num_rows == board.rows:
            yield from [" ".join([OUTSIDE] * columns)] * (rows - board.rows)
            num_rows = 0


def _glyphs(board: Board) -> tuple[str, str, str]:
    return board.hidden, board.blank, board.mine


def _is_usual(board: Board) -> bool:
    return (board.rows, board.columns) in FRAMES and _glyphs(board) == USUAL
