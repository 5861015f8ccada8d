"""Every score as a pure function of arrays; `lamer_bench.scores` feeds them from records.

A function here describes one task (or one trial of it) unless its name or docstring says otherwise:
scores are computed per task first and only then averaged over tasks, because tasks are the unit
that was drawn at random. Nothing reads a file, a clock or a global random state; whatever is drawn
comes from a seed argument.

An *action sequence* is the list of an episode's canonical actions, with None for an answer that was
not an action. Two sequences are the same when they are equal turn by turn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lamer_bench.errors import SettingError

FloatArray = NDArray[np.float64]
Actions = Sequence[Hashable]
"""The canonical actions of one episode, None where an answer was not an action."""

CONFIDENCE = 0.95
TIE = 1e-9
"""Scores of a task that differ by less are equal."""
NUM_RESAMPLES = 10_000
_MOST_KEPT = 2_000_000  # numbers, 16 MB
_BLOCK = 100_000  # numbers, 0.8 MB


class Interval(NamedTuple):
    """Ends of a confidence interval, in the unit of what it belongs to; NaN where there is none."""

    low: float
    high: float


NO_INTERVAL = Interval(math.nan, math.nan)


class Returns(NamedTuple):
    """Undiscounted sums of rewards, in the environment's unit."""

    best: float
    last: float
    first: float


class Novelty(NamedTuple):
    """How new the later attempts of a lost trial are, both in [0, 1]; NaN with a single attempt."""

    share: float
    """Share of attempts 2..k whose action sequence differs from every earlier one."""
    distance: float
    """Mean normalised edit distance of attempts 2..k to the nearest earlier one."""


# Success -----------------------------------------------------------------------------------------


def sequential_pass_at_k(won: ArrayLike, k: int) -> float:
    """Share of a task's trials that were won in one of their first k episodes.

    ``pass@k = (1/R) sum_r [any of won[r, :k]]``

    Args:
        won: booleans, [num_repeats, num_episodes]; episodes that were not played are False.
        k: number of episodes that count, 1..num_episodes.

    Returns:
        A share in [0, 1].

    Raises:
        SettingError: k is not in 1..num_episodes.
    """
    wins = _wins(won)
    if not 1 <= k <= wins.shape[1]:
        raise SettingError(f"pass@{k} needs k from 1 to the {wins.shape[1]} episodes of a trial.")
    return float(wins[:, :k].any(axis=1).mean())


def independent_pass_at_k(num_won: int, num_episodes: int, k: int) -> float:
    """Chance that at least one of k independent attempts wins, estimated without bias.

    ``pass@k = 1 - C(n - c, k) / C(n, k)``: the share of k-subsets of n attempts that hold a win.
    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1.

    Args:
        num_won: c, memory-wiped episodes of the task that were won, 0..n.
        num_episodes: n, memory-wiped episodes of the task.
        k: attempts, 1..n.

    Returns:
        A probability in [0, 1].

    Raises:
        SettingError: n < k (there is no unbiased estimate then), or c is not in 0..n.
    """
    if k < 1:
        raise SettingError(f"pass@{k} does not exist; k starts at 1.")
    if num_episodes < k:
        raise SettingError(
            f"Independent pass@{k} needs at least {k} memory-wiped episodes of each task, "
            f"not {num_episodes}. Ask for more control episodes."
        )
    if not 0 <= num_won <= num_episodes:
        raise SettingError(f"{num_won} of {num_episodes} episodes cannot have been won.")
    return 1.0 - math.comb(num_episodes - num_won, k) / math.comb(num_episodes, k)


def adaptation_gain(sequential: ArrayLike, independent: ArrayLike) -> FloatArray:
    """What the memory adds: sequential minus independent pass@k of one agent on the same tasks.

    Args:
        sequential: pass@k with memory, [num_tasks], each in [0, 1].
        independent: pass@k with the memory wiped, [num_tasks], each in [0, 1].

    Returns:
        The gain of each task, [num_tasks], in [-1, 1]. NaN where either is NaN.
    """
    first = np.asarray(sequential, dtype=np.float64)
    second = np.asarray(independent, dtype=np.float64)
    _require_pairs(first, second)
    return first - second


