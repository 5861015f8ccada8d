"""Returns: rewards of a trial -> what each turn is credited with. Pure functions, one trial at a
time.

Notation of LaMer (arXiv 2512.16848): g is the return within an episode, G the return across the
trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

ReturnRule = Literal["paper", "official"]


def episode_returns(rewards: Sequence[float], gamma_step: float) -> list[float]:
    """g_t = sum over l >= t of gamma_step^(l-t) r_l, for one episode: (T,) -> (T,).

    >>> episode_returns([0.0, 0.0, 1.0], gamma_step=0.5)
    [0.25, 0.5, 1.0]
    """
    returns = []
    running = 0.0
    for reward in reversed(rewards):
        running = reward + gamma_step * running
        returns.append(running)
    return returns[::-1]


def cross_episode_returns(
    rewards: Sequence[Sequence[float]],
    gamma_step: float,
    gamma_traj: float,
    rule: ReturnRule = "paper",
) -> list[list[float]]:
    """G_t^(n) = g_t^(n) + sum over m > n of gamma_traj^(m-n) g_0^(m), for each episode n of a
    trial.

    ``rewards``: one sequence for each episode; the result has the same shape. ``rule="official"``
    is what the published code computes: the future is also discounted by gamma_step over the rest
    of the episode, G_t^(n) = g_t^(n) + gamma_step^(T_n - t) * future.

    >>> cross_episode_returns([[0.0], [10.0]], gamma_step=1.0, gamma_traj=0.5)
    [[5.0], [10.0]]
    """
    within = [episode_returns(episode, gamma_step) for episode in rewards]
    result: list[list[float]] = [[] for _ in within]
    future = 0.0  # sum over m > n of gamma_traj^(m-n) g_0^(m)
    for n in range(len(within) - 1, -1, -1):
        length = len(within[n])
        for t, g in enumerate(within[n]):
            shrink = gamma_step ** (length - t) if rule == "official" else 1.0
            result[n].append(g + shrink * future)
        future = gamma_traj * ((within[n][0] if within[n] else 0.0) + future)
    return result


def reflection_returns(returns: Sequence[Sequence[float]]) -> list[float]:
    """A reflection after episode n is credited with G_0^(n+1): (N episodes) -> (N - 1,).

    >>> reflection_returns([[5.0, 5.0], [10.0]])
    [10.0]
    """
    return [episode[0] if episode else 0.0 for episode in returns[1:]]
