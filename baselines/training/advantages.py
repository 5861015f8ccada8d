"""Advantages: returns of a task's group -> what each row's log-probability is multiplied with.

Pure functions of arrays. A row is one answer (an action, or a reflection); an attempt is all rows
of one episode, or one reflection; a group is the attempts that are compared with each other. In a
group of one there is nothing to compare: advantage 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from baselines.training.returns import ReturnRule

Floats = NDArray[np.float64]
FutureGroup = Literal["state", "attempt"]


def centred(values: Sequence[float], keys: Sequence[Hashable]) -> Floats:
    """Each value minus the mean of all values with the same key; 0 for a key that occurs once.

    Shapes: (R,), (R,) -> (R,). Where all values of a key are equal the result is exactly 0, not a
    rounding error, so that such rows can be recognised.

    >>> centred([1.0, 3.0, 7.0], ["a", "a", "b"]).tolist()
    [-1.0, 1.0, 0.0]
    """
    array = np.asarray(values, dtype=np.float64)
    result = np.zeros_like(array)
    for members in _members(keys):
        if np.ptp(array[members]) > 0.0:
            result[members] = array[members] - array[members].mean()
    return result


def leave_one_out(
    outcomes: Sequence[float], attempts: Sequence[Hashable], groups: Sequence[Hashable]
) -> Floats:
    """RLOO (arXiv 2402.14740): an attempt's outcome minus the mean of the *others'* of its group.

    Shapes: all (R,) -> (R,); rows of one attempt carry one outcome, and an attempt counts once
    however many rows it has. Equals n / (n - 1) times the centred outcome in a group of n.

    >>> leave_one_out([1.0, 3.0, 8.0], [0, 1, 2], ["a", "a", "a"]).tolist()
    [-4.5, -1.5, 6.0]
    """
    result = np.zeros(len(outcomes))
    for members, values, centre in _attempts_in_groups(outcomes, attempts, groups):
        result[members] = (values[members] - centre.mean()) * len(centre) / (len(centre) - 1)
    return result


def group_relative(
    outcomes: Sequence[float],
    attempts: Sequence[Hashable],
    groups: Sequence[Hashable],
    divide: bool = True,
) -> Floats:
    """GRPO (arXiv 2402.03300): centred outcomes, divided by the group's deviation.

    Shapes: all (R,) -> (R,); rows of one attempt carry one outcome, and an attempt counts once.
    The deviation is the population's (divided by n). ``divide=False`` leaves the division out (Dr.
    GRPO, arXiv 2503.20783), which otherwise lifts tasks that are nearly always won or lost.

    >>> group_relative([1.0, 1.0, 3.0], [0, 0, 1], ["a", "a", "a"]).tolist()
    [-1.0, -1.0, 1.0]
    """
    result = np.zeros(len(outcomes))
    for members, values, centre in _attempts_in_groups(outcomes, attempts, groups):
        scale = centre.std() if divide else 1.0
        result[members] = (values[members] - centre.mean()) / scale
    return result


def gigpo(
    episode_rewards: Sequence[float],
    returns: Sequence[float],
    groups: Sequence[Hashable],
    states: Sequence[Hashable],
    step_weight: float = 1.0,
    futures: Sequence[float] | None = None,
) -> Floats:
    """Group-in-group advantages (GiGPO, arXiv 2505.10978): episode part + ``step_weight`` * step
    part.

    Shapes: all (R,). ``episode_rewards``: undiscounted reward of the row's own episode. ``groups``:
    what episodes are compared with each other; their mean is over rows, so that an episode weighs
    as many times as it has turns, which is the published implementation's default. ``returns``: the
    row's (cross-episode) return. ``states``: the anchor state; rows of equal state are compared
    with each other, wherever in the trial they stand. ``futures``: what later attempts pay, where
    ``returns`` leave it out; it is compared within ``groups``, so that an early attempt, which more
    can follow, does not outshine a late one in the same state. No division by the deviation, as in
    the published settings.

    >>> gigpo([1.0, 0.0], [1.0, 0.0], ["task", "task"], ["board", "board"]).tolist()
    [1.0, -1.0]

    An episode of three turns that pays 4 and one of a turn that pays 0:

    >>> gigpo([4.0, 4.0, 4.0, 0.0], [4.0] * 3 + [0.0], ["task"] * 4, range(4)).tolist()
    [1.0, 1.0, 1.0, -3.0]

    A first and a second attempt that lose in the same state, the first one paid by the second:

    >>> gigpo([0.0, 0.0], [0.0, 0.0], ["first", "second"], ["board"] * 2, 1.0, [2.0, 0.0]).tolist()
    [0.0, 0.0]
    """
    steps = centred(returns, states)
    if futures is not None:
        steps = steps + centred(futures, groups)
    return centred(episode_rewards, groups) + step_weight * steps


def generalised_advantages(
    rewards: Sequence[float], values: Sequence[float], gamma: float, gae_lambda: float
) -> list[float]:
    """GAE (arXiv 1506.02438) over the turns of one episode that ends after its last reward.

    A_t = sum over l >= 0 of (gamma gae_lambda)^l delta_(t+l), with
    delta_t = r_t + gamma V_(t+1) - V_t and V_T = 0. Shapes: (T,), (T,) -> (T,).

    >>> generalised_advantages([0.0, 1.0], [0.5, 0.5], gamma=1.0, gae_lambda=0.5)
    [0.25, 0.5]
    """
    advantages = []
    running = next_value = 0.0
    for reward, value in zip(reversed(rewards), reversed(values), strict=True):
        running = reward + gamma * next_value - value + gamma * gae_lambda * running
        next_value = value
        advantages.append(running)
    return advantages[::-1]


def cross_episode_advantages(
    rewards: Sequence[Sequence[float]],
    values: Sequence[Sequence[float]],
    gamma_step: float,
    gamma_traj: float,
    gae_lambda: float,
    rule: ReturnRule = "paper",
) -> list[list[float]]:
    """GAE over a trial, for values that estimate the cross-episode return G_t^(n).

    What is to come after episode n is F_n = gamma_traj * ((1 - gae_lambda) V_0^(n+1) + gae_lambda
    (V_0^(n+1) + A_0^(n+1))), 0 after the last. Under ``paper`` it is undiscounted within the
    episode: GAE runs over what V holds beyond F_n. Under ``official`` it is paid with the last
    reward, shrunk by gamma_step. With gae_lambda = 1 the result is G_t^(n) - V_t^(n) under either
    rule (`returns.cross_episode_returns`). Shapes: those of ``rewards``.

    >>> cross_episode_advantages([[0.0], [10.0]], [[1.0], [4.0]], 1.0, 0.5, 1.0)
    [[4.0], [6.0]]
    """
    result: list[list[float]] = []
    future = 0.0
    for episode, expected in zip(reversed(rewards), reversed(values), strict=True):
        if rule == "paper":
            paid, beyond = list(episode), [value - future for value in expected]
        else:
            paid, beyond = [*episode[:-1], episode[-1] + gamma_step * future], list(expected)
        advantages = generalised_advantages(paid, beyond, gamma_step, gae_lambda)
        reached = expected[0] + gae_lambda * advantages[0]
        if rule == "official":  # an earlier episode is not paid through this one's length
            reached += (1.0 - gamma_step ** len(episode)) * future
        future = gamma_traj * reached
        result.append(advantages)
    return result[::-1]


def normalised(values: Floats) -> Floats:
    """Minus the mean, divided by the deviation; all 0 where there is none: (R,) -> (R,)."""
    if not len(values) or np.ptp(values) == 0.0:
        return np.zeros_like(values)
    result: Floats = (values - values.mean()) / values.std()
    return result


def _members(keys: Sequence[Hashable]) -> list[list[int]]:
    """Indices of equal keys."""
    members: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(key, []).append(index)
    return list(members.values())


def _attempts_in_groups(
    outcomes: Sequence[float], attempts: Sequence[Hashable], groups: Sequence[Hashable]
) -> list[tuple[list[int], Floats, Floats]]:
    """For each group whose attempts differ in outcome: its rows, all outcomes, and one outcome for
    each of its attempts."""
    array = np.asarray(outcomes, dtype=np.float64)
    found = []
    for members in _members(groups):
        once = np.array(list({attempts[index]: array[index] for index in members}.values()))
        if np.ptp(once) > 0.0:
            found.append((members, array, once))
    return found
