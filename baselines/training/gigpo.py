"""GiGPO: group-in-group policy optimisation (arXiv 2505.10978), single episodes.

An action is compared twice: its episode's reward with the other episodes on the task, and its
return with those of all actions that were taken before the same observation (`advantages.gigpo`).
In place of a value network, the second comparison says which move made the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baselines.training.advantages import gigpo
from baselines.training.credit import Credit, row_table
from baselines.training.loop import TrainSettings, train
from baselines.training.rollouts import Rollout


@dataclass(frozen=True)
class GigpoSettings(TrainSettings):
    """Settings of GiGPO."""

    step_weight: float = 1.0
    """Weight of GiGPO's step part beside its episode part, 0 and up."""

    def check(self) -> None:
        super().check()
        self.at_least("step_weight", 0.0)


def train_gigpo(settings: GigpoSettings, out: str | Path) -> Path:
    """Train; returns the folder of the policy."""
    return train(settings, credit, out)


def credit(rollout: Rollout, settings: Any) -> Credit:
    """Episode part and step part for each row; only LaMer's attempts have a future."""
    table = row_table(rollout, settings)
    returns, futures = table.returns, None
    if settings.future_group == "attempt":
        returns, futures = table.own_returns, np.subtract(table.returns, table.own_returns).tolist()
    episodes, groups, states = table.episode_rewards, table.groups, table.states
    return Credit(gigpo(episodes, returns, groups, states, settings.step_weight, futures))
