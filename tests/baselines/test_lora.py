"""Adapters: training begins at the start's own policy, changes nothing else, and what it made loads
merged and apart."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")
pytest.importorskip("peft", reason="peft is in the [train] extra")

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from baselines.local_agent import LocalAgent
from baselines.local_model import weights_digest
from baselines.training.chat_policy import ChatPolicy, start_policy
from baselines.training.credit import Credit
from baselines.training.grpo import GrpoSettings
from baselines.training.loop import (
    batch_losses,
    fill_in_reference,
    make_optimizer,
    reference_kl,
    train,
    update,
)
from baselines.training.model import ModelSize, build_model, build_tokenizer, save_policy
from baselines.training.policy import Policy
from baselines.training.ppo import PpoSettings
from baselines.training.rollouts import Row
from lamer_bench.errors import MissingExtraError
from lamer_bench.runner import run
from tests.baselines.test_chat_policy import CPU, first_view, lamer_settings, spread
from tests.baselines.tiny_chat import tiny_chat

SIZE = ModelSize(width=32, layers=2, heads=4, mlp_width=48)
RANK = 4


def small_start(folder: Path) -> Path:
    """A random small policy, whose weights float16 holds exactly."""
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, SIZE, seed=0)
    save_policy(model, tokenizer, folder, {"algorithm": "random"})
    return folder


@pytest.fixture(scope="module", params=["chat", "small"])
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make_start = tiny_chat if request.param == "chat" else small_start
    return make_start(tmp_path_factory.mktemp(request.param))


def settings(start: Path, **given: Any) -> GrpoSettings:
    return GrpoSettings(str(start), device="cpu", learning_rate=1e-2, **given)


def with_adapters(start: Path, **given: Any) -> Policy:
    return start_policy(settings(start, lora_rank=RANK, **given), CPU)


def some_rows() -> list[Row]:
    rows = []
    for trial in range(6):
        prompt = [10 + (3 * trial + place) % 90 for place in range(5 + trial)]
        tokens = [20 + (7 * trial + place) % 90 for place in range(1 + trial % 3)]
        rows.append(Row(trial, 0, 0, "act", "", prompt, tokens, []))
    return rows


def evaluated(policy: Policy) -> list[Row]:
    """Rows that this policy sampled, as far as the loss can tell."""
    rows = some_rows()
    with torch.no_grad():
        values = policy.evaluate(rows).log_probabilities
    for row, own in zip(rows, values.split([len(row.tokens) for row in rows]), strict=True):
        row.log_probabilities = own.tolist()
    return rows


def trained(policy: Policy, chosen: GrpoSettings) -> Policy:
    """After an update that moves it far."""
    rows = evaluated(policy)
    if chosen.reference_kl:
        fill_in_reference(policy, rows)
    optimizer = make_optimizer(policy, chosen)
    update(policy, optimizer, rows, Credit(np.linspace(-1, 1, len(rows))), chosen, step=0)
    return policy


def says(policy: Policy) -> torch.Tensor:
    with torch.no_grad():
        return policy.evaluate(some_rows()).log_probabilities


# The beginning -----------------------------------------------------------------------------------


def test_training_begins_at_the_starts_own_policy(start: Path) -> None:
    plain = start_policy(settings(start), CPU)
    assert torch.equal(says(with_adapters(start)), says(plain))


def test_adapters_come_from_the_seed_and_from_no_global_stream(start: Path) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (with_adapters(start, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())
    down = [value for name, value in first.items() if "lora_A" in name]
    widths = {value.shape[1] for value in down}
    drawn = {w: torch.cat([v.flatten() for v in down if v.shape[1] == w]) for w in widths}
    for width, values in drawn.items():
        assert values.var().item() * width == pytest.approx(1.0, abs=0.4)
    assert all(not value.any() for name, value in first.items() if "lora_B" in name)


def test_every_linear_layer_but_the_output_gets_an_adapter(start: Path) -> None:
    names = with_adapters(start).state_dict()
    assert len(names) == 2 * 2 * 7  # layers, A and B, matrices
    assert {value.shape[0 if "lora_A" in name else 1] for name, value in names.items()} == {RANK}
    assert not any("lm_head" in name or "embed" in name for name in names)


def test_only_adapters_get_gradients_and_change(start: Path) -> None:
    policy = with_adapters(start)
    before = {name: value.clone() for name, value in policy.network.state_dict().items()}
    says(policy)
    policy.evaluate(some_rows()).total().backward()
    with_gradient = {n for n, p in policy.network.named_parameters() if p.grad is not None}
    assert with_gradient == set(policy.state_dict())
    policy.network.zero_grad()
    trained(policy, settings(start, lora_rank=RANK))
    changed = {
        name
        for name, value in policy.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed
    assert all(".lora_" in name for name in changed)


def test_a_value_head_is_trained_beside_them(start: Path) -> None:
    policy = start_policy(PpoSettings(str(start), device="cpu", lora_rank=RANK), CPU)
    assert len(policy.value_parameters()) == 2
    assert "value_head.weight" in policy.state_dict()


def test_without_peft_one_line_says_what_to_do(
    start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"Set lora_rank to 0, or install .*train"):
        with_adapters(start)


# The reference -----------------------------------------------------------------------------------


def test_the_k3_estimator_by_hand() -> None:
    # policy 0.5, reference 0.25: r = 0.5, r - 1 - ln r = -0.5 + ln 2; the other way round 1 - ln 2
    new, reference = torch.tensor([0.5, 0.25, 0.3]).log(), torch.tensor([0.25, 0.5, 0.3]).log()
    expected = [math.log(2.0) - 0.5, 1.0 - math.log(2.0), 0.0]
    assert reference_kl(new, reference).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("lora_rank", [0, RANK])
def test_the_divergence_from_the_start_is_0_at_the_start_and_known_later(
    lora_rank: int, start: Path
) -> None:
    chosen = settings(start, lora_rank=lora_rank, reference_kl=0.1)
    policy = start_policy(chosen, CPU)
    rows = evaluated(policy)
    fill_in_reference(policy, rows)
    indices = list(range(len(rows)))
    credited = Credit(np.zeros(len(rows)))
    losses = batch_losses(policy.evaluate(rows), rows, credited, indices, chosen)
    assert losses["reference_kl"].item() == 0.0
    first = says(policy)
    trained(policy, chosen)
    assert torch.equal(policy.reference(some_rows()), first)
    ratio = (first - says(policy)).double().exp()
    assert (ratio - 1).abs().max() > 0.01
    later = batch_losses(policy.evaluate(rows), rows, credited, indices, chosen)
    assert later["reference_kl"].item() == pytest.approx(
        (ratio - 1 - ratio.log()).sum().item(), rel=1e-3
    )


@pytest.mark.parametrize("lora_rank", [0, RANK])
def test_a_large_weight_keeps_the_policy_at_its_start(lora_rank: int, start: Path) -> None:
    def distance(weight: float) -> float:
        chosen = settings(
            start, lora_rank=lora_rank, reference_kl=weight, entropy_bonus=0.0, gradient_clip=1e9
        )
        policy = start_policy(chosen, CPU)
        first = says(policy)
        for _ in range(4):
            trained(policy, chosen)
        return (says(policy) - first).abs().mean().item()

    assert distance(100.0) < 0.8 * distance(0.0)


# What it made ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(start: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """The folder of a trained policy, and what that policy said."""
    policy = trained(with_adapters(start), settings(start, lora_rank=RANK))
    folder = tmp_path_factory.mktemp("made") / "policy"
    policy.save(folder, {"memory": "reflection"})
    return folder, says(policy)


def test_the_merged_folder_and_the_adapter_say_what_the_policy_said(
    start: Path, made: tuple[Path, torch.Tensor]
) -> None:
    folder, said = made
    assert not torch.allclose(said, says(start_policy(settings(start), CPU)), atol=0.01)
    rounding = 1e-4 if "chat" in str(start) else 0.02  # a small policy's weights become float16
    merged = start_policy(settings(folder), CPU)
    assert torch.allclose(says(merged), said, atol=rounding)
    apart = start_policy(settings(folder / "adapter"), CPU)
    assert torch.allclose(says(apart), said, atol=1e-4)
    assert isinstance(merged, ChatPolicy) == isinstance(apart, ChatPolicy) == ("chat" in str(start))


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft's
def test_peft_and_transformers_load_it_themselves(
    start: Path, made: tuple[Path, torch.Tensor]
) -> None:
    folder, said = made
    theirs = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32), str(folder / "adapter")
    ).eval()
    for row, own in zip(some_rows(), said.split([len(r.tokens) for r in some_rows()]), strict=True):
        with torch.no_grad():
            logits = theirs(torch.tensor([row.prompt + row.tokens])).logits[0]
        values = logits.log_softmax(-1)[len(row.prompt) - 1 : -1]
        expected = values.gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
        assert torch.allclose(own, expected, atol=1e-4)


def test_the_adapter_is_small_and_names_its_base(
    start: Path, made: tuple[Path, torch.Tensor]
) -> None:
    folder, _ = made
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert Path(config["base_model_name_or_path"]) == start.resolve()
    assert (config["r"], config["lora_alpha"], config["inference_mode"]) == (RANK, RANK, True)
    tensors = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert len(tensors) == 28
    assert {value.dtype for value in tensors.values()} == {torch.float32}
    assert not any("lora_" in name for name in load_file(folder / "model.safetensors"))


def test_agent_local_plays_with_the_adapter(
    start: Path, made: tuple[Path, torch.Tensor], tmp_path: Path
) -> None:
    folder, _ = made
    texts = []
    for name in (folder / "adapter", start):
        agent = LocalAgent(str(name), device="cpu", dtype="float64", max_tokens=8, temperature=1.0)
        texts.append([agent.act([first_view(r)])[0].text for r in range(4)])  # type: ignore[union-attr]
    assert texts[0] != texts[1]
    options = {"model": str(folder / "adapter"), "device": "cpu", "max_tokens": "3"}
    played = run(
        "local", "tests.toys:Doors-easy", agent_options=options, tasks=1, out=tmp_path / "r"
    )
    stored = played.manifest().settings.agent_settings
    assert stored["weights"] == weights_digest(folder / "adapter") != weights_digest(start)
    assert not any(trial.void for trial in played.trials())


def test_a_training_goes_on_from_an_adapter(
    start: Path, made: tuple[Path, torch.Tensor], tmp_path: Path
) -> None:
    folder, said = made
    chosen = settings(folder / "adapter", lora_rank=RANK)
    assert torch.allclose(says(start_policy(chosen, CPU)), said, atol=1e-4)
    out = train(lamer_settings(folder / "adapter", lora_rank=RANK), spread, tmp_path)
    assert not torch.allclose(says(start_policy(settings(out), CPU)), said, atol=1e-3)
    base = json.loads((out / "adapter" / "adapter_config.json").read_text())
    assert Path(base["base_model_name_or_path"]) == folder / "adapter"
    assert torch.allclose(
        says(start_policy(settings(out / "adapter"), CPU)),
        says(start_policy(settings(out), CPU)),
        atol=1e-4 if "chat" in str(start) else 0.02,
    )
