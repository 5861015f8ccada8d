"""Comparisons: two agents on the same tasks, and the neighbours of a ranking.

Only results that may share a table are compared (`require_comparable`); differences are paired over
the tasks that both runs have, p-values are adjusted over the table that they stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lamer_bench import metrics
from lamer_bench.errors import SettingError
from lamer_bench.metrics import FloatArray, Interval
from lamer_bench.record import RunFolder, Settings
from lamer_bench.scores import Scores, TaskScores, gains, interval_over_tasks, numbered, score_run


@dataclass(frozen=True, slots=True)
class Difference:
    """Two agents on the same tasks; differences are a minus b."""

    name: str
    """``pass@1`` and so on, ``gain`` or ``trajectory entropy``."""
    a: float
    b: float
    difference: float
    interval: Interval | None
    """95 %, paired bootstrap over tasks."""
    num_tasks: int
    num_better: int
    """Tasks on which a did better."""
    num_worse: int
    p: float
    """Exact McNemar; with repeats, the exact sign test on the tasks."""
    p_holm: float
    """Adjusted over all tests of the same table."""

    @property
    def is_told_apart(self) -> bool:
        """True when the adjusted p-value is below 0.05."""
        return self.p_holm < 1 - metrics.CONFIDENCE


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the tasks that both have."""

    agent_a: str
    agent_b: str
    environment: str
    split: str
    num_tasks: int
    pass_at: tuple[Difference, ...]  # [K]
    """Their p-values are adjusted over the K tests."""
    gain: Difference | None
    """None unless both runs have it; tested on its own."""
    trajectory_entropy: Difference | None
    """None unless both runs have it with the same m; tested on its own."""
    notes: tuple[str, ...]
    """What was left out, and why."""

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        return {
            "a": self.agent_a,
            "b": self.agent_b,
            "env": self.environment,
            "split": self.split,
            "tasks": self.num_tasks,
            "pass_at": numbered(map(_difference_json, self.pass_at)),
            "gain": _difference_json(self.gain) if self.gain else None,
            "trajectory_entropy": (
                _difference_json(self.trajectory_entropy) if self.trajectory_entropy else None
            ),
            "notes": list(self.notes),
        }


def compare(run_a: RunFolder | str | Path, run_b: RunFolder | str | Path) -> Comparison:
    """Compare two runs on the tasks that both have.

    Raises:
        SettingError: the runs are of different environments, versions, suites, splits, limits or
            numbers
            of episodes, or share no task.
        RecordError: a run folder is damaged.
    """
    return compare_scores(score_run(run_a), score_run(run_b))


def compare_scores(a: Scores, b: Scores) -> Comparison:
    """`compare` for scores that are there already."""
    require_comparable(a.settings, b.settings)
    pairs = _pair(a, b)
    if not pairs:
        raise SettingError("The two runs share no task that both have played; nothing to compare.")
    tests = [
        _difference(
            f"pass@{k + 1}",
            np.array([first.pass_at[k] for first, _ in pairs]),
            np.array([second.pass_at[k] for _, second in pairs]),
        )
        for k in range(a.settings.episodes)
    ]
    notes = []
    gain = entropy = None
    if a.gain is None or b.gain is None:
        notes.append("The gain is not compared: it needs k control episodes in both runs.")
    else:
        gain = _paired("gain", *(gains(side, a.settings.episodes) for side in _sides(pairs)))
    reason = entropy_refusal(a.settings, b.settings)
    if reason:
        notes.append(reason)
    else:
        entropy = _paired(
            "trajectory entropy",
            *(np.array([task.trajectory_entropy for task in side]) for side in _sides(pairs)),
        )
    return Comparison(
        agent_a=a.settings.agent,
        agent_b=b.settings.agent,
        environment=a.settings.environment,
        split=a.settings.split,
        num_tasks=len(pairs),
        pass_at=tuple(_adjusted(tests)),
        gain=gain,
        trajectory_entropy=entropy,
        notes=tuple(notes),
    )


