"""What MineSweeper's demonstrations show: exact mine inference, with and without memory."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from baselines.explorer.minesweeper import Board, outlook, shown
from baselines.minesweeper_prompt import notes
from baselines.prompts import CLOSING_TAGS
from baselines.training.demonstrations import Decision, Population
from lamer_bench.agent import View


class MinesweeperTeacher:
    """Opens a cell that is a mine in the fewest layouts that fit what is known."""

    randomness = (0.0, 0.0, 0.05, 0.15, 0.4)
    told_solution = False

    def decide(
        self, view: View, population: Population, randomness: float, rng: random.Random
    ) -> Decision:
        """One cell, then the end of the answer; the map holds the risks."""
        seen = outlook(view)
        remembering = [seen.board.name(cell) for cell in seen.best]
        forgetting = remembering
        if view.earlier and population.remember < 1.0:
            board_alone = outlook(replace(view, earlier=(), state={}))
            forgetting = [seen.board.name(cell) for cell in board_alone.best]
        anything = [seen.board.name(cell) for cell in seen.hidden]
        played = rng.choice(anything if rng.random() < randomness else remembering)
        return Decision(
            [played],
            [population.mixed(remembering, forgetting, anything), {CLOSING_TAGS["act"]: 1.0}],
            np.array(seen.risks(), np.float32)[seen.hidden].reshape(1, -1, 1),
        )

    def reflect(self, view: View) -> str:
        """Each cell that an attempt has shown, with what it holds."""
        seen = notes(Board.from_rules(view.rules), shown(view))
        return f" {seen} {CLOSING_TAGS['reflect']}"