def conditional_success(won: ArrayLike) -> FloatArray:
    """P(win episode j | episodes 1..j-1 were lost) for one task.

    Args:
        won: booleans, [num_repeats, num_episodes]; a trial stops at its first win.

    Returns:
        [num_episodes], each in [0, 1], NaN where no trial came to episode j.
    """
    wins = _wins(won)
    has_lost_so_far: NDArray[np.bool_] = np.cumsum(wins, axis=1) - wins == 0  # [R, K]
    num_reached: NDArray[np.int64] = has_lost_so_far.sum(axis=0)
    num_won = (wins & has_lost_so_far).sum(axis=0)
    return np.where(num_reached > 0, num_won / np.maximum(num_reached, 1), np.nan)


def trial_returns(rewards: Sequence[Sequence[float]]) -> Returns:
    """Return of the best, the last and the first episode of one trial.

    ``R_j = sum_t r_(j,t)``, undiscounted, in the environment's unit.

    Args:
        rewards: for each episode that was played (1 and more), its rewards.
    """
    if not rewards:
        raise SettingError("A trial without episodes has no return.")
    sums = [math.fsum(episode) for episode in rewards]
    return Returns(best=max(sums), last=sums[-1], first=sums[0])


# Behaviour ---------------------------------------------------------------------------------------


def invalid_rate(actions: Actions) -> float:
    """Answers that were not actions / answers, in [0, 1]; NaN without answers.

    Args:
        actions: the canonical actions of all answers, None where an answer was none.
    """
    if not actions:
        return math.nan
    return sum(action is None for action in actions) / len(actions)


def state_coverage(observations: Sequence[Hashable]) -> float:
    """Distinct observations that a trial's answers were given to / turns, in (0, 1].

    NaN without turns. What the last action of an episode led to is not counted: nothing was
    answered to it, and it could push the score above 1.
    """
    if not observations:
        return math.nan
    return len(set(observations)) / len(observations)


# Diversity ---------------------------------------------------------------------------------------


def trajectory_entropy(sequences: Sequence[Actions]) -> float:
    """Plug-in entropy of the action sequences of one task's m memory-wiped episodes.

    ``H = -sum_i p_i ln p_i`` with p_i the share of distinct sequence i, in nats, in [0, ln m].

    It depends on m, so that values of different m cannot be compared. The LaMer paper calls
    diversity "the entropy of the empirical distribution over distinct trajectories" and leaves m
    and the base open; m is written wherever this number is shown.
    """
    counts = _sequence_counts(sequences)
    m = len(sequences)
    return math.fsum(count / m * math.log(m / count) for count in counts)


def miller_madow_entropy(sequences: Sequence[Actions]) -> float:
    """`trajectory_entropy` with the first-order correction of its downward bias.

    ``H + (s - 1) / (2 m)`` in nats, with s the distinct sequences among m; in [0, ln m + 1/2).
    Source: Miller 1955, "Note on the bias of information estimates".
    """
    num_distinct = len(_sequence_counts(sequences))
    return trajectory_entropy(sequences) + (num_distinct - 1) / (2 * len(sequences))


def distinct_share(sequences: Sequence[Actions]) -> float:
    """Distinct action sequences / m, in [1/m, 1]."""
    return len(_sequence_counts(sequences)) / len(sequences)


def edit_diversity(sequences: Sequence[Actions]) -> float:
    """Mean of `edit_distance` over all pairs of m sequences, in [0, 1]; NaN for m < 2.

    Equal sequences are grouped first: their pairs count with distance 0.
    """
    m = len(sequences)
    if m < 2:
        return math.nan
    groups = Counter(map(tuple, sequences))
    total = math.fsum(
        groups[a] * groups[b] * edit_distance(a, b) for a, b in combinations(groups, 2)
    )
    return total / math.comb(m, 2)


