"""Scores: what a run's trials are worth, computed from the records and from nothing else.

`lamer_bench.metrics` says what each score is; this file says which episodes it is computed from. A
score that a run does not have (no control episodes, all trials void) is None, never a number that
looks like one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np

from lamer_bench import metrics
from lamer_bench.errors import RecordError
from lamer_bench.metrics import FloatArray, Interval
from lamer_bench.record import Episode, RunFolder, Settings, Trial, TrialKind, content_digest

_BOOTSTRAP_SEED = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over tasks with its 95 % interval, which is None where a single task has a value."""

    value: float
    interval: Interval | None

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.interval.low:.3f}, {self.interval.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost."""

    prompt_per_million: float
    answer_per_million: float
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Cost:
    """Sums over the trials of a run, void ones included: their tokens were spent, too."""

    prompt_tokens: int
    answer_tokens: int
    seconds: float
    environment_steps: int
    money: float | None
    """In the price's currency; None where no price was given."""


@dataclass(frozen=True, slots=True)
class TaskScores:
    """All scores of one task, averaged over its repeats; NaN where it has no value."""

    task: str
    pass_at: FloatArray
    """[K], over the trials that are not void."""
    pass_if_voids_lost: FloatArray
    pass_if_voids_won: FloatArray
    independent: FloatArray
    """[min(K, m)], over the control trials that are not void."""
    independent_if_voids_lost: FloatArray
    independent_if_voids_won: FloatArray
    conditional_success: FloatArray  # [K]
    best_return: float
    last_return: float
    first_return: float
    invalid_rate: float
    control_invalid_rate: float
    novelty_share: float
    novelty_distance: float
    state_coverage: float
    trajectory_entropy: float
    miller_madow_entropy: float
    distinct_share: float
    edit_diversity: float


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a run. Lists over k start at k = 1."""

    settings: Settings
    run_dir: str | None
    tasks: tuple[TaskScores, ...]
    num_trials: int
    """Stored trials of both kinds, void ones included."""
    num_voids: int
    num_control_voids: int

    pass_at: tuple[Estimate | None, ...]  # [K]
    pass_bounds: tuple[tuple[float, float], ...]
    """pass@k with voids counted as losses and as wins."""
    independent_pass_at: tuple[Estimate | None, ...]
    """[min(K, m)]; empty without control episodes."""
    independent_pass_bounds: tuple[tuple[float, float], ...]
    gain: Estimate | None
    """Sequential minus independent pass@K, over the tasks that have both; None for m < K."""
    gain_bounds: tuple[float, float] | None
    """The gain with voids counted against it and in its favour."""
    conditional_success: tuple[Estimate | None, ...]  # [K]
    num_at_risk: tuple[int, ...]
    """[K], tasks with a trial in which episodes 1..j-1 were lost."""
    best_return: Estimate | None
    last_return: Estimate | None
    first_return: Estimate | None
    invalid_rate: Estimate | None
    control_invalid_rate: Estimate | None
    novelty_share: Estimate | None
    novelty_distance: Estimate | None
    state_coverage: Estimate | None
    trajectory_entropy: Estimate | None
    """In nats; depends on `control_episodes`."""
    miller_madow_entropy: Estimate | None
    distinct_share: Estimate | None
    edit_diversity: Estimate | None
    cost: Cost
    """Of the trials."""
    control_cost: Cost
    content_digest: str

    @property
    def void_share(self) -> float:
        """Void trials / stored trials, both kinds together."""
        return self.num_voids_in_all / self.num_trials if self.num_trials else 0.0

    @property
    def num_voids_in_all(self) -> int:
        """Void trials of both kinds."""
        return self.num_voids + self.num_control_voids

    @property
    def is_complete(self) -> bool:
        """True when every trial that the settings ask for is there."""
        return self.num_trials == num_expected_trials(self.settings)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, with None for what does not exist."""
        settings = self.settings
        document: dict[str, Any] = {
            "agent": settings.agent,
            "memory": settings.memory,
            "env": settings.environment,
            "environment_version": settings.environment_version,
            "split": settings.split,
            "suite": settings.suite.model_dump() if settings.suite else None,
            "tasks": len(self.tasks),
            "tasks_expected": settings.tasks,
            "repeats": settings.repeats,
            "episodes": settings.episodes,
            "m": settings.control_episodes,
            "seed": settings.seed,
            "is_complete": self.is_complete,
            "is_ranked": settings.is_ranked,
            "trials": self.num_trials,
            "voids": self.num_voids,
            "control_voids": self.num_control_voids,
            "void_share": self.void_share,
            **_over_k("pass_at", self.pass_at),
            "pass_at_bounds": numbered(map(list, self.pass_bounds)),
            **_over_k("independent_pass_at", self.independent_pass_at),
            "independent_pass_at_bounds": numbered(map(list, self.independent_pass_bounds)),
            **_over_k("conditional_success", self.conditional_success),
            "at_risk": numbered(self.num_at_risk),
            "gain_bounds": list(self.gain_bounds) if self.gain_bounds else None,
        }
        for name in _ESTIMATES:
            document |= _with_interval(name, getattr(self, name))
        document["tokens"] = {
            "prompt": self.cost.prompt_tokens + self.control_cost.prompt_tokens,
            "answer": self.cost.answer_tokens + self.control_cost.answer_tokens,
        }
        document["cost"] = {"trial": asdict(self.cost), "control": asdict(self.control_cost)}
        document["content_digest"] = self.content_digest
        document["run_dir"] = self.run_dir
        return document


# A run's scores ----------------------------------------------------------------------------------


def score_run(run: RunFolder | str | Path, *, price: Price | None = None) -> Scores:
    """Read a run folder and compute its scores; raises `RecordError` when it is damaged."""
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    settings = folder.manifest().settings
    return score(folder.trials(), settings, run_dir=folder.path, price=price)


def score(
    trials: Iterable[Trial],
    settings: Settings,
    *,
    run_dir: str | Path | None = None,
    price: Price | None = None,
    trust_digests: bool = False,
) -> Scores:
    """Compute every score of a run, per task first and then over tasks.

    Void trials are left out of the estimates and shown as bounds. An incomplete run is scored on
    the tasks that it has; `Scores.is_complete` says so. ``trust_digests``: take the trials' own
    digests for granted, because a replay has shown that they are right or nobody will look at them.

    Raises:
        RecordError: a trial is there twice, or is longer than the settings allow.
    """
    stored = list(trials)
    by_task = _group(stored, settings)
    tasks = tuple(_score_task(task, *kinds, settings) for task, kinds in by_task.items())
    digest = content_digest(stored, trust_digests=trust_digests)
    return _over_tasks(tasks, stored, settings, run_dir, price, digest)


def num_expected_trials(settings: Settings) -> int:
    """Trials of both kinds that a complete run has."""
    kinds = 2 if settings.control_episodes else 1
    return settings.tasks * settings.repeats * kinds


def _group(
    trials: Sequence[Trial], settings: Settings
) -> dict[str, tuple[list[Trial], list[Trial]]]:
    """Task id -> (trials, controls), in the order of the tasks' indices."""
    seen: set[tuple[str, str, int]] = set()
    by_task: dict[str, tuple[list[Trial], list[Trial]]] = {}
    for trial in trials:
        if trial.key in seen:
            raise RecordError(
                f"{trial.kind.capitalize()} {trial.repeat} of {trial.task} is there twice."
            )
        seen.add(trial.key)
        limit = settings.control_episodes if trial.kind == "control" else settings.episodes
        if len(trial.episodes) > limit:
            raise RecordError(
                f"{trial.kind.capitalize()} {trial.repeat} of {trial.task} has "
                f"{len(trial.episodes)} episodes; the run's limit is {limit}."
            )
        kinds = by_task.setdefault(trial.task, ([], []))
        kinds[trial.kind == "control"].append(trial)
    ordered = sorted(by_task, key=_task_order)
    return {task: by_task[task] for task in ordered}


def _task_order(task: str) -> tuple[str, int]:
    place, _, index = task.rpartition("/")
    return (place, int(index) if index.isdigit() else -1)


def _score_task(
    task: str, trials: list[Trial], controls: list[Trial], settings: Settings
) -> TaskScores:
    num_episodes, m = settings.episodes, settings.control_episodes
    played = [trial for trial in trials if trial.void is None]
    wiped = [trial for trial in controls if trial.void is None]
    won = [_wins(trial, num_episodes) for trial in played]  # [R, K]
    pass_at = [_pass_at(wins) for wins in won]
    independent = [_independent(trial, m, num_episodes) for trial in wiped]
    returns = [metrics.trial_returns(_rewards(trial)) for trial in played]
    novelty = [metrics.within_trial_novelty(_sequences(trial)) for trial in played if _lost(trial)]
    num_voids, num_wiped_voids = len(trials) - len(played), len(controls) - len(wiped)
    width = min(num_episodes, m)
    zeros, ones = np.zeros(num_episodes), np.ones(num_episodes)
    return TaskScores(
        task=task,
        pass_at=_mean_rows(pass_at, num_episodes),
        pass_if_voids_lost=_mean_rows(pass_at + [zeros] * num_voids, num_episodes),
        pass_if_voids_won=_mean_rows(pass_at + [ones] * num_voids, num_episodes),
        independent=_mean_rows(independent, width),
        independent_if_voids_lost=_mean_rows(
            independent + [zeros[:width]] * num_wiped_voids, width
        ),
        independent_if_voids_won=_mean_rows(independent + [ones[:width]] * num_wiped_voids, width),
        conditional_success=(
            metrics.conditional_success(won) if won else np.full(num_episodes, np.nan)
        ),
        best_return=_mean(value.best for value in returns),
        last_return=_mean(value.last for value in returns),
        first_return=_mean(value.first for value in returns),
        invalid_rate=_mean_of(played, lambda trial: metrics.invalid_rate(_actions(trial))),
        control_invalid_rate=_mean_of(wiped, lambda trial: metrics.invalid_rate(_actions(trial))),
        novelty_share=_mean(value.share for value in novelty),
        novelty_distance=_mean(value.distance for value in novelty),
        state_coverage=_mean_of(played, lambda trial: metrics.state_coverage(_observations(trial))),
        trajectory_entropy=_mean_of(
            wiped, lambda trial: metrics.trajectory_entropy(_sequences(trial))
        ),
        miller_madow_entropy=_mean_of(
            wiped, lambda trial: metrics.miller_madow_entropy(_sequences(trial))
        ),
        distinct_share=_mean_of(wiped, lambda trial: metrics.distinct_share(_sequences(trial))),
        edit_diversity=_mean_of(wiped, lambda trial: metrics.edit_diversity(_sequences(trial))),
    )


def _over_tasks(
    tasks: tuple[TaskScores, ...],
    trials: list[Trial],
    settings: Settings,
    run_dir: str | Path | None,
    price: Price | None,
    digest: str,
) -> Scores:
    num_episodes = settings.episodes
    width = min(num_episodes, settings.control_episodes)
    one_trial_per_task = settings.repeats == 1
    pass_at = _columns([task.pass_at for task in tasks], num_episodes)
    conditional = _columns([task.conditional_success for task in tasks], num_episodes)
    independent = _columns([task.independent for task in tasks], width)
    simple = {
        name: _estimate(np.array([getattr(task, name) for task in tasks]))
        for name in _ESTIMATES
        if name != "gain"
    }
    return Scores(
        settings=settings,
        run_dir=None if run_dir is None else str(run_dir),
        tasks=tasks,
        num_trials=len(trials),
        num_voids=_num_voids(trials, "trial"),
        num_control_voids=_num_voids(trials, "control"),
        pass_at=tuple(_estimate(column, one_trial_per_task) for column in pass_at.T),
        pass_bounds=_bounds(
            _columns([task.pass_if_voids_lost for task in tasks], num_episodes),
            _columns([task.pass_if_voids_won for task in tasks], num_episodes),
        ),
        independent_pass_at=tuple(_estimate(column) for column in independent.T),
        independent_pass_bounds=_bounds(
            _columns([task.independent_if_voids_lost for task in tasks], width),
            _columns([task.independent_if_voids_won for task in tasks], width),
        ),
        gain=_estimate(gains(tasks, num_episodes)),
        gain_bounds=_gain_bounds(tasks, num_episodes),
        conditional_success=tuple(
            _estimate(column, one_trial_per_task) for column in conditional.T
        ),
        num_at_risk=tuple(int(count) for count in (~np.isnan(conditional)).sum(axis=0)),
        cost=_cost(trials, "trial", price),
        control_cost=_cost(trials, "control", price),
        content_digest=digest,
        **simple,
    )


_ESTIMATES = (
    "gain",
    "best_return",
    "last_return",
    "first_return",
    "invalid_rate",
    "control_invalid_rate",
    "novelty_share",
    "novelty_distance",
    "state_coverage",
    "trajectory_entropy",
    "miller_madow_entropy",
    "distinct_share",
    "edit_diversity",
)


def gains(tasks: Sequence[TaskScores], num_episodes: int) -> FloatArray:
    """Adaptation gain of each task at k = num_episodes, [num_tasks]; NaN where it has no value."""
    if any(len(task.independent) < num_episodes for task in tasks):
        return np.full(len(tasks), np.nan)
    return metrics.adaptation_gain(
        [task.pass_at[-1] for task in tasks], [task.independent[-1] for task in tasks]
    )


# From records to arrays --------------------------------------------------------------------------


def _wins(trial: Trial, num_episodes: int) -> list[bool]:
    """[K]; episodes after the end of the trial are False."""
    wins = [episode.end == "won" for episode in trial.episodes]
    return wins + [False] * (num_episodes - len(wins))


def _lost(trial: Trial) -> bool:
    return all(episode.end != "won" for episode in trial.episodes)


def _pass_at(won: list[bool]) -> FloatArray:
    """`metrics.sequential_pass_at_k` of one trial for every k, [K]."""
    return np.array(list(accumulate(won, or_)), dtype=np.float64)


def _independent(control: Trial, m: int, num_episodes: int) -> FloatArray:
    """[min(K, m)], from the m episodes of one control trial."""
    num_won = sum(_wins(control, m))
    return np.array(
        [metrics.independent_pass_at_k(num_won, m, k) for k in range(1, min(m, num_episodes) + 1)]
    )


def _sequence(episode: Episode) -> list[str | None]:
    return [turn.action for turn in episode.turns]


def _sequences(trial: Trial) -> list[list[str | None]]:
    return [_sequence(episode) for episode in trial.episodes]


def _actions(trial: Trial) -> list[str | None]:
    return [turn.action for episode in trial.episodes for turn in episode.turns]


def _observations(trial: Trial) -> list[str]:
    return [turn.observation for episode in trial.episodes for turn in episode.turns]


def _rewards(trial: Trial) -> list[list[float]]:
    return [[turn.reward for turn in episode.turns] for episode in trial.episodes]


def _num_voids(trials: Iterable[Trial], kind: TrialKind) -> int:
    return sum(trial.kind == kind and trial.void is not None for trial in trials)


def _cost(trials: Sequence[Trial], kind: TrialKind, price: Price | None) -> Cost:
    prompt = answer = steps = 0
    try:
        seconds = math.fsum(trial.seconds for trial in trials if trial.kind == kind)
    except (OverflowError, ValueError) as error:
        raise RecordError(
            f"The seconds of the {kind} trials add up to no number: {error}. Run them again."
        ) from error
    for trial in trials:
        if trial.kind != kind:
            continue
        for episode in trial.episodes:
            steps += len(episode.turns)
            prompt += sum(turn.prompt_tokens for turn in episode.turns)
            answer += sum(turn.answer_tokens for turn in episode.turns)
            if episode.reflection is not None:
                prompt += episode.reflection.prompt_tokens
                answer += episode.reflection.answer_tokens
    money = None
    if price is not None:
        money = (prompt * price.prompt_per_million + answer * price.answer_per_million) / 1e6
    return Cost(prompt, answer, seconds, steps, money)


# From tasks to a number --------------------------------------------------------------------------


def _mean(values: Iterable[float]) -> float:
    """Mean of what is there, NaN where nothing is."""
    numbers = [value for value in values if not math.isnan(value)]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def _mean_of(trials: list[Trial], measure: Callable[[Trial], float]) -> float:
    return _mean(measure(trial) for trial in trials)


def _mean_rows(rows: list[FloatArray], width: int) -> FloatArray:
    if len(rows) == 1:  # the usual case, and a mean of one row takes a while
        return rows[0]
    return np.mean(rows, axis=0) if rows else np.full(width, np.nan)


def _columns(rows: list[FloatArray], width: int) -> FloatArray:
    """[num_tasks, width], also without tasks."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def _estimate(values: FloatArray, one_trial_per_task: bool = False) -> Estimate | None:
    """Mean over the tasks that have a value; None when no task has."""
    numbers = values[~np.isnan(values)]
    if not numbers.size:
        return None
    return Estimate(float(numbers.mean()), interval_over_tasks(numbers, one_trial_per_task))


def interval_over_tasks(values: FloatArray, one_trial_per_task: bool = False) -> Interval | None:
    """Wilson for the wins of one trial for each task, bootstrap over tasks for all else."""
    if one_trial_per_task:
        return metrics.wilson_interval(int(values.sum()), len(values))
    interval = metrics.bootstrap_interval(values, seed=_BOOTSTRAP_SEED)
    return None if math.isnan(interval.low) else interval


def _bounds(lowest: FloatArray, highest: FloatArray) -> tuple[tuple[float, float], ...]:
    """[K] pairs (voids as losses, voids as wins); empty without tasks."""
    columns = zip(lowest.T, highest.T, strict=True)
    return tuple((_mean(low), _mean(high)) for low, high in columns if not np.isnan(low).all())


def _gain_bounds(tasks: Sequence[TaskScores], num_episodes: int) -> tuple[float, float] | None:
    rows = [
        (
            task.pass_if_voids_lost[-1] - task.independent_if_voids_won[-1],
            task.pass_if_voids_won[-1] - task.independent_if_voids_lost[-1],
        )
        for task in tasks
        if len(task.independent) >= num_episodes
    ]
    known = [row for row in rows if not math.isnan(row[0])]
    if not known:
        return None
    return (_mean(low for low, _ in known), _mean(high for _, high in known))


# JSON --------------------------------------------------------------------------------------------


def numbered(values: Iterable[Any]) -> dict[str, Any]:
    return {str(k): value for k, value in enumerate(values, start=1)}


def _over_k(name: str, estimates: Sequence[Estimate | None]) -> dict[str, Any]:
    return {
        name: numbered(estimate and estimate.value for estimate in estimates),
        f"{name}_ci": numbered(_ends(estimate) for estimate in estimates),
    }


def _with_interval(name: str, estimate: Estimate | None) -> dict[str, Any]:
    return {name: estimate.value if estimate else None, f"{name}_ci": _ends(estimate)}


def _ends(estimate: Estimate | None) -> list[float] | None:
    return list(estimate.interval) if estimate and estimate.interval else None