def compare_at(a: Scores, b: Scores, k: int) -> Difference | None:
    """pass@k of two runs on the tasks that both have, its p-value on its own; None when they share
    none. Raises `SettingError` where they may not be compared."""
    require_comparable(a.settings, b.settings)
    pairs = _pair(a, b)
    first = np.array([one.pass_at[k - 1] for one, _ in pairs])
    second = np.array([other.pass_at[k - 1] for _, other in pairs])
    return _difference(f"pass@{k}", first, second) if pairs else None


def compare_neighbours(ranking: Sequence[Scores], k: int | None = None) -> list[Difference | None]:
    """For each run of a ranking but the last: can it be told apart from the next one by pass@k?

    Args:
        ranking: comparable runs, best first.
        k: number of episodes that count; all of them unless said.

    Returns:
        [len(ranking) - 1], p-values adjusted over the whole table; None where two share no task.
    """
    tests: list[Difference | None] = []
    for a, b in pairwise(ranking):
        tests.append(compare_at(a, b, k or a.settings.episodes))
    adjusted = iter(_adjusted([test for test in tests if test is not None]))
    return [None if test is None else next(adjusted) for test in tests]


def require_comparable(a: Settings, b: Settings) -> None:
    """Raise `SettingError`, in one line, unless the results of both may share a table."""
    for name, of in _MUST_AGREE.items():
        if of(a) != of(b):
            raise SettingError(f"Runs of different {name} cannot be compared: {of(a)} and {of(b)}.")


def entropy_refusal(a: Settings, b: Settings) -> str | None:
    """Why the trajectory entropies of two runs may not share a table; None when they may."""
    first, second = a.control_episodes, b.control_episodes
    if not first or not second:
        return "Trajectory entropy is not compared: it needs control episodes in both runs."
    if first != second:
        return f"Trajectory entropy of different m cannot be compared: {first} and {second}."
    return None


def _suite_name(settings: Settings) -> str:
    suite = settings.suite
    return f"{suite.name} version {suite.version} ({suite.digest[:12]})" if suite else "no suite"


_MUST_AGREE: dict[str, Callable[[Settings], Any]] = {
    "environments": lambda settings: settings.environment,
    "environment options": lambda settings: settings.environment_options,
    "environment versions": lambda settings: settings.environment_version,
    "suites": _suite_name,
    "splits": lambda settings: settings.split,
    "numbers of episodes": lambda settings: settings.episodes,
    "turn limits": lambda settings: settings.limits.turns,
    "answer lengths": lambda settings: settings.limits.answer_characters,
}


def _pair(a: Scores, b: Scores) -> list[tuple[TaskScores, TaskScores]]:
    """Tasks that both runs have, not void in either."""
    others = {task.task: task for task in b.tasks if not np.isnan(task.pass_at).any()}
    return [
        (task, others[task.task])
        for task in a.tasks
        if task.task in others and not np.isnan(task.pass_at).any()
    ]


def _sides(
    pairs: list[tuple[TaskScores, TaskScores]],
) -> tuple[list[TaskScores], list[TaskScores]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def _paired(name: str, a: FloatArray, b: FloatArray) -> Difference | None:
    """The difference over the tasks where both have a value."""
    both = ~(np.isnan(a) | np.isnan(b))
    return _difference(name, a[both], b[both]) if both.any() else None


def _difference(name: str, a: FloatArray, b: FloatArray) -> Difference:
    gap = a - b
    num_better, num_worse = metrics.better_and_worse(a, b)
    p = metrics.sign_test_p(num_better, num_worse)
    return Difference(
        name=name,
        a=float(a.mean()),
        b=float(b.mean()),
        difference=float(gap.mean()),
        interval=interval_over_tasks(gap),
        num_tasks=len(gap),
        num_better=num_better,
        num_worse=num_worse,
        p=p,
        p_holm=p,
    )


def _adjusted(tests: Sequence[Difference]) -> list[Difference]:
    adjusted = metrics.holm([test.p for test in tests])
    return [replace(test, p_holm=p) for test, p in zip(tests, adjusted, strict=True)]


def _difference_json(difference: Difference) -> dict[str, Any]:
    document = asdict(difference)
    document["ci"] = list(difference.interval) if difference.interval else None
    del document["interval"]
    return document | {"is_told_apart": difference.is_told_apart}