def within_trial_novelty(sequences: Sequence[Actions]) -> Novelty:
    """Whether the later attempts of one lost trial try something new.

    Args:
        sequences: the action sequences of the trial's attempts, in order.

    Returns:
        Share and distance over attempts 2..k, both in [0, 1]; NaN with fewer than two attempts.
    """
    nearest = [
        min(edit_distance(sequences[j], earlier) for earlier in sequences[:j])
        for j in range(1, len(sequences))
    ]
    if not nearest:
        return Novelty(math.nan, math.nan)
    share = sum(distance > 0 for distance in nearest) / len(nearest)
    return Novelty(share, math.fsum(nearest) / len(nearest))


def edit_distance(a: Actions, b: Actions) -> float:
    """`levenshtein` / length of the longer sequence, in [0, 1]; 0 for two empty ones."""
    longer = max(len(a), len(b))
    return levenshtein(a, b) / longer if longer else 0.0


def levenshtein(a: Actions, b: Actions) -> int:
    """Insertions, deletions and substitutions that turn one sequence into the other.

    A column of the dynamic programme is held in the bits of two integers: bit i of ``plus``
    (``minus``) says that cell i + 1 is one more (less) than cell i. One step per element of ``b``.
    Source: Myers 1999 in the form of Hyyrö 2003, "A bit-vector algorithm for computing Levenshtein
    and Damerau edit distances", figure 1.
    """
    if not a or not b:
        return len(a) + len(b)
    positions: dict[Hashable, int] = {}
    for i, element in enumerate(a):
        positions[element] = positions.get(element, 0) | 1 << i
    all_bits, last_bit = (1 << len(a)) - 1, 1 << (len(a) - 1)
    plus, minus, distance = all_bits, 0, len(a)
    for element in b:
        equal = positions.get(element, 0)
        vertical = equal | minus
        horizontal = (((equal & plus) + plus) ^ plus) | equal
        step_up = minus | ~(horizontal | plus)
        step_down = plus & horizontal
        distance += bool(step_up & last_bit) - bool(step_down & last_bit)
        step_up = step_up << 1 | 1
        plus = (step_down << 1 | ~(vertical | step_up)) & all_bits
        minus = step_up & vertical & all_bits
    return distance


# Uncertainty -------------------------------------------------------------------------------------


def bootstrap_interval(
    values: ArrayLike, *, seed: int = 0, resamples: int = NUM_RESAMPLES
) -> Interval:
    """Percentile bootstrap interval (95 %) of the mean over tasks.

    Tasks are drawn with replacement; the ends are the 2.5 % and 97.5 % quantiles of the resampled
    means. For paired values (a gain, a difference of two agents) pass the differences: pairs stay
    together. When all values are equal the interval has no width, which is the bootstrap's known
    blind spot.
    Source: Efron and Tibshirani 1993, chapter 13.

    Args:
        values: one number for each task, [num_tasks], any unit.
        seed: seed of a generator of its own.
        resamples: number of resampled means.

    Returns:
        The interval; NaN for fewer than two tasks, which say nothing of their spread.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise SettingError(f"A bootstrap needs one value for each task, not shape {numbers.shape}.")
    if numbers.size < 2:
        return NO_INTERVAL
    if np.all(numbers == numbers[0]):
        return Interval(float(numbers[0]), float(numbers[0]))
    if numbers.size * resamples <= _MOST_KEPT:
        times = _times_drawn(numbers.size, seed, resamples)
        means = np.einsum("rt,t->r", times, numbers) / numbers.size  # no threads, as a BLAS has
    else:
        means = np.concatenate(
            [
                numbers.take(drawn, mode="clip").mean(axis=1)  # the fastest gather; all in range
                for drawn in _drawn_in_blocks(numbers.size, seed, resamples)
            ]
        )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


@lru_cache(maxsize=4)
def _times_drawn(num_tasks: int, seed: int, resamples: int) -> FloatArray:
    """How often each resample holds each task, [resamples, num_tasks].

    Kept, 16 MB each: the many scores of a run, and of a figure's runs, draw the same tasks.
    """
    times = np.empty((resamples, num_tasks))
    filled = 0
    for drawn in _drawn_in_blocks(num_tasks, seed, resamples):
        rows = len(drawn)
        places = drawn + num_tasks * np.arange(rows)[:, None]
        counted = np.bincount(places.ravel(), minlength=places.size)
        times[filled : filled + rows] = counted.reshape(places.shape)
        filled += rows
    return times


def _drawn_in_blocks(num_tasks: int, seed: int, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Indices of the tasks in each resample, in blocks of rows that a processor's cache holds,
    [rows, num_tasks]."""
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // num_tasks)
    for start in range(0, resamples, rows):
        yield rng.integers(num_tasks, size=(min(rows, resamples - start), num_tasks))


