"""Two processes learn what one does; only the first writes.

The two are started as `torchrun` starts them, on this machine, over gloo.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")
pytest.importorskip("peft", reason="peft is in the [train] extra")

import torch
from safetensors.torch import load_file
from torch.distributed.tensor import Shard, distribute_tensor

from baselines.training.distributed import Processes, own, whole, whole_on_main
from baselines.training.loop import train
from lamer_bench.errors import SettingError
from tests.baselines.tiny_chat import tiny_chat
from tests.baselines.two_processes import VARIANTS, everything, settings, some_rows, spread

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SECONDS = 900
"""Most of it goes into importing torch where the machine is busy."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chat(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def one(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes."""
    out = tmp_path_factory.mktemp("one") / "out"
    everything(start, out, is_cut_off=False)
    return out


@pytest.fixture(scope="module", params=["copies", "shards"])
def two(
    request: pytest.FixtureRequest, start: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What two processes make, with the weights whole in each, and shared; their first training is
    cut off in between."""
    out = tmp_path_factory.mktemp(request.param) / request.param
    launch([str(start), str(out)], ACCELERATE_USE_FSDP=str(request.param == "shards").lower())
    return out


def launch(arguments: list[str], **variables: str) -> None:
    """Run two processes with torchrun's variables to their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "error", "-m", "tests.baselines.two_processes", *arguments]
    common = {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        **variables,
    }
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**common, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    end = time.monotonic() + SECONDS
    try:
        said = [one.communicate(timeout=max(1.0, end - time.monotonic()))[1] for one in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)


def updates(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(out / "updates.pt", weights_only=False)
    return found


def curve(out: Path) -> list[dict[str, float]]:
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_processes_update_as_one_does(variant: str, one: Path, two: Path) -> None:
    expected, found = updates(one)[variant], updates(two)[variant]
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-4, abs=1e-5)
    assert expected["losses"]["gradient_norm"] > 0.01
    for gradient, other in zip(expected["gradients"], found["gradients"], strict=True):
        assert torch.allclose(gradient, other, rtol=1e-3, atol=1e-5)
    assert expected["weights"].keys() == found["weights"].keys()
    # Adam's first steps have the size of the rate whatever the gradient's, so that rounding shows
    # where a gradient is nearly 0
    differences = torch.cat(
        [(v - found["weights"][name]).abs().flatten() for name, v in expected["weights"].items()]
    )
    assert (differences > 1e-6).float().mean() < 1e-3
    assert differences.max() < 1e-3


def test_each_of_two_processes_keeps_its_part(one: Path, two: Path) -> None:
    whole, part = updates(one)["all weights"]["size"], updates(two)["all weights"]["size"]
    assert part == whole / 2 if two.name == "shards" else part == whole


@pytest.mark.parametrize("name", ["training", "adapters"])
def test_a_whole_training_in_two_processes_cut_off_and_gone_on(
    name: str, one: Path, two: Path, start: Path
) -> None:
    lines = curve(two / name)
    assert [line["step"] for line in lines] == [1, 2]  # one process writes the log
    compared = ("entropy", "loss", "gradient_norm", "invalid_rate", "episode_reward", "pass_at_2")
    for expected, line in zip(curve(one / name), lines, strict=True):
        assert {n: line[n] for n in compared} == pytest.approx(
            {n: expected[n] for n in compared}, rel=1e-3, abs=1e-4
        )
    expected, found, before = (
        load_file(folder / "model.safetensors")
        for folder in (one / name / "policy", two / name / "policy", start)
    )
    assert expected.keys() == found.keys()
    assert all(torch.allclose(value, found[key], atol=5e-4) for key, value in expected.items())
    assert any(not torch.allclose(value, found[key], atol=1e-4) for key, value in before.items())
    assert (two / name / "policy" / "adapter").exists() == (name == "adapters")


def test_one_process_goes_on_from_the_checkpoint_of_two(two: Path, start: Path) -> None:
    content = torch.load(two / "training" / "checkpoint.pt", weights_only=False)
    assert content["state"] == {"step": 2}
    states = content["optimizers"][0]["state"].values()
    assert all(type(state["exp_avg"]) is torch.Tensor for state in states)
    policy = load_file(two / "training" / "policy" / "model.safetensors")
    again = load_file(train(settings(start), spread, two / "training") / "model.safetensors")
    assert all(torch.equal(value, policy[key]) for key, value in again.items())


# Without a second process ------------------------------------------------------------------------


def test_shares_are_whole_trials_of_about_as_many_tokens() -> None:
    rows = some_rows()
    part = list(range(len(rows)))
    shares = [Processes(rank, 3).rows_of(rows, part) for rank in range(3)]
    assert sorted(index for share in shares for index in share) == part
    trials = [{rows[index].trial for index in share} for share in shares]
    assert sum(map(len, trials)) == len(set().union(*trials)) == 7
    tokens = [sum(len(rows[i].prompt) + len(rows[i].tokens) for i in share) for share in shares]
    assert max(tokens) < 1.5 * min(tokens)
    tasks = [Processes(rank, 3).share(range(8)) for rank in range(3)]
    assert [list(share) for share in tasks] == [[0, 1], [2, 3, 4], [5, 6, 7]]


@pytest.mark.parametrize(
    ("variable", "fault"),
    [
        ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed is not supported"),
        ("FSDP_OFFLOAD_PARAMS", "Set fsdp_offload_params to false"),
    ],
)
def test_what_a_launcher_wants_and_is_not_there_is_one_clear_line(
    variable: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv(variable, "true")
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    with pytest.raises(SettingError, match=fault):
        Processes.join(torch.device("cpu"))


def test_of_what_is_put_together_only_the_main_process_keeps_a_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        mesh = torch.distributed.init_device_mesh("cpu", (1,))
        sharded = distribute_tensor(torch.arange(4.0), mesh, [Shard(0)])
        held = {"weights": [sharded], "step": torch.tensor(3.0), "name": "x"}
        assert whole_on_main(held)["weights"][0].tolist() == [0, 1, 2, 3]
        assert type(own(sharded)) is torch.Tensor
        monkeypatch.setattr(torch.distributed, "get_rank", lambda *group: 1)
        dropped = whole_on_main(held)
        assert dropped["weights"][0].numel() == 0
        assert (dropped["step"].item(), dropped["name"]) == (3.0, "x")
        assert whole(held)["weights"][0].tolist() == [0, 1, 2, 3]
    finally:
        torch.distributed.destroy_process_group()
