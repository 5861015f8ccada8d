"""What figures are made from: folders of trainings (metrics.jsonl) and of runs (manifest.json)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamer_bench import record
from lamer_bench.errors import RecordError
from lamer_bench.scores import Scores, score

if TYPE_CHECKING:
    import pandas as pd

METRICS_FILE = "metrics.jsonl"
TRAINING_FILES = ("training.json", "policy/training.json")
"""Where a training says what it is: from its first step on, and with its policy at its end."""


@dataclass(frozen=True, slots=True)
class Training:
    """One training."""

    folder: Path
    algorithm: str
    """The folder's name where the training does not say."""
    settings: dict[str, Any]
    """Without the seed; empty where the training does not say."""
    seed: int | None
    metrics: pd.DataFrame
    """One row for each step (its index), one column for each metric; NaN where it has none."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a trial cost until it was won, or until its end where it was not."""

    task: str
    won: bool
    tokens: int
    """Read and written, reflections included."""
    steps: int
    """Environment steps: one for each turn."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder with its scores."""

    folder: Path
    settings: record.Settings
    scores: dict[str, Any]
    """`Scores.as_json`: what `lamer-bench score --json` prints."""
    full: Scores
    """The same with the scores of each task."""
    spent: Sequence[Spent]
    """Of every trial that is not void; controls have none."""


def find(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The folders of trainings and of runs that the paths are or hold, each once, in order.

    Runs that were set aside count only where they are named themselves.

    Raises:
        RecordError: a path that is and holds neither.
    """
    trainings: dict[Path, None] = {}
    runs: dict[Path, None] = {}
    for path in paths:
        found = list(_below(path))
        if not found:
            missing = "does not exist" if not path.exists() else "holds none"
            raise RecordError(
                f"{path} {missing}. Give folders of trainings (with {METRICS_FILE}) or of runs "
                f"(with {record.MANIFEST_FILE}), or a folder that holds some."
            )
        for folder in found:
            (runs if _is_run(folder) else trainings)[folder] = None
    return list(trainings), list(runs)


def _below(path: Path) -> Iterator[Path]:
    if _is_run(path) or _is_training(path):
        yield path
        return
    for parent, names, _ in os.walk(path):
        names.sort()
        for name in list(names):
            folder = Path(parent, name)
            if record.SET_ASIDE.search(name) or name.startswith("."):
                names.remove(name)
            elif _is_run(folder) or _is_training(folder):
                names.remove(name)
                yield folder


def _is_run(folder: Path) -> bool:
    return record.RunFolder(folder).exists()


def _is_training(folder: Path) -> bool:
    return (folder / METRICS_FILE).is_file()


def read_run(folder: Path) -> Run:
    """Score a run folder; `RecordError` where it is damaged."""
    stored = record.RunFolder(folder)
    settings = stored.manifest().settings
    trials = list(stored.trials())
    scores = score(trials, settings, run_dir=folder, trust_digests=True)  # no figure shows them
    spent = [_spent(one) for one in trials if one.kind == "trial" and one.void is None]
    return Run(folder, settings, scores.as_json(), scores, spent)


def _spent(trial: record.Trial) -> Spent:
    """A trial ends with its first win, so all that it cost came before."""
    turns = [turn for episode in trial.episodes for turn in episode.turns]
    notes = [one.reflection for one in trial.episodes if one.reflection is not None]
    return Spent(
        task=trial.task,
        won=any(episode.end == "won" for episode in trial.episodes),
        tokens=sum(one.prompt_tokens + one.answer_tokens for one in turns)
        + sum(one.prompt_tokens + one.answer_tokens for one in notes),
        steps=len(turns),
    )


def read_training(folder: Path) -> Training:
    """Read a training, finished or not; `RecordError` where it is damaged or has no step yet.

    Trainings from before settings were stored are named by their folder.
    """
    stored = _training_file(folder)
    settings = dict(stored.get("settings", {}))
    seed = settings.pop("seed", None)
    name = str(stored.get("algorithm") or folder.resolve().name)
    return Training(folder, name, settings, seed, _read_metrics(folder / METRICS_FILE))


def _training_file(folder: Path) -> dict[str, Any]:
    for name in TRAINING_FILES:
        path = folder / name
        if path.is_file():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                return dict(content)
            except (OSError, ValueError, TypeError) as error:
                raise RecordError(f"{path} is damaged: {error}.") from error
    return {}


def _read_metrics(path: Path) -> pd.DataFrame:
    """[steps, metrics]; a last line that a running or killed training has not finished is left
    out."""
    import pandas as pd

    lines = path.read_text(encoding="utf-8").splitlines()
    entries: dict[int, dict[str, float]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entries[int(entry.pop("step"))] = entry
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break
            raise RecordError(f"Line {number} of {path} is damaged: {error}.") from error
    if not entries:
        raise RecordError(f"{path} has no step yet; there is nothing to draw.")
    table = pd.DataFrame.from_dict(entries, orient="index").sort_index()
    return table.apply(pd.to_numeric, errors="coerce").astype(float)
