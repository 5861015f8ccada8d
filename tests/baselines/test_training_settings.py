"""A setting that cannot work stops the training with one line before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

from baselines.training.cli import ALGORITHMS
from baselines.training.grpo import GrpoSettings
from baselines.training.lamer import LamerSettings, train_lamer
from baselines.training.loop import plans
from baselines.training.ppo import PpoSettings
from lamer_bench.cli import main
from lamer_bench.errors import LamerBenchError, SettingError

REINFORCEMENT = [name for name in ALGORITHMS if name != "supervised"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"episodes": 0}, "episodes is 0; it must be 1 or more"),
        ({"gamma_traj": 1.5}, "gamma_traj is 1.5; it must be between 0 and 1"),
        ({"gamma_step": -0.1}, "gamma_step is -0.1; it must be between 0 and 1"),
        ({"gamma_step": float("nan")}, "gamma_step is nan"),
        ({"clip": 0.0}, "clip is 0.0; it must be more than 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"gae_lambda": 2.0}, "gae_lambda is 2.0"),
        ({"value_learning_rate": 0.0}, "value_learning_rate is 0.0"),
        ({"step_weight": -1.0}, "step_weight is -1.0"),
        ({"entropy_bonus": -1.0}, "entropy_bonus is -1.0"),
        ({"minibatches": 0}, "minibatches is 0"),
        ({"environments": ()}, "environments is empty"),
        ({"episodes_per_task": 8}, "no multiple of the 3 attempts"),
        ({"episodes_per_task": 0}, "no multiple of the 3 attempts"),
        ({"episodes_per_task": 3}, "Give at least 6, or use ppo"),
    ],
)
def test_an_impossible_value_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        LamerSettings("x", **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_trial_on_a_task_is_enough_where_nothing_is_compared() -> None:
    assert PpoSettings("x", episodes_per_task=1).trials == 1
    assert LamerSettings("x", episodes_per_task=3, estimator="ppo").trials == 1
    with pytest.raises(SettingError, match="groups of one trial"):
        GrpoSettings("x", episodes_per_task=1)


@pytest.mark.parametrize("name", REINFORCEMENT)
def test_every_algorithm_sees_the_same_number_of_episodes(name: str) -> None:
    settings = ALGORITHMS[name][0]("x")
    planned = plans(settings, step=0)
    assert sum(plan.num_episodes for plan in planned) == settings.tasks * 24
    assert len(planned) == settings.tasks * (8 if name == "lamer" else 24)
    assert {plan.memory for plan in planned} == {"reflection" if name == "lamer" else "none"}


def test_practised_tasks_are_new_in_every_step_and_never_a_demonstrations() -> None:
    settings = GrpoSettings("x")
    tasks = [plan.task for step in range(3) for plan in plans(settings, step)]
    assert len({task.id for task in tasks}) == 3 * settings.tasks
    assert {task.split for task in tasks} == {"train"}
    assert min(task.index for task in tasks) >= 10_000_000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"environments": ("minesweeper-hart",)}, "Did you mean 'minesweeper-hard'"),
        ({"start": "nowhere"}, "There is no policy in nowhere"),
    ],
)
def test_what_is_missing_is_named_before_the_first_step(
    given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    settings = LamerSettings(**{"start": str(tmp_path), **given})
    with pytest.raises(LamerBenchError, match=message):
        train_lamer(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_start_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(SettingError) as caught:
        train_lamer(LamerSettings(str(tmp_path)), tmp_path / "out")
    assert "does not hold a language model" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line_says_it_in_one_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "grpo", "--out", str(tmp_path / "out"), "--start", str(tmp_path)]
    assert main([*command, "--clip", "-1"]) == 2
    assert capsys.readouterr().err.strip().endswith("clip is -1.0; it must be more than 0.")
