"""A `View` as JSON, for an agent that plays from elsewhere: what it may know, without the means of
this machine (its stream, its scratch pad) and without a solution."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lamer_bench.agent import PastEpisode, PastTurn, View

_PLAIN = (
    *("environment", "rules", "action_hint", "memory", "num_episodes", "turn_limit"),
    *("episode", "turn", "observation", "admissible"),
)


def view_json(view: View) -> dict[str, Any]:
    """What goes out."""
    return {name: getattr(view, name) for name in _PLAIN} | {
        "turns": [list(turn) for turn in view.turns],
        "earlier": [
            {
                "turns": [list(turn) for turn in episode.turns],
                "final_observation": episode.final_observation,
                "reflection": episode.reflection,
            }
            for episode in view.earlier
        ],
    }


def view_of(
    document: Mapping[str, Any], state: dict[str, Any], make_rng: Callable[[], random.Random]
) -> View:
    """What comes in."""
    return View(
        **{name: document[name] for name in _PLAIN},
        turns=_turns(document["turns"]),
        earlier=[
            PastEpisode(_turns(one["turns"]), one["final_observation"], one["reflection"])
            for one in document["earlier"]
        ],
        state=state,
        make_rng=make_rng,
    )


def _turns(turns: Iterable[Iterable[Any]]) -> list[PastTurn]:
    return [PastTurn(*turn) for turn in turns]
