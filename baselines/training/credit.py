"""Credit: what the algorithms share between a rollout and its advantages.

Every algorithm is a function from a rollout and its settings to a `Credit`. A single episode is a
trial of one attempt, so that the same function serves an algorithm alone and as LaMer's estimator.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from baselines.training.advantages import Floats
from baselines.training.returns import cross_episode_returns, episode_returns, reflection_returns
from baselines.training.rollouts import Rollout


class Credit(NamedTuple):
    """What the update needs of each row."""

    advantages: Floats  # (R,)
    value_targets: Floats | None = None  # (R,) for algorithms with a value head


class RowTable(NamedTuple):
    """A rollout as columns, one entry for each row: all (R,).

    An action belongs to its episode; a reflection is an attempt of its own, credited with what the
    next episode returns.
    """

    returns: list[float]
    """G_t^(n) of an action; G_0^(n+1) of a reflection after episode n."""
    own_returns: list[float]
    """g_t^(n) of an action; G_0^(n+1) of a reflection after episode n."""
    outcomes: list[float]
    """G_0^(n) of the action's episode; G_0^(n+1) of a reflection after episode n."""
    episode_rewards: list[float]
    """Undiscounted reward of the action's own episode; 0 for a reflection."""
    attempts: list[Hashable]
    """Rows of one attempt: (trial, kind, episode)."""
    groups: list[Hashable]
    """Attempts that are compared: (task, kind, episode), so that an attempt is compared with those
    that knew as much, and a reflection with reflections after the same attempt."""
    states: list[Hashable]
    """Equal situations: (task, observation), or (task, "reflect", episode) for a reflection."""


def row_table(rollout: Rollout, settings: Any) -> RowTable:
    """The columns of a rollout under the settings' discounts."""
    rewards = trial_rewards(rollout, settings.invalid_penalty)
    returns = [
        cross_episode_returns(trial, settings.gamma_step, settings.gamma_traj, settings.return_rule)
        for trial in rewards
    ]
    within = [[episode_returns(episode, settings.gamma_step) for episode in t] for t in rewards]
    table = RowTable([], [], [], [], [], [], [])
    for row in rollout.rows:
        task = rollout.plans[row.trial].task.id
        if row.kind == "act":
            table.returns.append(returns[row.trial][row.episode][row.turn])
            table.own_returns.append(within[row.trial][row.episode][row.turn])
            table.outcomes.append(returns[row.trial][row.episode][0])
            table.episode_rewards.append(sum(rewards[row.trial][row.episode]))
            table.states.append((task, row.observation))
        else:
            paid = reflection_returns(returns[row.trial])[row.episode]
            table.returns.append(paid)
            table.own_returns.append(paid)
            table.outcomes.append(paid)
            table.episode_rewards.append(0.0)
            table.states.append((task, "reflect", row.episode))
        table.attempts.append((row.trial, row.kind, row.episode))
        table.groups.append((task, row.kind, row.episode))
    return table


def trial_rewards(rollout: Rollout, invalid_penalty: float = 0.0) -> list[list[list[float]]]:
    """Rewards by trial, episode and turn; an answer that is no action costs ``invalid_penalty``."""
    return [
        [
            [
                turn.reward - (invalid_penalty if turn.action is None else 0.0)
                for turn in episode.turns
            ]
            for episode in trial.episodes
        ]
        for trial in rollout.trials
    ]
