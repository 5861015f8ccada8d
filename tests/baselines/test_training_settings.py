"""A setting that cannot work stops the training with one line before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

from baselines.models import load_tokenizer
from baselines.training.cli import ALGORITHMS, build_parser
from baselines.training.demonstrations import Population
from baselines.training.grpo import GrpoSettings
from baselines.training.lamer import LamerSettings, train_lamer
from baselines.training.loop import plans
from baselines.training.model import ModelSize
from baselines.training.ppo import PpoSettings
from baselines.training.supervised import SupervisedSettings, family_of, train_supervised
from baselines.training.vocabulary import check_vocabulary
from lamer_bench.cli import main
from lamer_bench.errors import LamerBenchError, SettingError

WEIGHTS = "baselines/weights/"
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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps is 0; it must be 1 or more"),
        ({"checkpoint_steps": 0}, "checkpoint_steps is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"reflections": 0}, "reflections is 0"),
        ({"chunk_trials": 0}, "chunk_trials is 0"),
        ({"warmup_steps": -1}, "warmup_steps is -1"),
        ({"add_layers": -1}, "add_layers is -1"),
        ({"explore": 2.0, "player": "p"}, "explore is 2.0; it must be between 0 and 1"),
        ({"explore": 0.1}, "explore is 0.1, and there is no player"),
        ({"start_share": 1.5, "start": "s"}, "start_share is 1.5; it must be between 0 and 1"),
        ({"start_share": 0.4}, "start_share is 0.4, and there is no start"),
        ({"add_layers": 2}, "add_layers is 2, and there is no start to add them to"),
        ({"muon_rate": 0.0}, "muon_rate is 0.0; it must be more than 0"),
        ({"player_temperature": float("nan")}, "player_temperature is nan"),
        ({"environments": {}}, "environments is empty"),
        ({"environments": {"sokoban-easy": 0}}, "The share of sokoban-easy in environments is 0"),
        ({"environments": {"sokoban-easy": "1"}}, "environments is '1'"),
    ],
)
def test_an_impossible_value_of_the_supervised_start_is_named(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError) as caught:
        SupervisedSettings(**given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_impossible_population_or_network_is_named() -> None:
    with pytest.raises(SettingError, match="slip is 5; it must be between 0 and 1"):
        Population(slip=5)
    with pytest.raises(SettingError, match="layers is 0"):
        ModelSize(layers=0)
    with pytest.raises(SettingError, match=r"width is 100 with 4 heads; .* multiple of 8"):
        ModelSize(width=100)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"environments": {"webshop-browser-easy": 1}}, "no teacher for webshop-browser"),
        ({"start": "nowhere"}, "There is no policy in nowhere"),
        ({"start": WEIGHTS + "minesweeper/lamer"}, "There is no policy in"),  # an adapter
        ({"start": WEIGHTS + "webshop/supervised"}, "of the words of minesweeper-hard"),
    ],
)
def test_what_a_supervised_start_cannot_learn_is_named_before_the_first_step(
    given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        train_supervised(SupervisedSettings(**given), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("family", "environment"),
    [("webshop", "minesweeper-easy"), ("minesweeper", "webshop-easy")],
)
def test_a_small_policy_of_another_family_is_refused(
    family: str, environment: str, tmp_path: Path
) -> None:
    settings = GrpoSettings(f"{WEIGHTS}{family}/supervised", environments=(environment,))
    with pytest.raises(SettingError, match=f"of the words of {environment}: .* another family"):
        ALGORITHMS["grpo"][1](settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "environment",
    [
        "minesweeper-ood",
        "environments.practice:MinesweeperPractice-4x7c",
        "sokoban-ood",
        "environments.practice:SokobanPractice-7x5x2d",
        "webshop-ood",
        "environments.practice:WebShopPractice-hard",
    ],
)
def test_a_small_policy_reads_all_levels_of_its_family(environment: str) -> None:
    folder = Path(WEIGHTS) / family_of(environment) / "supervised"
    check_vocabulary(load_tokenizer(folder), [environment])


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--population", '{"remeber": 1}', "unexpected keyword argument 'remeber'"),
        ("--population", '{"slip": 5}', "slip is 5; it must be between 0 and 1."),
        ("--environments", "[1]", "it must be an object"),
        ("--environments", "{", "does not fit this setting, which is JSON"),
    ],
)
def test_json_that_does_not_fit_is_explained(
    option: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["supervised", "--out", "x", option, text])
    assert message in capsys.readouterr().err


# Several processes ---------------------------------------------------------------------------


def test_the_supervised_start_refuses_to_be_launched_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingError, match="one process, and 2 were launched"):
        train_supervised(SupervisedSettings(), tmp_path / "out")


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    command = ["grpo", "--out", "x", "--start", "y"]
    assert build_parser().parse_args(command).threads == 8
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert build_parser().parse_args(command).threads == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert build_parser().parse_args(command).threads == 1


@pytest.mark.parametrize(("rank", "printed"), [("0", "Trained: there\n"), ("1", "")])
def test_the_first_process_alone_prints_the_result(
    rank: str,
    printed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setitem(ALGORITHMS, "grpo", (GrpoSettings, lambda settings, out: Path("there")))
    command = ["train", "grpo", "--out", str(tmp_path), "--start", "x", "--threads", "1"]
    assert main(command) == 0
    assert capsys.readouterr().out == printed