def wilson_interval(num_won: int, num_trials: int) -> Interval:
    """Wilson score interval (95 %) of a share of independent trials, one for each task.

    ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)`` with p = num_won / n, z = 1.96; in [0,
    1].
    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Returns:
        The interval; NaN without trials.
    """
    n = num_trials
    if n == 0:
        return NO_INTERVAL
    if not 0 <= num_won <= n:
        raise SettingError(f"{num_won} of {n} trials cannot have been won.")
    share, z = num_won / n, _z(CONFIDENCE)
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if num_won == 0 else (centre - half) / scale
    high = 1.0 if num_won == n else (centre + half) / scale
    return Interval(low, high)


# Comparison --------------------------------------------------------------------------------------


def mcnemar_p(a: ArrayLike, b: ArrayLike) -> float:
    """Exact two-sided McNemar test of two agents on the same tasks.

    With x tasks on which a did better and y on which b did, ``p = min(1, 2 P(X <= min(x, y)))``,
    ``X ~ Binomial(x + y, 1/2)``. Ties say nothing and are left out. For wins (0 or 1) this is
    McNemar's test; for shares over repeats it is the exact sign test, of which McNemar's is the
    special case.

    Args:
        a: scores of the first agent, [num_tasks].
        b: scores of the second agent on the same tasks in the same order, [num_tasks].

    Returns:
        A p-value in (0, 1].
    """
    return sign_test_p(*better_and_worse(a, b))


def better_and_worse(a: ArrayLike, b: ArrayLike) -> tuple[int, int]:
    """On how many tasks the first of two agents did better, and on how many worse.

    Shapes: [num_tasks] each. Scores that differ by less than `TIE` are equal: shares over repeats
    that are the same fraction need not be the same float.

    >>> better_and_worse([1 - 2 / 3, 1.0], [1 / 3 - 0, 0.0])
    (1, 0)
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _require_pairs(first, second)
    gap = first - second
    return int((gap > TIE).sum()), int((gap < -TIE).sum())


def sign_test_p(num_better: int, num_worse: int) -> float:
    """Exact two-sided sign test: the p-value of `mcnemar_p` from its two counts."""
    n = num_better + num_worse
    tail: int = sum(math.comb(n, i) for i in range(min(num_better, num_worse) + 1))
    return min(1.0, 2 * tail / (1 << n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment over a table of tests, in the given order.

    The i-th smallest of n p-values (from 0) becomes ``max over j <= i of (n - j) p_j``, at most 1.
    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    by_size = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(by_size):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def smallest_detectable_difference(
    num_tasks: int, *, discordant_share: float = 0.5, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Smallest difference of two agents' pass@k that this many shared tasks can show.

    The exact power of the exact McNemar test: the number of tasks on which the agents differ is
    ``D ~ Binomial(num_tasks, s)`` and the better one wins ``Binomial(D, (1 + difference / s) / 2)``
    of them, with s the larger of ``discordant_share`` and the difference itself.

    Args:
        num_tasks: tasks that both agents play once.
        discordant_share: share of tasks that only one of the two wins; 0.5 is the most that two
            independent and about equally good agents have.
        power: wanted chance that the test finds the difference.
        alpha: level of the two-sided test.

    Returns:
        A difference in (0, 1], rounded up to 0.001; None when this many tasks cannot show any.
    """
    if num_tasks < 1:
        raise SettingError(f"A comparison has at least 1 task, not {num_tasks}.")
    if not (0 < discordant_share <= 1 and 0 < power < 1 and 0 < alpha < 1):
        raise SettingError("discordant_share, power and alpha are shares between 0 and 1.")
    if _mcnemar_power(num_tasks, 1.0, discordant_share, alpha) < power:
        return None
    too_small, enough = 0, 1000  # thousandths
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if _mcnemar_power(num_tasks, middle / 1000, discordant_share, alpha) < power:
            too_small = middle
        else:
            enough = middle
    return enough / 1000


