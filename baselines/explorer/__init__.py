"""The explorer: the strongest scripted player that sees no more than an agent does.

One player for each family, loaded when first met: exact mine inference for MineSweeper, bounded
search for Sokoban, comparing look-alikes for WebShop. It carries what earlier attempts of a trial
have shown; with its memory wiped it starts anew.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import ClassVar, Protocol

from lamer_bench.agent import Agent, Answer, Memory, View
from lamer_bench.errors import AgentError

_PLAYERS = {
    "minesweeper": "baselines.explorer.minesweeper:MinesweeperPlayer",
    "sokoban": "baselines.explorer.sokoban:SokobanPlayer",
    "webshop": "baselines.explorer.webshop:WebShopPlayer",
    "webshop-browser": "baselines.explorer.webshop:WebShopPlayer",
}


class Player(Protocol):
    """Plays one family."""

    def answer(self, view: View) -> str:
        """The next action, in ``<action>...</action>``."""

    def reflect(self, view: View) -> str:
        """What an attempt has shown, for the next one."""


class ExplorerAgent(Agent):
    """Infers and searches with what was seen so far, all attempts together; no hidden state."""

    name: ClassVar[str] = "explorer"
    memories: ClassVar[Sequence[Memory]] = ("history", "reflection", "both", "none")

    def __init__(self) -> None:
        self._players: dict[str, Player] = {}

    def prepare(self, environment: str) -> None:
        self._player(environment.rpartition("-")[0])

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [self._player(view.family).answer(view) for view in views]

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [self._player(view.family).reflect(view) for view in views]

    def _player(self, family: str) -> Player:
        if family not in self._players:
            if family not in _PLAYERS:
                known = ", ".join(_PLAYERS)
                raise AgentError(f"The explorer cannot play {family!r}. It plays: {known}.")
            module, _, name = _PLAYERS[family].partition(":")
            player: Player = getattr(importlib.import_module(module), name)()
            self._players[family] = player
        return self._players[family]
