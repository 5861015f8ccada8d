"""Tables: run folders as pandas data frames, with a row for each trial, episode or turn.

`COLUMNS` documents every column; a test compares it with what `load_runs` gives. pandas (the extra
``export``) is imported when a table is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lamer_bench.errors import MissingExtraError, RecordError, UnknownNameError
from lamer_bench.record import MANIFEST_FILE, SET_ASIDE, Episode, RunFolder, Settings, Trial

if TYPE_CHECKING:
    import pandas as pd

Per = Literal["trial", "episode", "turn"]

_RUN = {
    "run": "run folder, as it was given or found",
    "agent": "name of the agent",
    "environment": "environment id, ``minesweeper-hard``",
    "split": "``train``, ``val`` or ``test``",
    "memory": "``none``, ``history``, ``reflection`` or ``both``; ``none`` in controls",
    "seed": "seed of the agent's own draws",
    "task": "task id, ``minesweeper-hard/test/17``",
    "kind": "``trial``, or ``control`` for the memory-wiped one",
    "repeat": "number of the trial on this task, from 0",
}
_EPISODE = {
    **_RUN,
    "episode": "index of the episode, from 0",
    "end": "``won``, ``lost`` or ``turn_limit``",
    "won": "True for a win",
    "turns": "turns taken",
    "invalid": "answers that were no action",
    "return": "undiscounted sum of the rewards, in the environment's unit",
    "prompt_tokens": "tokens read, the reflection's included",
    "answer_tokens": "tokens written, the reflection's included",
    "reflection": "what the agent wrote to itself afterwards; empty without",
}
COLUMNS: dict[Per, dict[str, str]] = {
    "trial": {
        **_RUN,
        "void": "``type: message`` where infrastructure broke the trial; empty otherwise",
        "won": "True when an episode was won; False also for void trials",
        "won_in": "the first episode that was won, from 1; 0 for none",
        "episodes": "episodes played",
        "turns": "turns of all episodes",
        "invalid": "answers that were no action",
        "best_return": "greatest return of an episode; NaN for a void trial",
        "prompt_tokens": "tokens read",
        "answer_tokens": "tokens written",
        "seconds": "its share of the time that its rounds took",
    },
    "episode": _EPISODE,
    "turn": {
        **_RUN,
        "episode": "index of the episode, from 0",
        "turn": "index of the turn, from 0",
        "observation": "first 16 hexadecimal digits of the SHA-256 of what was seen",
        "answer": "the agent's raw text",
        "action": "the canonical action; None where the answer was none",
        "reward": "reward, in the environment's unit",
        "prompt_tokens": "tokens read",
        "answer_tokens": "tokens written",
    },
}
"""What a row is about -> column -> its meaning."""


def load_runs(paths: str | Path | Sequence[str | Path], per: Per = "trial") -> pd.DataFrame:
    """Read run folders into one data frame.

    Args:
        paths: run folders, or folders that hold some; one or several.
        per: what a row is: a ``trial``, an ``episode`` or a ``turn``.

    Returns:
        A data frame with the columns of `lamer_bench.tables.COLUMNS`, in the order of the records.

    Raises:
        RecordError: a path holds no run, or a damaged one.
        UnknownNameError: ``per`` is something else.
        MissingExtraError: pandas is not installed.
    """
    if per not in get_args(Per):
        raise UnknownNameError(f"A row is a trial, an episode or a turn, not {per!r}.")
    pandas = _pandas()
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    rows = [row for run in find_runs(several) for row in rows_of(run, per)]
    return pandas.DataFrame(rows, columns=list(COLUMNS[per]))


def find_runs(paths: Iterable[str | Path]) -> list[RunFolder]:
    """The run folders that the paths are or hold, each once; `RecordError` for one without."""
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        below = sorted(
            Path(parent)
            for parent, _, names in os.walk(path)
            if MANIFEST_FILE in names and (parent == str(path) or not SET_ASIDE.search(parent))
        )
        if not below:
            raise RecordError(f"{path} holds no run: a run folder has a {MANIFEST_FILE}.")
        found.update(dict.fromkeys(below))
    return [RunFolder(path) for path in found]


def rows_of(run: RunFolder, per: Per) -> Iterator[dict[str, Any]]:
    """The rows of one run, without pandas."""
    settings = run.manifest().settings
    for trial in run.trials():
        identity = _identity(run, settings, trial)
        if per == "trial":
            yield identity | _trial_row(trial)
        elif per == "episode":
            yield from (identity | episode_row(episode) for episode in trial.episodes)
        else:
            yield from (identity | row for row in _turn_rows(trial))


def _identity(run: RunFolder, settings: Settings, trial: Trial) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "agent": settings.agent,
        "environment": settings.environment,
        "split": settings.split,
        "memory": trial.memory,
        "seed": settings.seed,
        "task": trial.task,
        "kind": trial.kind,
        "repeat": trial.repeat,
    }


def _trial_row(trial: Trial) -> dict[str, Any]:
    rows = [episode_row(episode) for episode in trial.episodes]
    wins = [number for number, row in enumerate(rows, start=1) if row["won"]]
    return {
        "void": f"{trial.void.type}: {trial.void.message}" if trial.void else "",
        "won": bool(wins),
        "won_in": wins[0] if wins else 0,
        "episodes": len(rows),
        **{
            name: sum(row[name] for row in rows)
            for name in ("turns", "invalid", "prompt_tokens", "answer_tokens")
        },
        "best_return": max((row["return"] for row in rows), default=math.nan),
        "seconds": trial.seconds,
    }


def episode_row(episode: Episode) -> dict[str, Any]:
    """An episode's own columns."""
    note = episode.reflection
    return {
        "episode": episode.index,
        "end": episode.end,
        "won": episode.end == "won",
        "turns": len(episode.turns),
        "invalid": sum(turn.action is None for turn in episode.turns),
        "return": math.fsum(turn.reward for turn in episode.turns),
        "prompt_tokens": sum(turn.prompt_tokens for turn in episode.turns)
        + (note.prompt_tokens if note else 0),
        "answer_tokens": sum(turn.answer_tokens for turn in episode.turns)
        + (note.answer_tokens if note else 0),
        "reflection": note.text if note else "",
    }


def _turn_rows(trial: Trial) -> Iterator[dict[str, Any]]:
    for episode in trial.episodes:
        for number, turn in enumerate(episode.turns):
            yield {"episode": episode.index, "turn": number, **turn.model_dump()}


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError(
            f"Tables need packages that are not installed ({error}). "
            'Install them: pip install "lamer-bench[export]"'
        ) from error
    return pandas
