"""Levels that only the questions of ask_questions.py need.

They are in no suite, and no policy is reinforced on them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from environments.sokoban import Level as SokobanLevel
from environments.sokoban import Sokoban

EPISODES = 3


class LongSokoban(Sokoban):
    """Sokoban with the turns of all attempts in a single one."""

    family: ClassVar[str] = "sokoban_long"
    levels: ClassVar[dict[str, SokobanLevel]] = {
        name: replace(level, turn_limit=EPISODES * level.turn_limit)
        for name, level in Sokoban.levels.items()
    }


class FarSokoban(Sokoban):
    """Sokoban with longer solutions than all but one in seven rooms of `hard`; a level is the least
    number of moves."""

    family: ClassVar[str] = "sokoban_far"
    levels: ClassVar[dict[str, SokobanLevel]] = {
        "24": replace(
            Sokoban.levels["hard"],
            description="6x6, 3 boxes, 24 to 40 moves, 3 moves a turn",
            min_moves=24,
            max_moves=40,
            turn_limit=26,
        )
    }


class MoreSokoban(Sokoban):
    """Sokoban beyond the tasks that the suite freezes: task n of a level is Sokoban's task n."""

    family: ClassVar[str] = "sokoban_more"
    plays: ClassVar[str] = "sokoban"
