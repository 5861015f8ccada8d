"""Which runs share a panel, what they are called there, and what a reader must know of them.

A panel holds runs of one environment with the same options, and of one version, split and suite.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lamer_bench.errors import SettingError
from lamer_bench.plots import labels
from lamer_bench.plots.sources import Run
from lamer_bench.task import split_environment_id

LEVELS = ("easy", "medium", "hard", "ood", "paper")
"""Their order in a figure."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Runs that may be compared."""

    title: str
    runs: Sequence[Run]


def _place(run: Run) -> tuple[Hashable, ...]:
    """What must be equal for two runs to be compared."""
    settings = run.settings
    suite = settings.suite and (settings.suite.name, settings.suite.version)
    options = json.dumps(settings.environment_options, sort_keys=True)
    return (settings.environment, options, settings.environment_version, settings.split, suite)


def last_k(run: Run) -> int:
    """The greatest k of a run: its episodes."""
    return run.settings.episodes


def panels(runs: Sequence[Run], also: Callable[[Run], str] = lambda run: "") -> list[Panel]:
    """Runs of one place, and of one text ``also``, which ends the title, in a panel."""
    by_place: dict[Hashable, list[Run]] = {}
    for run in runs:
        by_place.setdefault((_place(run), also(run)), []).append(run)
    shared = sorted(by_place.values(), key=_difficulty)
    titles = [title_of(one) + also(one[0]) for one in shared]
    is_clear = len(set(titles)) == len(titles)
    return [
        Panel(title if is_clear else f"{title}, {_versions(one[0])}", one)
        for title, one in zip(titles, shared, strict=True)
    ]


def apart_by_k(runs: Sequence[Run]) -> Callable[[Run], str]:
    """For `panels`: runs of another k in a panel of their own, where there are any."""
    if len({last_k(run) for run in runs}) == 1:
        return lambda run: ""
    return lambda run: f", k = {last_k(run)}"


def _difficulty(runs: Sequence[Run]) -> tuple[str, int, str]:
    """Families by name; in a family the usual levels from easy on, then others by name."""
    family, level = split_environment_id(runs[0].settings.environment)
    return (family, LEVELS.index(level) if level in LEVELS else len(LEVELS), level)


def title_of(runs: Sequence[Run]) -> str:
    """``minesweeper-hard``, and below it ``test, 100 tasks``."""
    counts = sorted({run.scores["tasks"] for run in runs})
    num_tasks = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{runs[0].settings.environment}\n{runs[0].settings.split}, {num_tasks} tasks"


def _versions(run: Run) -> str:
    settings = run.settings
    suite = f", suite {settings.suite.name} {settings.suite.version}" if settings.suite else ""
    options = [f", {name} {value}" for name, value in settings.environment_options.items()]
    return f"v{settings.environment_version}{suite}{''.join(options)}"


def label_runs(runs: Sequence[Run], panels: Sequence[Panel]) -> dict[Path, str]:
    """Run folder -> its label: the agent, and where a panel has two runs of it what differs.

    Raises:
        SettingError: two runs of a panel agree in all their settings.
    """
    keys: dict[str, dict[str, None]] = {}
    for panel in panels:
        for agent in dict.fromkeys(run.settings.agent for run in panel.runs):
            own = [run for run in panel.runs if run.settings.agent == agent]
            _refuse_twins(own)
            keys.setdefault(agent, {}).update(
                dict.fromkeys(labels.differing(_settings(run) for run in own))
            )
    return {
        run.folder: labels.label(
            run.settings.agent,
            _settings(run),
            list(keys[run.settings.agent]),
            run.folder.resolve().name,
        )
        for run in runs
    }


def _settings(run: Run) -> dict[str, Any]:
    settings = run.settings
    names = ("memory", "seed", "tasks", "episodes", "repeats", "control_episodes")
    return {
        **{name: getattr(settings, name) for name in names},
        **labels.flat(settings.agent_settings),
    }


def _refuse_twins(runs: Sequence[Run]) -> None:
    for index, run in enumerate(runs):
        for other in runs[:index]:
            if _settings(run) == _settings(other):
                raise SettingError(
                    f"{other.folder} and {run.folder} are the same run: {run.settings.agent} on "
                    f"{run.settings.environment} with the same settings. Give one of them."
                )


def identity(run: Run, label: str) -> dict[str, Any]:
    """What a row of a table is about."""
    settings, scores = run.settings, run.scores
    return {
        "env": settings.environment,
        "environment_version": settings.environment_version,
        "split": settings.split,
        "tasks": scores["tasks"],
        "agent": settings.agent,
        "label": label,
        "is_complete": scores["is_complete"],
        "is_ranked": settings.is_ranked,
        "void_share": scores["void_share"],
    }


def by_run(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Run folder -> its rows of a figure's table."""
    return {str(folder): rows for folder, rows in table.groupby("run_dir", sort=False)}


def warnings(runs: Sequence[Run], names: dict[Path, str]) -> str:
    """What a reader must know about single runs, as sentences."""
    void = [
        f"{names[run.folder]} on {run.settings.environment} {run.scores['void_share']:.1%}"
        for run in runs
        if run.scores["void_share"]
    ]
    incomplete = [
        f"{names[run.folder]} on {run.settings.environment}"
        for run in runs
        if not run.scores["is_complete"]
    ]
    told = dict.fromkeys(names[run.folder] for run in runs if not run.settings.is_ranked)
    text = f" Void trials, left out: {', '.join(void)}." if void else ""
    text += f" Incomplete: {', '.join(incomplete)}." if incomplete else ""
    return text + (f" Told hidden state, never ranked: {', '.join(told)}." if told else "")
