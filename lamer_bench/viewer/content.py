"""What the viewer shows of a run: a row for each trial, and a trial's episodes with their texts.

Texts are numbered and stored once, because boards and answers repeat: a page of 10,000 turns is one
to two megabytes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamer_bench.env import TextEnv
from lamer_bench.errors import LamerBenchError
from lamer_bench.record import Episode, RunFolder, Settings, Trial
from lamer_bench.replay import open_world, read_back
from lamer_bench.scores import Scores, score


class Strings:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int | None:
        """The text's number; None for None."""
        return None if text is None else self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        """The texts in the order of their numbers."""
        return list(self._numbers)


@dataclass(slots=True)
class Content:
    """A run that is open: its rows at hand, its trials packed until they are looked at."""

    folder: RunFolder
    settings: Settings
    scores: Scores
    env: TextEnv | None
    """None where observations cannot be brought back; ``note`` says why."""
    note: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    packed: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, run: RunFolder | str | Path, *, allow_imports: bool = False) -> Content:
        """Read a run folder; raises `RecordError` where it is damaged."""
        folder = run if isinstance(run, RunFolder) else RunFolder(run)
        settings = folder.manifest().settings
        trials = sorted(folder.trials(), key=_order)
        env, note = _open(settings, allow_imports)
        return cls(
            folder=folder,
            settings=settings,
            scores=score(trials, settings, run_dir=folder.path),
            env=env,
            note=note,
            rows=[row(trial) for trial in trials],
            packed=[zlib.compress(trial.model_dump_json().encode(), 1) for trial in trials],
        )

    @property
    def num_turns(self) -> int:
        """Turns of all trials."""
        return sum(one["turns"] for one in self.rows)

    def stored(self, index: int) -> Trial:
        """A trial as it is recorded."""
        return Trial.model_validate_json(zlib.decompress(self.packed[index]))

    def trial(self, index: int, strings: Strings) -> list[dict[str, Any]]:
        """A trial's episodes, their texts as numbers."""
        stored = self.stored(index)
        texts = self.texts(stored)
        return [
            episode_content(stored.episodes, position, texts[position], strings)
            for position in range(len(stored.episodes))
        ]

    def texts(self, trial: Trial) -> list[list[str | None]]:
        """What was seen in each episode, `lamer_bench.replay.Texts`."""
        if self.env is None:
            return [[None] * (len(episode.turns) + 1) for episode in trial.episodes]
        return read_back(self.env, trial)

    def head(self) -> dict[str, Any]:
        """What the page says of the run as a whole."""
        scores = self.scores.as_json()
        names = ("pass_at", "pass_at_ci", "independent_pass_at", "independent_pass_at_ci")
        return {
            "run": self.folder.path.resolve().name,
            "settings": self.settings.model_dump(mode="json"),
            "scores": {name: scores[name] for name in (*names, "gain", "gain_ci", "is_complete")},
            "rules": self.env.rules() if self.env is not None else "",
            "symbols": dict(self.env.symbols()) if self.env is not None else {},
            "note": self.note,
        }


def row(trial: Trial) -> dict[str, Any]:
    """A trial in the table. ``won`` is the first episode that was won, from 1; 0 for none."""
    ends = [episode.end for episode in trial.episodes]
    turns = [turn for episode in trial.episodes for turn in episode.turns]
    notes = [one.reflection for one in trial.episodes if one.reflection is not None]
    returns = [math.fsum(turn.reward for turn in one.turns) for one in trial.episodes]
    return {
        "task": trial.task,
        "kind": trial.kind,
        "repeat": trial.repeat,
        "memory": trial.memory,
        "ends": ends,
        "won": ends.index("won") + 1 if "won" in ends else 0,
        "void": "" if trial.void is None else f"{trial.void.type}: {trial.void.message}",
        "turns": len(turns),
        "invalid": sum(turn.action is None for turn in turns),
        "reflections": len(notes),
        "best": finite(round(max(returns), 6)) if returns else None,
        "tokens": sum(one.prompt_tokens + one.answer_tokens for one in turns)
        + sum(one.prompt_tokens + one.answer_tokens for one in notes),
    }


def episode_content(
    episodes: Sequence[Episode], position: int, texts: Sequence[str | None], strings: Strings
) -> dict[str, Any]:
    """An episode: a turn is [seen, answer, action, reward, prompt tokens, answer tokens]."""
    episode = episodes[position]
    note = episode.reflection
    return {
        "end": episode.end,
        "differs": first_difference(episodes, position),
        "turns": [
            [
                strings.number(seen),
                strings.number(turn.answer),
                strings.number(turn.action),
                finite(turn.reward),
                turn.prompt_tokens,
                turn.answer_tokens,
            ]
            for turn, seen in zip(episode.turns, texts, strict=False)
        ],
        "final": strings.number(texts[-1]),
        "reflection": note and [strings.number(note.text), note.prompt_tokens, note.answer_tokens],
    }


def first_difference(episodes: Sequence[Episode], position: int) -> int | None:
    """The first turn, from 0, whose canonical action is not the earlier episode's; None for the
    first episode and for one that repeats the earlier one as far as it goes."""
    if position == 0:
        return None
    earlier = [turn.action for turn in episodes[position - 1].turns]
    for number, turn in enumerate(episodes[position].turns):
        if number >= len(earlier) or turn.action != earlier[number]:
            return number
    return None


def finite(number: float) -> float | None:
    """The number; None for what JSON cannot hold (a record may come from a stranger)."""
    return number if math.isfinite(number) else None


def result(one: dict[str, Any]) -> str:
    """A row's result in words."""
    if one["void"]:
        return "void"
    if one["kind"] == "control":
        return f"won {one['ends'].count('won')} of {len(one['ends'])}"
    return f"won in episode {one['won']}" if one["won"] else "lost"


def _open(settings: Settings, allow_imports: bool) -> tuple[TextEnv | None, str]:
    try:
        return open_world(settings, allow_imports=allow_imports), ""
    except LamerBenchError as error:
        return None, f"Observations are not shown: {error}"


def _order(trial: Trial) -> tuple[str, int, str, int]:
    place, _, index = trial.task.rpartition("/")
    return (place, int(index) if index.isdigit() else -1, _KINDS[trial.kind], trial.repeat)


_KINDS = {"trial": "0", "control": "1"}


def all_trials(content: Content, strings: Strings) -> Iterable[list[dict[str, Any]]]:
    """Every trial's episodes, in the rows' order."""
    return (content.trial(index, strings) for index in range(len(content.rows)))
