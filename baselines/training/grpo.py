"""GRPO: group relative policy optimisation (DeepSeekMath, arXiv 2402.03300), single episodes.

All actions of an episode get one advantage: the episode's return, centred over the episodes on the
same task and divided by their deviation (`advantages.group_relative`). Without the division it is
Dr. GRPO (arXiv 2503.20783); that paper's other change, no division by an answer's length, holds in
either case, because the loss is a mean over all tokens of a minibatch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.training.advantages import group_relative
from baselines.training.credit import Credit, row_table
from baselines.training.loop import TrainSettings, train
from baselines.training.rollouts import Rollout


@dataclass(frozen=True)
class GrpoSettings(TrainSettings):
    """Settings of GRPO."""

    divide: bool = True
    """Divide by the group's deviation (GRPO); without, Dr. GRPO."""


def train_grpo(settings: GrpoSettings, out: str | Path) -> Path:
    """Train; returns the folder of the policy."""
    return train(settings, credit, out)


def credit(rollout: Rollout, settings: Any) -> Credit:
    """One advantage for each attempt, on all of its rows."""
    table = row_table(rollout, settings)
    return Credit(group_relative(table.outcomes, table.attempts, table.groups, settings.divide))
