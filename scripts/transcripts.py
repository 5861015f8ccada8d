"""Transcripts for the documentation: a trial as it is really played, played anew each time."""

from __future__ import annotations

import tempfile

from lamer_bench import make
from lamer_bench.record import Episode
from lamer_bench.replay import read_back
from lamer_bench.runner import run

PLAYER = "explorer"
TURNS_AT_THE_BEGINNING = 2
"""Of an episode that are shown whole, besides its last one."""
ENDS = {"won": "won", "lost": "lost", "turn_limit": "out of turns"}


def transcript(environment: str) -> tuple[str, str]:
    """(the task's id, its transcript): test task 0, played by the explorer."""
    with tempfile.TemporaryDirectory() as folder:
        (trial,) = run(PLAYER, environment, tasks=1, control_episodes=0, out=folder).trials()
    texts = read_back(make(environment), trial)
    shown = [
        episode_text(episode, seen) for episode, seen in zip(trial.episodes, texts, strict=True)
    ]
    return trial.task, "\n\n".join(shown)


def episode_text(episode: Episode, seen: list[str | None]) -> str:
    """An episode: its first turns, its last one, and how it ended."""
    last = len(episode.turns) - 1
    parts = [f"=== Episode {episode.index + 1} ==="]
    for number, turn in enumerate(episode.turns):
        if number < TURNS_AT_THE_BEGINNING or number == last:
            parts.append(f"{seen[number]}\n> {turn.answer}")
        elif number == TURNS_AT_THE_BEGINNING:
            between = [turn.action or "no action" for turn in episode.turns[number:last]]
            parts.append(f"({len(between)} more: {', '.join(between)})")
    count = len(episode.turns)
    parts.append(f"{seen[-1]}\n({ENDS[episode.end]} in turn {count})")
    return "\n\n".join(parts)
