"""Training end to end with a tiny model: it runs, resumes after kill -9, refuses other settings."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

from safetensors.numpy import load_file

from baselines.training.cli import build_parser
from baselines.training.lamer import LamerSettings, credit, train_lamer
from baselines.training.loop import plans
from baselines.training.model import ModelSize, build_model, build_tokenizer
from baselines.training.policy import Policy
from baselines.training.rollouts import roll_out
from baselines.training.supervised import SupervisedSettings, train_supervised
from lamer_bench.errors import SettingError

SIZE = ModelSize(width=32, layers=1, heads=2, mlp_width=64)
SUPERVISED = SupervisedSettings(
    environments={"minesweeper-easy": 1},
    steps=6,
    batch_size=8,
    reflections=2,
    chunk_trials=12,
    size=SIZE,
    checkpoint_steps=2,
)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy after a few supervised steps."""
    return train_supervised(SUPERVISED, tmp_path_factory.mktemp("supervised"))


def lamer_settings(start: Path) -> LamerSettings:
    return LamerSettings(
        start=str(start),
        environments=("minesweeper-easy",),
        steps=3,
        tasks=2,
        episodes_per_task=6,
        minibatches=1,
        checkpoint_steps=1,
    )


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def killed_and_resumed(program: str, out: Path) -> None:
    """Start a training in a process, kill it after its first checkpoint, start it again."""
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            if (out / "checkpoint.pt").exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait()
    assert (out / "checkpoint.pt").exists()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)


def test_a_killed_supervised_training_ends_like_an_undisturbed_one(
    start: Path, tmp_path: Path
) -> None:
    out = tmp_path / "resumed"
    killed_and_resumed(
        "import sys; from pathlib import Path; "
        "from tests.baselines.test_training import SUPERVISED, train_supervised; "
        f"train_supervised(SUPERVISED, Path({str(out)!r}))",
        out,
    )
    expected, found = weights(start), weights(out / "policy")
    assert all(np.allclose(expected[name], found[name], atol=1e-3) for name in expected)
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_killed_lamer_training_ends_like_an_undisturbed_one(start: Path, tmp_path: Path) -> None:
    expected = weights(train_lamer(lamer_settings(start), tmp_path / "undisturbed"))
    out = tmp_path / "resumed"
    killed_and_resumed(
        "import sys; from pathlib import Path; "
        "from tests.baselines.test_training import lamer_settings, train_lamer; "
        f"train_lamer(lamer_settings(Path({str(start)!r})), Path({str(out)!r}))",
        out,
    )
    found = weights(out / "policy")
    assert all(np.allclose(expected[name], found[name], atol=1e-3) for name in expected)


def test_other_settings_are_refused_on_resume(start: Path, tmp_path: Path) -> None:
    settings = lamer_settings(start)
    train_lamer(replace(settings, steps=1), tmp_path)
    with pytest.raises(SettingError, match="other settings"):
        train_lamer(settings, tmp_path)


def test_rollouts_do_not_depend_on_how_many_trials_are_in_flight(start: Path) -> None:
    writer = Policy.load(start).writer()
    planned = plans(lamer_settings(start), step=0)
    together = roll_out(writer, planned)
    alone = roll_out(writer, planned, in_flight=1)
    assert [t.digest for t in together.trials] == [t.digest for t in alone.trials]


def test_every_row_gets_one_finite_advantage(start: Path) -> None:
    settings = lamer_settings(start)
    rollout = roll_out(Policy.load(start).writer(), plans(settings, step=0))
    advantages = credit(rollout, settings).advantages
    num_answers = sum(
        len(episode.turns) + (episode.reflection is not None)
        for trial in rollout.trials
        for episode in trial.episodes
    )
    assert advantages.shape == (num_answers,)
    assert np.isfinite(advantages).all()
    assert {row.kind for row in rollout.rows} == {"act", "reflect"}


def test_the_same_seed_gives_the_same_model() -> None:
    tokenizer = build_tokenizer()
    first, again = (build_model(tokenizer, SIZE, seed=3) for _ in range(2))
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all((a == b).all() for a, b in pairs)


def test_every_setting_is_an_option_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    options = build_parser().parse_args(
        ["lamer", "--out", "x", "--start", "y", "--gamma-traj", "0.6", "--memory", "none"]
    )
    assert (options.gamma_traj, options.memory, options.steps) == (0.6, "none", 100)
    with pytest.raises(SystemExit):
        build_parser().parse_args(["lamer", "--out", "x", "--start", "y", "--return-rule", "mine"])
    assert "invalid choice" in capsys.readouterr().err
