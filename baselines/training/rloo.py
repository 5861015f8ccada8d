"""RLOO: REINFORCE with a leave-one-out baseline (arXiv 2402.14740), single episodes.

All actions of an episode get one advantage: the episode's return minus the mean return of the other
episodes on the same task (`advantages.leave_one_out`), an unbiased baseline. The update keeps the
loop's clipped ratio, which is 1 in the first minibatch of a rollout.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.training.advantages import leave_one_out
from baselines.training.credit import Credit, row_table
from baselines.training.loop import TrainSettings, train
from baselines.training.rollouts import Rollout


@dataclass(frozen=True)
class RlooSettings(TrainSettings):
    """Settings of RLOO."""


def train_rloo(settings: RlooSettings, out: str | Path) -> Path:
    """Train; returns the folder of the policy."""
    return train(settings, credit, out)


def credit(rollout: Rollout, settings: Any) -> Credit:
    """One advantage for each attempt, on all of its rows."""
    table = row_table(rollout, settings)
    return Credit(leave_one_out(table.outcomes, table.attempts, table.groups))