def _mcnemar_power(
    num_tasks: int, difference: float, discordant_share: float, alpha: float
) -> float:
    """Chance that the exact McNemar test at level ``alpha`` finds ``difference``."""
    share = max(discordant_share, difference)
    spread = 8 * math.sqrt(num_tasks * share * (1 - share)) + 1  # leaves out less than 1e-14
    fewest = max(1, math.floor(num_tasks * share - spread))
    most = min(num_tasks, math.ceil(num_tasks * share + spread))
    total = 0.0
    for num_discordant in range(fewest, most + 1):
        critical = _critical_count(num_discordant, alpha)
        if critical < 0:
            continue
        counts = np.arange(critical + 1)
        better = (1 + difference / share) / 2
        both_tails = (
            _binomial(counts, num_discordant, better).sum()
            + _binomial(num_discordant - counts, num_discordant, better).sum()
        )
        weight = _binomial(np.array([num_discordant]), num_tasks, share)[0]
        total += float(weight * both_tails)
    return total


def _critical_count(n: int, alpha: float) -> int:
    """Largest c with ``2 P(Binomial(n, 1/2) <= c) <= alpha``; -1 when there is none."""
    tails = 2 * np.cumsum(_binomial(np.arange(n // 2 + 1), n, 0.5))
    return int((tails <= alpha * (1 + 1e-12)).sum()) - 1


def _binomial(counts: NDArray[np.int64], n: int, share: float) -> FloatArray:
    """P(Binomial(n, share) = count) for each count."""
    if share in (0.0, 1.0):
        return np.where(counts == n * share, 1.0, 0.0)
    factorials = _log_factorials(n)
    logs = factorials[n] - factorials[counts] - factorials[n - counts]
    logs = logs + counts * math.log(share) + (n - counts) * math.log1p(-share)
    return np.asarray(np.exp(logs), dtype=np.float64)


def _log_factorials(n: int) -> FloatArray:
    """ln i! for i in 0..n."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


# Helpers -----------------------------------------------------------------------------------------


def _wins(won: ArrayLike) -> NDArray[np.bool_]:
    wins = np.asarray(won, dtype=np.bool_)
    if wins.ndim != 2 or wins.size == 0:
        raise SettingError(f"Wins come as [num_repeats, num_episodes], not as shape {wins.shape}.")
    return wins


def _sequence_counts(sequences: Sequence[Actions]) -> list[int]:
    if not sequences:
        raise SettingError("Diversity needs at least one action sequence.")
    return list(Counter(map(tuple, sequences)).values())


def _require_pairs(a: FloatArray, b: FloatArray) -> None:
    if a.shape != b.shape or a.ndim != 1:
        raise SettingError(
            f"Paired scores need the same tasks, not shapes {a.shape} and {b.shape}."
        )


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
