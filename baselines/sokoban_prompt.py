"""Sokoban as the small models read it: a room that stands upright, in one set of symbols.

The rules say what a room's symbols mean and how large it is; a small network reads no rules. Its
prompts show every room with the same symbols, without the outer wall, which encloses all of them,
and one that is wider than high as its mirror image along the diagonal: rows for columns, up for
left. What the network then writes about that one is turned back (`spoken`), so that turns and
reflections name the room's own cells. It need not learn that a game stays the same when it is
mirrored, and has half as many sizes to read.

In Sokoban an attempt's pushes are all that there is to remember. A reflection lists them, and the
prompt of an action shows what the memory says of the present arrangement of boxes: the pushes that
failed attempts made from it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from baselines.explorer.sokoban import Rules, push_names, pushes_made, tried_here
from lamer_bench.agent import PastEpisode, PastTurn, View

ROOM_SYMBOLS = ("#", "_", "O", "X", "P", "√", "S")
"""Wall, floor, target, box, player, box on a target, player on one: those of most levels."""
REMEMBERED_PUSHES = 12
"""Pushes of an attempt that its reflection is written from."""

_SIZE = re.compile(r"(\d+) rows and (\d+) columns")
_PLACE = re.compile(r"\((\d+),(\d+)\)|\b(up|down|left|right)\b")
_MIRRORED = {"up": "left", "left": "up", "down": "right", "right": "down"}


def prompt(view: View, kind: Literal["act", "reflect"]) -> list[str]:
    """The room; before an action what was tried from here and how many moves a turn holds, looking
    back the attempt's first pushes."""
    view = upright(view)
    rules = Rules.read(view.rules)
    room = _inside(rules, view.observation)
    if kind == "reflect":
        return [*room, " ".join(["pushed", *first_pushes(view)])]
    tried = push_names(rules, tried_here(view, rules))
    shown = [" ".join(["failed", *tried])] if tried else []
    return [*room, *shown, f"{rules.moves_per_turn} moves"]


def first_pushes(view: View) -> list[str]:
    """The pushes that a reflection on this attempt is written from, and lists."""
    rules = Rules.read(view.rules)
    return push_names(rules, pushes_made(rules, view.turns)[:REMEMBERED_PUSHES])


def spoken(view: View, text: str) -> str:
    """What a model wrote about `upright` of this view, in the room's own directions."""
    return _mirrored(text) if _is_wide(view) else text


def upright(view: View) -> View:
    """The view as prompts and teachers read it: of a room that is wider than high the mirror image,
    in its rules, observations, actions, answers and reflections; any other as it is."""
    if not _is_wide(view):
        return view
    rules = Rules.read(view.rules)
    return replace(
        view,
        rules=_SIZE.sub(r"\2 rows and \1 columns", view.rules),
        observation=_mirrored_room(rules, view.observation),
        turns=[_mirrored_turn(rules, turn) for turn in view.turns],
        earlier=[
            PastEpisode(
                [_mirrored_turn(rules, turn) for turn in episode.turns],
                _mirrored_room(rules, episode.final_observation),
                _mirrored(episode.reflection),
            )
            for episode in view.earlier
        ],
    )


def _is_wide(view: View) -> bool:
    rules = Rules.read(view.rules)
    return rules.columns > rules.rows


def _mirrored(text: str) -> str:
    """Names of cells and directions as they are called in the mirror image, and back."""
    return _PLACE.sub(
        lambda found: f"({found[2]},{found[1]})" if found[1] else _MIRRORED[found[3]], text
    )


def _mirrored_turn(rules: Rules, turn: PastTurn) -> PastTurn:
    action = turn.action and _mirrored(turn.action)
    return PastTurn(_mirrored_room(rules, turn.observation), _mirrored(turn.answer), action)


def _mirrored_room(rules: Rules, observation: str) -> str:
    """An observation whose room has rows for columns; its other lines follow the room."""
    lines = observation.splitlines()
    rows = [line.split() for line in lines if rules.is_row(line)]
    columns = [" ".join(column) for column in zip(*rows, strict=True)]
    return "\n".join([*columns, *(line for line in lines if not rules.is_row(line))])


def _inside(rules: Rules, observation: str) -> list[str]:
    """An observation's lines, of the room only what its outer wall encloses, which is less than
    half of the cells of the usual ones."""
    lines = observation.splitlines()
    rows = [number for number, line in enumerate(lines) if rules.is_row(line)]
    outer = rows[:1] + rows[-1:]  # none in a text without a room
    usual = dict(zip(rules.symbols, ROOM_SYMBOLS, strict=True))
    return [
        " ".join(usual[cell] for cell in line.split()[1:-1]) if number in rows else line
        for number, line in enumerate(lines)
        if number not in outer
    ]
