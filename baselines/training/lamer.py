"""LaMer: meta-RL over trials ("Meta-RL Induces Exploration in Language Agents", arXiv 2512.16848).

An action is credited with what its own episode earned and, shrunk by ``gamma_traj``, with what the
later attempts of the trial earned; a reflection with what the next attempt earned. Any of the other
algorithms' estimators turns these returns into advantages; GiGPO's is the paper's. Two departures
from the published code, both against known faults of it: attempts are compared with attempts of the
same index (later ones know more and would otherwise lift or sink whole attempts), and reflections
with reflections after the same attempt instead of getting a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from baselines.training import gigpo, grpo, ppo, rloo
from baselines.training.advantages import FutureGroup
from baselines.training.credit import Credit
from baselines.training.gigpo import GigpoSettings
from baselines.training.grpo import GrpoSettings
from baselines.training.loop import train
from baselines.training.ppo import PpoSettings
from baselines.training.returns import ReturnRule
from baselines.training.rollouts import Rollout
from lamer_bench.agent import Memory

Estimator = Literal["gigpo", "grpo", "rloo", "ppo"]
ESTIMATORS: dict[Estimator, Callable[[Rollout, Any], Credit]] = {
    "gigpo": gigpo.credit,
    "grpo": grpo.credit,
    "rloo": rloo.credit,
    "ppo": ppo.credit,
}


@dataclass(frozen=True)
class LamerSettings(GigpoSettings, GrpoSettings, PpoSettings):
    """Settings of LaMer, with those of its estimators; an estimator ignores the others'."""

    estimator: Estimator = "gigpo"
    """Whose advantages are taken of the cross-episode returns."""
    episodes: int = 3  # type: ignore[misc]
    """Attempts in a trial at most."""
    memory: Memory = "reflection"  # type: ignore[misc]
    """What an attempt knows of the ones before it."""
    gamma_traj: float = 0.9  # type: ignore[misc]
    """Discount of an attempt, 0..1; 0.9 is the paper's best for MineSweeper, 0.6 for Sokoban."""
    return_rule: ReturnRule = "paper"  # type: ignore[misc]
    """How later attempts pay earlier ones; see `cross_episode_returns`."""
    future_group: FutureGroup = "state"  # type: ignore[misc]
    """What gigpo's step part compares the pay of later attempts with: that of all actions in the
    same state, in their returns (the paper's), or apart from those that of attempts with the same
    index."""
    train_reflections: bool = True
    """Without, reflections are written as ever but get advantage 0: nothing rewards or blames what
    they say. They still count in the entropy bonus and, with ppo, in the value head's error."""

    @property
    def compares_groups(self) -> bool:  # type: ignore[override]
        return self.estimator != "ppo"

    @property
    def has_values(self) -> bool:  # type: ignore[override]
        return self.estimator == "ppo"


def train_lamer(settings: LamerSettings, out: str | Path) -> Path:
    """Train; returns the folder of the policy."""
    return train(settings, credit, out)


def credit(rollout: Rollout, settings: LamerSettings) -> Credit:
    """The estimator's advantages of the cross-episode returns."""
    credited = ESTIMATORS[settings.estimator](rollout, settings)
    if settings.train_reflections:
        return credited
    is_action = np.array([row.kind == "act" for row in rollout.rows])
    return credited._replace(advantages=np.where(is_action, credited.advantages, 0.0))
