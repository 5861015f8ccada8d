"""Practice levels, for training only: MineSweeper and Sokoban in many sizes, densities and symbols,
and WebShop paid for wins alone.

They are in no suite and no list; a trainer names them by reference, such as
``environments.practice:MinesweeperPractice-4x7b``. The size and the symbols of each board family's
`ood` level are left out: what is practised here is that sizes and symbols can change, not that
level.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import ClassVar

from environments import minesweeper, sokoban
from environments.minesweeper import Minesweeper
from environments.sokoban import Sokoban, Symbols
from environments.webshop import WebShop
from environments.webshop.goals import Level as ShopLevel

_GLYPHS = dict(zip("abcdef", ("?.*", "#.*", "?-@", "@#-", "-.@", "_#X"), strict=True))
"""Hidden, blank, mine."""
_SYMBOLS = {
    "a": sokoban.PAPER,
    "b": Symbols(*"#-OXP√S"),
    "c": Symbols(*"#_.$P*S"),
    "d": Symbols(*"#_O$@√+"),
    "e": Symbols(*"#.-X@*+"),
}


def _minesweeper_levels() -> dict[str, minesweeper.Level]:
    held_out = Minesweeper.levels["ood"]
    levels = {}
    sizes = [size for size in product(range(4, 7), range(4, 9)) if size != (5, 8)]
    for number, ((rows, columns), (letter, glyphs)) in enumerate(product(sizes, _GLYPHS.items())):
        assert (rows, columns) != (held_out.rows, held_out.columns)
        cells = rows * columns
        mines = cells * (10 + 7 * number % 19) // 100  # 10 to 28 %
        levels[f"{rows}x{columns}{letter}"] = minesweeper.Level(
            f"{rows}x{columns}, {mines} mines", rows, columns, mines, cells - mines, *glyphs
        )
    for mines in range(4, 11):
        levels[f"6x6x{mines}"] = minesweeper.Level(f"6x6, {mines} mines", 6, 6, mines, 36 - mines)
    return levels


def _sokoban_levels() -> dict[str, sokoban.Level]:
    held_out = Sokoban.levels["ood"]
    levels = {}
    sizes = [size for size in product(range(5, 9), range(5, 9)) if size != (7, 8)]
    for (rows, columns), boxes, (letter, symbols) in product(sizes, (1, 2), _SYMBOLS.items()):
        assert (rows, columns) != (held_out.rows, held_out.columns)
        assert symbols != held_out.symbols
        levels[f"{rows}x{columns}x{boxes}{letter}"] = sokoban.Level(
            f"{rows}x{columns}, {boxes} boxes",
            boxes=boxes,
            min_moves=4,
            max_moves=24,
            turn_limit=16,
            rows=rows,
            columns=columns,
            symbols=symbols,
        )
    return levels


class MinesweeperPractice(Minesweeper):
    """MineSweeper on 4 to 6 rows and 4 to 8 columns, 10 to 28 % mines, six sets of glyphs; and the
    suite's board with every number of mines from 4 to 10.

    See `Minesweeper` for the rules. A level is named by its size and a letter for the glyphs,
    ``4x7b``, or by its size and mines, ``6x6x8``.
    """

    family: ClassVar[str] = "minesweeper_practice"
    levels: ClassVar[dict[str, minesweeper.Level]] = _minesweeper_levels()


class SokobanPractice(Sokoban):
    """Sokoban in rooms of 5 to 8 rows and columns, one or two boxes, five sets of symbols.

    See `Sokoban` for the rules. A level is named by its size, boxes and a letter for the symbols:
    ``5x8x2c``.
    """

    family: ClassVar[str] = "sokoban_practice"
    levels: ClassVar[dict[str, sokoban.Level]] = _sokoban_levels()


class WebShopPractice(WebShop):
    """WebShop's levels but `ood`, with the reward of `paper`: all or nothing.

    See `WebShop` for the rules. Where a purchase that is nearly right pays two thirds, looking
    further does not pay, and reinforcement learns to buy at once (docs/log.md).
    """

    family: ClassVar[str] = "webshop_practice"
    levels: ClassVar[dict[str, ShopLevel]] = {
        name: replace(level, reward="all_or_nothing")
        for name, level in WebShop.levels.items()
        if name != "ood"
    }
