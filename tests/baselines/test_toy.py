"""The toy proof: where only exploration in the first episode pays in the second, LaMer explores.

`tests.toys.Vault`: the safe is the best single episode (reward 2); the best trial reads the plan
first, which earns nothing, writes down where the treasure is, and opens that door (reward 10).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

import torch

from baselines.training.cli import ALGORITHMS
from tests.baselines.tiny import ENVIRONMENT, STEPS, tiny_start

SHARED: dict[str, Any] = {
    "environments": (ENVIRONMENT,),
    "steps": 40,
    "tasks": 8,
    "episodes_per_task": 32,
    "learning_rate": 0.005,
    "minibatches": 2,
    "checkpoint_steps": 1000,
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that acts at random, writes down a plan it has read, and mostly heeds its notes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_start(tmp_path_factory.mktemp("tiny") / "start")
    torch.set_num_threads(threads)


def trained(algorithm: str, start: Path, out: Path, **settings: Any) -> list[dict[str, float]]:
    """The metrics of each step."""
    settings_class, train = ALGORITHMS[algorithm]
    train(settings_class(start=str(start), **{**SHARED, **settings}), out)
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def mean(metrics: list[dict[str, float]], name: str) -> float:
    return float(np.mean([step[name] for step in metrics]))


@pytest.mark.parametrize("algorithm", ["ppo", "rloo", "grpo", "gigpo"])
def test_single_episodes_learn_to_take_the_safe(
    algorithm: str, start: Path, tmp_path: Path
) -> None:
    metrics = trained(algorithm, start, tmp_path)
    assert metrics[0]["episode_reward"] < 1.6
    assert mean(metrics[-5:], "episode_reward") > 1.8
    assert mean(metrics[-5:], "pass_at_1") < 0.05


@pytest.mark.parametrize("estimator", ["gigpo", "grpo", "rloo"])
def test_lamer_reads_the_plan_first_and_wins_the_second_episode(
    estimator: str, start: Path, tmp_path: Path
) -> None:
    metrics = trained("lamer", start, tmp_path, episodes=2, estimator=estimator)
    assert metrics[0]["pass_at_2"] < 0.4
    assert mean(metrics[-5:], "pass_at_2") > 0.85
    assert mean(metrics[-5:], "pass_at_1") < 0.1


def test_lamer_learns_it_with_futures_compared_by_attempt(start: Path, tmp_path: Path) -> None:
    metrics = trained("lamer", start, tmp_path, episodes=2, future_group="attempt")
    assert mean(metrics[-5:], "pass_at_2") > 0.85
    assert mean(metrics[-5:], "pass_at_1") < 0.1


def test_with_a_history_it_needs_no_reflection(start: Path, tmp_path: Path) -> None:
    # ``start`` sets the threads; after half the steps, or of few trials, which it learns by heart,
    # some machines' rounding leaves a reader too poor for exploration to pay
    reader = tiny_start(tmp_path / "start", memory="history", steps=2 * STEPS, trials=3000)
    wider = {"episodes_per_task": 64, "entropy_bonus": 0.1}  # it reads the plan in one trial of ten
    metrics = trained("lamer", reader, tmp_path / "out", episodes=2, memory="history", **wider)
    assert metrics[0]["pass_at_2"] < 0.4
    assert mean(metrics[-5:], "pass_at_2") > 0.85


def test_with_values_to_learn_first_lamer_gets_most_of_the_way(start: Path, tmp_path: Path) -> None:
    metrics = trained("lamer", start, tmp_path, episodes=2, estimator="ppo")
    assert metrics[0]["pass_at_2"] < 0.4
    assert mean(metrics[-5:], "pass_at_2") > 0.5


def test_without_cross_episode_credit_nobody_explores(start: Path, tmp_path: Path) -> None:
    metrics = trained("lamer", start, tmp_path, episodes=2, gamma_traj=0.0)
    assert mean(metrics[-5:], "episode_reward") > 1.6
    assert mean(metrics[-5:], "pass_at_2") < 0.2
