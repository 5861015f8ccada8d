"""Ranks: who stands where on an environment, on a family or over the suite, and who cannot be told
apart.

Void trials count against their entry in all that is shown: as lost in pass@k, as won in the
control, in the gain as both. Entries are ordered by pass@3. Over several environments that is
the mean over environments, for entries that have all of them. Each is tested against the next one
of the table on the tasks that both have (exact McNemar test; with repeats the sign test), and
p-values are adjusted over the table by Holm's method: where a neighbour cannot be told apart at 5 %
it shares the rank. Entries of different suite versions never share a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np

from lamer_bench import metrics
from lamer_bench.scores import interval_over_tasks
from leaderboard.entries import Entry, FloatArray, Result

_ALPHA = 1 - metrics.CONFIDENCE


@dataclass(frozen=True)
class Value:
    """A mean with its 95 % interval, which may be missing."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """An entry in a table."""

    entry: Entry
    rank: int | None
    """Shared by entries that cannot be told apart; None for those that lack an environment."""
    environments: tuple[str, ...]
    """That it has, of those of the table."""
    pass_at: tuple[Value | None, ...]
    sealed: Value | None
    """pass@k on the sealed tasks of the same environments, if the entry has all of them."""
    control: Value | None
    gain: Value | None
    entropy: Value | None
    tokens: float
    """Of prompts and answers, with and without memory, for each task."""
    voids: int
    """Void trials of both kinds."""
    p_next: float | None
    """Adjusted p-value of the test against the next row; None for the last."""


@dataclass(frozen=True)
class Paired:
    """Two entries on an environment, a minus b, in pass@3."""

    environment: str
    num_tasks: int
    a: float
    b: float
    difference: Value
    p: float
    p_holm: float
    """Adjusted over the environments of the comparison."""
    better: tuple[str, ...]
    """Tasks on which a did better."""
    worse: tuple[str, ...]


def table(entries: Iterable[Entry], environments: Sequence[str]) -> list[Row]:
    """Rank entries over environments, best first; those that lack one follow without a rank.

    The entries must be verified and of one suite version (`ValueError`).
    """
    shown = [entry for entry in entries if any(name in entry.results for name in environments)]
    if len({entry.suite for entry in shown}) > 1:
        raise ValueError("Entries of different suite versions cannot share a table.")
    whole = [entry for entry in shown if all(name in entry.results for name in environments)]
    partial = [entry for entry in shown if entry not in whole]
    whole.sort(key=lambda entry: (-_mean_pass(entry, environments), entry.id))
    partial.sort(
        key=lambda entry: (-len(_own(entry, environments)), -_mean_pass(entry, environments))
    )
    p_next = _neighbours(whole, environments)
    ranks: list[int | None] = []
    for place in range(len(whole)):
        p = p_next[place - 1] if place else None
        is_new = place == 0 or (p is not None and p < _ALPHA)
        ranks.append(place + 1 if is_new else ranks[-1])
    ranks += [None] * len(partial)
    tests = [*p_next, None] if whole else []
    tests += [None] * len(partial)
    return [
        _row(entry, rank, environments, p)
        for entry, rank, p in zip([*whole, *partial], ranks, tests, strict=True)
    ]


def paired(a: Entry, b: Entry, environments: Sequence[str] | None = None) -> list[Paired]:
    """Compare two entries on every environment that both have, in the order given."""
    names = [name for name in environments or a.results if name in a.results and name in b.results]
    rows = []
    for name in names:
        tasks = [task for task in a.results[name].tasks if task in b.results[name].tasks]
        first, second = (
            np.array([one.results[name].tasks[task][-1] for task in tasks]) for one in (a, b)
        )
        gap = first - second
        p = metrics.mcnemar_p(first, second) if tasks else 1.0
        rows.append((name, tasks, first, second, gap, p))
    adjusted = metrics.holm([p for *_, p in rows])
    return [
        Paired(
            environment=name,
            num_tasks=len(tasks),
            a=float(first.mean()),
            b=float(second.mean()),
            difference=_bootstrapped(gap),
            p=p,
            p_holm=holm,
            better=tuple(task for task, one in zip(tasks, gap, strict=True) if one > 0),
            worse=tuple(task for task, one in zip(tasks, gap, strict=True) if one < 0),
        )
        for (name, tasks, first, second, gap, p), holm in zip(rows, adjusted, strict=True)
        if tasks
    ]


def _neighbours(whole: Sequence[Entry], environments: Sequence[str]) -> list[float]:
    """Adjusted p-value of each entry against the next one."""
    tests = [metrics.mcnemar_p(*_together(a, b, environments)) for a, b in pairwise(whole)]
    return metrics.holm(tests)


def _together(a: Entry, b: Entry, environments: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """pass@3 of both on the tasks that both have."""
    first: list[FloatArray] = []
    second: list[FloatArray] = []
    for name in environments:
        one, other = a.results[name], b.results[name]
        if one.tasks.keys() == other.tasks.keys():
            first.append(one.last)
            second.append(other.last)
            continue
        tasks = [task for task in one.tasks if task in other.tasks]
        first.append(np.array([one.tasks[task][-1] for task in tasks]))
        second.append(np.array([other.tasks[task][-1] for task in tasks]))
    return np.concatenate(first), np.concatenate(second)


def _bootstrapped(gap: FloatArray) -> Value:
    if len(gap) < 2:
        return Value(float(gap.mean()), None, None)
    return Value(float(gap.mean()), *metrics.bootstrap_interval(gap))


def _own(entry: Entry, environments: Sequence[str]) -> list[Result]:
    return [entry.results[name] for name in environments if name in entry.results]


def _mean_pass(entry: Entry, environments: Sequence[str]) -> float:
    return float(np.mean([result.pass_at_k for result in _own(entry, environments)]))


def _row(entry: Entry, rank: int | None, environments: Sequence[str], p: float | None) -> Row:
    own = _own(entry, environments)
    most = min(len(result.scores["pass_at"]) for result in own)
    sealed = [entry.sealed[r.environment] for r in own if r.environment in entry.sealed]
    sealed = sealed if len(sealed) == len(own) else []
    return Row(
        entry=entry,
        rank=rank,
        environments=tuple(result.environment for result in own),
        pass_at=tuple(_mean([_pass_at(result, k) for result in own]) for k in range(1, most + 1)),
        sealed=_mean([_pass_at(result, most) for result in sealed]),
        control=_mean([control_at(result, most) for result in own]),
        gain=_mean([_gain(result) for result in own]),
        entropy=_mean([_named(result, "trajectory_entropy") for result in own]),
        tokens=float(np.mean([_tokens(result) for result in own])),
        voids=sum(num_voids(result) for result in own),
        p_next=p,
    )


def _tokens(result: Result) -> float:
    tokens = result.scores["tokens"]
    return float((tokens["prompt"] + tokens["answer"]) / len(result.tasks))


def num_voids(result: Result) -> int:
    """Void trials of both kinds."""
    return int(result.scores["voids"] + result.scores["control_voids"])


def _pass_at(result: Result, k: int) -> Value | None:
    if not result.scores["voids"]:
        return _at_k(result, "pass_at", k)
    shares = np.array([task[k - 1] for task in result.tasks.values()])
    interval = interval_over_tasks(shares, result.scores["repeats"] == 1)
    return _value(float(shares.mean()), interval)


def control_at(result: Result, k: int) -> Value | None:
    """pass@k of the memory-wiped control, without an interval where trials of it are void."""
    if not result.scores["control_voids"]:
        return _at_k(result, "independent_pass_at", k)
    bounds = result.scores["independent_pass_at_bounds"].get(str(k))
    return bounds and Value(bounds[1], None, None)


def _gain(result: Result) -> Value | None:
    if not num_voids(result):
        return _named(result, "gain")
    bounds = result.scores["gain_bounds"]
    return bounds and Value(bounds[0], None, None)


def _at_k(result: Result, name: str, k: int) -> Value | None:
    return _value(result.scores[name].get(str(k)), result.scores[f"{name}_ci"].get(str(k)))


def _named(result: Result, name: str) -> Value | None:
    return _value(result.scores[name], result.scores[f"{name}_ci"])


def _value(value: float | None, interval: Any) -> Value | None:
    if value is None:
        return None
    low, high = interval or (None, None)
    return Value(value, low, high)


def _mean(values: Sequence[Value | None]) -> Value | None:
    """Of one environment its own interval; of several the mean, with the normal interval of a mean
    of independent estimates, each side by itself, so that it stays among the shares; None where an
    environment has no value."""
    if not values or any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    if len(known) == 1:
        return known[0]
    middle = float(np.mean([value.value for value in known]))
    if any(value.low is None or value.high is None for value in known):
        return Value(middle, None, None)
    below = [value.value - value.low for value in known]  # type: ignore[operator]
    above = [value.high - value.value for value in known]  # type: ignore[operator]
    return Value(middle, middle - _half(below), middle + _half(above))


def _half(halves: Sequence[float]) -> float:
    return sqrt(sum(half**2 for half in halves)) / len(halves)
