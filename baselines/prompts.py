"""Prompts: a View as text.

`compact` is what the small shipped models read: what the memory holds, the observation, and the
beginning of the answer. The page of rules, constant for an environment, is left out, and so are
the admissible actions, which a board shows anyway. Of earlier attempts it shows, oldest first,
their actions and what the last one led to (memory ``history`` and ``both``), and then the last
reflection (``reflection`` and ``both``). A reflection supersedes the ones before it: it is written
with the former one in view, and repeating all of them would triple the prompt.
"""

from __future__ import annotations

from typing import Literal

from baselines.explorer.sokoban import Rules, cell_name, pushes_made
from lamer_bench.agent import PastEpisode, View

PAUSE = "1 2 3 4 5 6"
"""Constant tokens before an action: room in which a causal network, having read the whole
observation, works out what it needs (pause tokens, arXiv 2310.02226; here trained to hold what is
true of a board's rows)."""


def compact(view: View, kind: Literal["act", "reflect"]) -> str:
    """The prompt of a small model; the model's text continues it."""
    parts = [text for episode in view.earlier for text in _history(episode)]
    if view.earlier and view.earlier[-1].reflection:
        parts.append(view.earlier[-1].reflection)
    parts.append(view.observation)
    if view.family.startswith("sokoban"):
        parts.append(_sokoban_note(view, kind))
    begun = lead_in(view, kind)
    parts.append(f"{PAUSE} {begun}" if kind == "act" else begun)
    return "\n".join(parts)


def _history(episode: PastEpisode) -> list[str]:
    """An earlier attempt where the memory keeps it: its canonical actions, turn by turn, with ``-``
    for an answer that was none, and its final observation."""
    if not episode.turns:
        return []
    actions = "; ".join(turn.action or "-" for turn in episode.turns)
    return [f"Actions: {actions}", episode.final_observation]


def lead_in(view: View, kind: Literal["act", "reflect"]) -> str:
    """How the answer begins: what the prompt ends with and the model need not write.

    In Sokoban an answer names the push that it is after before it names the moves: ``push (3,4) up
    <action>left up</action>``.
    """
    if kind == "reflect":
        return "<remark>"
    return "push" if view.family.startswith("sokoban") else "<action>"


def _sokoban_note(view: View, kind: Literal["act", "reflect"]) -> str:
    """What a board does not show: how many moves a turn holds; looking back, the first pushes."""
    rules = Rules.read(view.rules)
    if kind == "act":
        return f"{rules.moves_per_turn} moves"
    pushes = pushes_made(rules, view.turns)[:REMEMBERED_PUSHES]
    return " ".join(["pushed", *(f"{cell_name(rules, box)} {way}" for box, way in pushes)])


REMEMBERED_PUSHES = 6
"""Pushes of an attempt that its reflection is written from."""
CLOSING_TAGS = {"act": "</action>", "reflect": "</remark>"}
