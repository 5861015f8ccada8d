"""Training end to end with a tiny model: it runs, resumes after kill -9, refuses other settings."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

import psutil
import torch
from safetensors.numpy import load_file

from baselines.training.checkpoint import MAY_CHANGE
from baselines.training.cli import ALGORITHMS, build_parser, field_docs
from baselines.training.credit import Credit
from baselines.training.lamer import Estimator, LamerSettings, credit, train_lamer
from baselines.training.loop import fill_in, make_optimizer, plans, save, train
from baselines.training.model import (
    ModelSize,
    add_layers,
    build_model,
    build_tokenizer,
    load_policy,
    save_policy,
)
from baselines.training.muon import Muon
from baselines.training.policy import Policy
from baselines.training.rollouts import Rollout, roll_out
from baselines.training.supervised import SupervisedSettings, chunks, train_supervised
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


def test_a_chunk_that_fills_no_batch_stops_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="raise chunk_trials or lower"):
        train_supervised(replace(SUPERVISED, reflections=500), tmp_path)


def first_loss(settings: SupervisedSettings, out: Path) -> float:
    """Of one step; the optimiser changes nothing before it."""
    train_supervised(replace(settings, steps=1), out)
    (line,) = curve(out)
    return line["act_loss"]


def test_a_second_stage_goes_on_from_its_start_with_demonstrations_of_its_own(
    start: Path, tmp_path: Path
) -> None:
    from_nothing = first_loss(SUPERVISED, tmp_path / "nothing")
    second = replace(SUPERVISED, start=str(start))
    same = first_loss(second, tmp_path / "same")
    assert same < from_nothing
    later = replace(second, first_chunk=5)
    other = first_loss(later, tmp_path / "later")
    assert other not in (same, from_nothing)
    assert first_loss(later, tmp_path / "again") == other


def test_a_start_made_deeper_answers_as_before_and_learns(start: Path, tmp_path: Path) -> None:
    model, tokenizer = load_policy(start)
    deeper, _ = load_policy(start)
    add_layers(deeper, 3)
    tokens = torch.arange(5, 45)[None]
    assert torch.equal(deeper(tokens).logits, model(tokens).logits)
    stack = [id(layer.self_attn) for layer in deeper.model.layers]
    assert len(set(stack)) == len(stack) == SIZE.layers + 3  # no layer is there twice
    save_policy(deeper, tokenizer, tmp_path / "deeper", {})
    read, _ = load_policy(tmp_path / "deeper")
    assert torch.equal(read(tokens).logits, model(tokens).logits)

    second = replace(SUPERVISED, start=str(start), steps=2)
    folder = train_supervised(replace(second, add_layers=3), tmp_path / "trained")
    trained, _ = load_policy(folder)
    outputs = [layer.mlp.down_proj.weight for layer in trained.model.layers]
    assert len(outputs) == SIZE.layers + 3
    assert all(weight.abs().max() > 0 for weight in outputs)


def test_a_policy_is_shown_what_its_own_trials_should_have_been(
    start: Path, tmp_path: Path
) -> None:
    second = replace(SUPERVISED, start=str(start))
    own = replace(second, player=str(start))
    assert first_loss(own, tmp_path / "own") != first_loss(second, tmp_path / "scripted")
    with pytest.raises(SettingError, match="player"):
        first_loss(replace(second, player=str(tmp_path / "nobody")), tmp_path / "nobody")


def lamer_settings(start: Path, estimator: Estimator = "gigpo") -> LamerSettings:
    return LamerSettings(
        estimator=estimator,
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


def test_workers_make_the_same_chunks() -> None:
    alone = replace(SUPERVISED, environments={"sokoban-medium": 1, "minesweeper-easy": 1})
    together = replace(alone, workers=2)
    made = [list(islice(chunks(one, 3, build_tokenizer()), 3)) for one in (alone, together)]
    for expected, found in zip(*made, strict=True):
        assert expected
        assert pickle.dumps(expected) == pickle.dumps(found)


def test_a_finished_supervised_training_writes_its_policy_again(tmp_path: Path) -> None:
    settings = replace(SUPERVISED, steps=2)
    folder = train_supervised(settings, tmp_path)
    expected = weights(folder)
    shutil.rmtree(folder)
    found = weights(train_supervised(replace(settings, workers=1), tmp_path))
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert len((tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_a_policy_may_be_the_mean_of_its_start_and_what_was_trained(
    start: Path, tmp_path: Path
) -> None:
    settings = replace(SUPERVISED, start=str(start), first_chunk=5, steps=2)
    trained = weights(train_supervised(settings, tmp_path))
    mixed = weights(train_supervised(replace(settings, start_share=0.25), tmp_path))  # writes anew
    for name, before in weights(start).items():
        expected = 0.25 * before.astype(np.float32) + 0.75 * trained[name]
        assert np.allclose(mixed[name], expected, rtol=2e-3, atol=1e-4), name  # float16
    assert any(not np.array_equal(mixed[name], trained[name]) for name in mixed)


def test_a_killed_worker_is_a_clear_line() -> None:
    made = chunks(replace(SUPERVISED, workers=1), 0, build_tokenizer())
    next(made)
    [worker] = [w for w in psutil.Process().children() if "spawn_main" in called(w)]
    worker.kill()
    with pytest.raises(SettingError, match=r"Lower workers \(1\)"):
        list(islice(made, 5))


def test_workers_end_when_the_training_is_killed(tmp_path: Path) -> None:
    out, script = tmp_path / "killed", tmp_path / "program.py"
    script.write_text(
        "from dataclasses import replace; from pathlib import Path; "
        "from tests.baselines.test_training import SUPERVISED, train_supervised\n"
        "if __name__ == '__main__':\n"
        "    settings = replace(SUPERVISED, steps=10**6, workers=2)\n"
        f"    train_supervised(settings, Path({str(out)!r}))\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, str(script)], env=environment)
    try:
        wait_for(lambda: (out / "checkpoint.pt").exists())
        workers = [w for w in psutil.Process(process.pid).children() if "spawn_main" in called(w)]
        assert len(workers) == 2
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not any(worker.is_running() for worker in workers))


def called(process: psutil.Process) -> str:
    """Its command line."""
    return " ".join(process.cmdline())


def wait_for(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Until it is so; fails after that many seconds."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("estimator", ["gigpo", "ppo"])
def test_a_killed_lamer_training_writes_the_lines_of_an_undisturbed_one(
    estimator: Estimator, start: Path, tmp_path: Path
) -> None:
    program = (
        "import torch; torch.set_num_threads(1); from pathlib import Path; "
        "from tests.baselines.test_training import lamer_settings, train_lamer; "
        f"train_lamer(lamer_settings(Path({str(start)!r}), {estimator!r}), Path({{out!r}}))"
    )
    undisturbed, resumed = tmp_path / "undisturbed", tmp_path / "resumed"
    subprocess.run(
        [sys.executable, "-c", program.format(out=str(undisturbed))],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    killed_and_resumed(program.format(out=str(resumed)), resumed)
    assert curve(resumed) == curve(undisturbed)
    expected, found = weights(undisturbed / "policy"), weights(resumed / "policy")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def curve(out: Path) -> list[dict[str, float]]:
    """All metrics that do not depend on the clock."""
    timed = ("seconds", "share", "per_second")
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {
            name: value
            for name, value in json.loads(line).items()
            if name == "clip_share" or not name.endswith(timed)
        }
        for line in lines
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_stop_the_training_and_keep_the_checkpoint(
    value: float, start: Path, tmp_path: Path
) -> None:
    settings = lamer_settings(start)
    calls = []

    def breaks_in_its_second_step(rollout: Rollout, settings: LamerSettings) -> Credit:
        calls.append(rollout)
        credited = credit(rollout, settings)
        if len(calls) == 2:
            credited.advantages[0] = value
        return credited

    with pytest.raises(SettingError, match=r"not finite in step 2.*learning_rate \(0.0001\)"):
        train(settings, breaks_in_its_second_step, tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=False)["state"] == {"step": 1}
    train_lamer(settings, tmp_path)
    assert [line["step"] for line in curve(tmp_path)] == [1, 2, 3]


def test_a_supervised_training_that_diverges_keeps_its_last_checkpoint(tmp_path: Path) -> None:
    settings = replace(SUPERVISED, learning_rate=1e30, checkpoint_steps=1)
    with pytest.raises(SettingError, match=r"not finite in step 2.*muon_rate \(0.02\)"):
        train_supervised(settings, tmp_path)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=False)
    assert content["state"]["step"] == 1
    assert [line["step"] for line in curve(tmp_path)] == [1]
    assert all(value.isfinite().all() for value in content["model"].values())


def test_a_supervised_training_saves_no_weights_that_are_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflows(optimizer: Muon) -> None:
        optimizer.param_groups[0]["params"][0].data[0] = float("inf")

    monkeypatch.setattr(Muon, "step", overflows)
    with pytest.raises(SettingError, match="a weight is not finite in step 1"):
        train_supervised(replace(SUPERVISED, checkpoint_steps=1), tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_weights_that_are_not_finite_are_not_saved(start: Path, tmp_path: Path) -> None:
    settings = lamer_settings(start)
    policy = Policy.load(start)
    optimizer = make_optimizer(policy, settings)
    save(tmp_path, settings, policy, optimizer, step=0)
    policy.body_parameters()[-1].data[0] = float("inf")
    with pytest.raises(SettingError, match="a weight is not finite in step 2"):
        save(tmp_path, settings, policy, optimizer, step=1)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=False)["state"] == {"step": 1}


def test_a_checkpoint_of_another_vocabulary_is_refused(start: Path, tmp_path: Path) -> None:
    moved = tmp_path / "start"
    shutil.copytree(start, moved)
    settings = lamer_settings(moved)
    train_lamer(settings, tmp_path / "out")
    tokenizer = json.loads((moved / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["up"], vocabulary["down"] = vocabulary["down"], vocabulary["up"]
    (moved / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(SettingError, match="another tokenizer than the start's"):
        train_lamer(settings, tmp_path / "out")


def test_a_checkpoint_of_another_shape_is_refused(start: Path, tmp_path: Path) -> None:
    moved = tmp_path / "start"
    shutil.copytree(start, moved)
    settings = lamer_settings(moved)
    train_lamer(settings, tmp_path / "out")
    tokenizer = build_tokenizer()
    larger = build_model(tokenizer, replace(SIZE, width=64), seed=0)
    save_policy(larger, tokenizer, moved, {})
    with pytest.raises(SettingError, match="another shape than the start's"):
        train_lamer(settings, tmp_path / "out")


def test_adapters_do_not_go_on_over_another_start(start: Path, tmp_path: Path) -> None:
    moved, out = tmp_path / "start", tmp_path / "out"
    shutil.copytree(start, moved)
    settings = replace(lamer_settings(moved), lora_rank=2, steps=1)
    train_lamer(settings, out)
    train_lamer(settings, out)
    other = build_model(build_tokenizer(), SIZE, seed=5)
    save_policy(other, build_tokenizer(), moved, {})
    with pytest.raises(SettingError, match="over other weights than the start's"):
        train_lamer(settings, out)
    content = torch.load(out / "checkpoint.pt", weights_only=False)
    del content["start"]  # as older ones were written
    torch.save(content, out / "checkpoint.pt")
    train_lamer(settings, out)


def test_a_checkpoint_of_a_gpu_goes_on_without_one(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lamer_settings(start)
    with monkeypatch.context() as gpu:
        gpu.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        gpu.setattr(torch.serialization, "normalize_storage_type", lambda kind: torch.FloatStorage)
        save(tmp_path, settings, policy := Policy.load(start), make_optimizer(policy, settings), 0)
    assert b"cuda:0" in (tmp_path / "checkpoint.pt").read_bytes()
    train_lamer(settings, tmp_path)
    assert [line["step"] for line in curve(tmp_path)] == [2, 3]


def test_a_policys_folder_says_all_that_it_was_trained_with(start: Path, tmp_path: Path) -> None:
    settings = lamer_settings(start)
    folder = train_lamer(replace(settings, steps=1), tmp_path)
    stored = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert stored["algorithm"] == "lamer"
    assert (stored["memory"], stored["episodes"], stored["trials"]) == ("reflection", 3, 2)
    assert stored["settings"].keys() == {field.name for field in fields(settings)}
    assert stored["settings"]["gamma_traj"] == 0.9


def test_half_precision_samples_and_updates_alike(start: Path) -> None:
    policy = Policy.load(start, precision="bfloat16")
    rollout = roll_out(policy.writer(), plans(lamer_settings(start), step=0))
    sampled = [value for row in rollout.rows for value in row.log_probabilities]
    evaluated = policy.evaluate(rollout.rows).log_probabilities.detach().numpy()
    error = np.abs(np.exp(evaluated - sampled) - 1.0)
    assert error.mean() < 0.01  # as docs/training.md promises


def test_rows_without_log_probabilities_get_them_before_the_update(start: Path) -> None:
    policy = Policy.load(start)
    rows = roll_out(policy.writer(), plans(lamer_settings(start), step=0)).rows
    sampled = [row.log_probabilities for row in rows]
    for row in rows:
        row.log_probabilities = []
    fill_in(policy, rows)
    for row, expected in zip(rows, sampled, strict=True):
        assert row.log_probabilities == pytest.approx(expected, abs=1e-4)


def test_other_settings_are_refused_on_resume(start: Path, tmp_path: Path) -> None:
    settings = lamer_settings(start)
    train_lamer(replace(settings, steps=1), tmp_path)
    with pytest.raises(SettingError, match=r"other settings \(steps 1, now 3\)"):
        train_lamer(settings, tmp_path)


def test_settings_of_memory_speed_and_place_may_change_on_resume(
    start: Path, tmp_path: Path
) -> None:
    settings = replace(lamer_settings(start), steps=1)
    train_lamer(settings, tmp_path)
    changed = replace(
        settings,
        micro_batch_tokens=64,
        gradient_checkpointing=True,
        device="cpu",
        checkpoint_steps=7,
        rollout_tokens=64,
    )
    train_lamer(changed, tmp_path)
    named = {field.name for field in (*fields(settings), *fields(SUPERVISED))}
    assert named >= MAY_CHANGE


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
    options = build_parser().parse_args(
        ["grpo", "--out", "x", "--start", "y", "--no-divide", "--environments", "a-b", "c-d"]
    )
    assert (options.divide, options.environments) == (False, ["a-b", "c-d"])
    for name, (settings_class, _) in ALGORITHMS.items():
        helps = field_docs(settings_class)
        assert [field.name for field in fields(settings_class) if field.name not in helps] == [], (
            name
        )
