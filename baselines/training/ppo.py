"""PPO with a learnt value of each turn (arXiv 1707.06347), single episodes.

The value head is a linear map of the hidden state at the prompt's last token: one value for each
answer, not for each token. Advantages are generalised (GAE, arXiv 1506.02438) over turns; the head
learns the advantages plus the values they were computed from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from baselines.training.advantages import cross_episode_advantages, normalised
from baselines.training.credit import Credit, trial_rewards
from baselines.training.loop import TrainSettings, train
from baselines.training.rollouts import Rollout


@dataclass(frozen=True)
class PpoSettings(TrainSettings):
    """Settings of PPO."""

    compares_groups: ClassVar[bool] = False
    has_values: ClassVar[bool] = True

    gae_lambda: float = 0.95
    """GAE's mixture: 0 trusts the value of the next turn, 1 what was really earned."""
    value_weight: float = 0.1
    """Weight of the value head's squared error."""
    value_learning_rate: float = 0.003
    """Of the value head alone, which begins at 0."""
    normalise: bool = True
    """Give the advantages of a rollout mean 0 and deviation 1."""

    def check(self) -> None:
        super().check()
        self.within("gae_lambda", 0.0, 1.0)
        self.at_least("value_weight", 0.0)
        self.above("value_learning_rate", 0.0)


def train_ppo(settings: PpoSettings, out: str | Path) -> Path:
    """Train; returns the folder of the policy."""
    return train(settings, credit, out)


def credit(rollout: Rollout, settings: Any) -> Credit:
    """Generalised advantages over each trial, and what the value head should have said.

    A reflection after episode n is credited with the gae_lambda-return of episode n + 1, minus its
    own value.
    """
    rewards = trial_rewards(rollout, settings.invalid_penalty)
    values = [[[0.0] * len(episode) for episode in trial] for trial in rewards]
    for row in rollout.rows:
        if row.kind == "act":
            values[row.trial][row.episode][row.turn] = row.value
    gained = [
        cross_episode_advantages(
            trial,
            expected,
            settings.gamma_step,
            settings.gamma_traj,
            settings.gae_lambda,
            settings.return_rule,
        )
        for trial, expected in zip(rewards, values, strict=True)
    ]
    advantages = np.zeros(len(rollout.rows))
    for number, row in enumerate(rollout.rows):
        if row.kind == "act":
            advantages[number] = gained[row.trial][row.episode][row.turn]
        else:
            following = row.episode + 1
            reached = values[row.trial][following][0] + gained[row.trial][following][0]
            advantages[number] = reached - row.value
    targets = advantages + np.array([row.value for row in rollout.rows])
    return Credit(normalised(advantages) if settings.normalise else advantages, targets)
