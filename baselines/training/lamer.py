"""LaMer: meta-RL over trials ("Meta-RL Induces Exploration in Language Agents", arXiv 2512.16848).

An action is credited with what its own episode earned and, shrunk by ``gamma_traj``, with what the
later attempts of the trial earned; a reflection with what the next attempt earned. The advantages
are GiGPO's. Two departures from the published code, both against known faults of it: the episode
part compares episodes of the same attempt index (later attempts know more and would otherwise lift
or sink whole attempts), and reflections are compared with reflections after the same attempt
instead of getting a constant.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from baselines.training.advantages import Floats, gigpo
from baselines.training.loop import TrainSettings, train
from baselines.training.returns import ReturnRule, cross_episode_returns, reflection_returns
from baselines.training.rollouts import Rollout


@dataclass(frozen=True)
class LamerSettings(TrainSettings):
    """Settings of LaMer; the paper's best cross-episode discount for MineSweeper is 0.9."""

    gamma_step: float = 0.95
    """Discount of a turn, 0..1."""
    gamma_traj: float = 0.9
    """Discount of an attempt, 0..1."""
    return_rule: ReturnRule = "paper"
    """How later attempts pay earlier ones; see `cross_episode_returns`."""
    step_weight: float = 1.0
    """Weight of GiGPO's step part."""


def train_lamer(settings: LamerSettings, out: str | Path) -> Path:
    """Train LaMer; returns the folder of the policy."""
    return train(settings, credit, out)


def credit(rollout: Rollout, settings: LamerSettings) -> Floats:
    """One advantage for each row (R,)."""
    returns = [
        cross_episode_returns(
            [[turn.reward for turn in episode.turns] for episode in trial.episodes],
            settings.gamma_step,
            settings.gamma_traj,
            settings.return_rule,
        )
        for trial in rollout.trials
    ]
    row_returns: list[float] = []
    episode_rewards: list[float] = []
    groups: list[Hashable] = []
    states: list[Hashable] = []
    for number, row in enumerate(rollout.rows):
        task = rollout.plans[row.trial].task.id
        if row.kind == "act":
            episode = rollout.trials[row.trial].episodes[row.episode]
            row_returns.append(returns[row.trial][row.episode][row.turn])
            episode_rewards.append(sum(turn.reward for turn in episode.turns))
            groups.append((task, "act", row.episode))
            states.append((task, row.observation))
        else:
            row_returns.append(reflection_returns(returns[row.trial])[row.episode])
            episode_rewards.append(0.0)
            groups.append((task, "reflect", number))
            states.append((task, "reflect", row.episode))
    return gigpo(episode_rewards, row_returns, groups, states, settings.step_weight)
