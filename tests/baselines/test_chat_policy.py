"""A chat model in training: what it writes is what it learns, and what must not change an
update."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, CohereConfig, CohereForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from baselines.local_agent import LocalAgent
from baselines.training import chat_policy
from baselines.training.chat_policy import ChatPolicy, check_logits, start_policy
from baselines.training.credit import Credit
from baselines.training.grpo import GrpoSettings
from baselines.training.lamer import LamerSettings, credit, train_lamer
from baselines.training.loop import make_optimizer, plans, train, update
from baselines.training.policy import Policy
from baselines.training.rollouts import Rollout, Row, roll_out
from lamer_bench import Task, TrialPlan, View, make, play
from lamer_bench.errors import AgentError, SettingError
from tests.baselines.tiny_chat import tiny_chat, tiny_model, tiny_tokenizer

ENVIRONMENT = "tests.toys:Vault-easy"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chat(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def rows(start: Path) -> list[Row]:
    """Answers of two tasks' trials."""
    settings = lamer_settings(start)
    policy = start_policy(settings, CPU)
    return roll_out(
        policy.writer(), plans(settings, 0), references={"vault-easy": ENVIRONMENT}
    ).rows


def lamer_settings(start: Path, **given: Any) -> LamerSettings:
    return LamerSettings(
        str(start),
        environments=(ENVIRONMENT,),
        device="cpu",
        steps=2,
        tasks=2,
        episodes=2,
        episodes_per_task=4,
        minibatches=2,
        max_tokens=6,
        learning_rate=1e-3,
        checkpoint_steps=1,
        **given,
    )


def spread(rollout: Rollout, settings: Any) -> Credit:
    """An advantage for each answer: a random model wins nothing that could be compared."""
    return Credit(np.linspace(-1.0, 1.0, len(rollout.rows)))


def first_view(repeat: int = 0) -> View:
    trial = play(make(ENVIRONMENT), TrialPlan(Task("vault-easy", "train", 0), repeat=repeat))
    return next(trial).view


def updated(start: Path, rows: list[Row], **given: Any) -> dict[str, torch.Tensor]:
    """The weights after one pass over the rows."""
    settings = GrpoSettings(str(start), device="cpu", learning_rate=1e-3, **given)
    policy = start_policy(settings, CPU)
    credited = Credit(np.linspace(-1.0, 1.0, len(rows)))
    update(policy, make_optimizer(policy, settings), rows, credited, settings, step=0)
    return policy.state_dict()


def largest_difference(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    assert some.keys() == others.keys()
    return max((value - others[name]).abs().max().item() for name, value in some.items())


# What it is --------------------------------------------------------------------------------------


def test_a_start_is_a_chat_policy_unless_its_tokenizer_is_of_words(start: Path) -> None:
    assert type(start_policy(lamer_settings(start), CPU)) is ChatPolicy
    small = Path(chat_policy.__file__).parents[1] / "weights" / "minesweeper" / "supervised"
    assert type(start_policy(lamer_settings(small), CPU)) is Policy


def test_a_start_that_is_nowhere_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="There is no policy in"):
        start_policy(lamer_settings(tmp_path / "nowhere"), CPU)


def test_an_architecture_with_logits_of_its_own_is_refused() -> None:
    config = CohereConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        logit_scale=0.25,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CohereForCausalLM(config)
    check_logits(model)
    forward = model.forward

    def shifted(*arguments: Any, **given: Any) -> Any:
        output = forward(*arguments, **given)
        output.logits = output.logits.flip(-1)
        return output

    model.forward = shifted
    with pytest.raises(SettingError, match="CohereForCausalLM computes its logits"):
        check_logits(model)


# Rows --------------------------------------------------------------------------------------------


def test_what_was_sampled_is_as_likely_as_the_learner_says(start: Path, rows: list[Row]) -> None:
    policy = start_policy(lamer_settings(start), CPU)
    assert {row.kind for row in rows} == {"act", "reflect"}
    evaluation = policy.evaluate(rows)
    sampled = torch.tensor([value for row in rows for value in row.log_probabilities])
    assert torch.allclose(evaluation.log_probabilities, sampled, atol=1e-4)
    for row, own in zip(
        rows[:4], torch.split(sampled, [len(r.tokens) for r in rows]), strict=False
    ):
        with torch.no_grad():
            logits = policy.model(torch.tensor([row.prompt + row.tokens])).logits[0]
        said = logits.log_softmax(-1)[len(row.prompt) - 1 : -1]
        expected = said.gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
        assert torch.allclose(own, expected, atol=1e-4)


def test_a_row_is_a_chat_prompt_and_ends_with_its_tag_or_its_limit(
    start: Path, rows: list[Row]
) -> None:
    policy = start_policy(lamer_settings(start), CPU)
    text = policy.tokenizer.decode(rows[0].prompt)
    assert text.startswith("<|start|>system")
    assert text.endswith("<|start|>assistant\n<think></think>\n")
    for row in rows:
        ends = row.tokens[-1] == policy.tokenizer.eos_token_id
        assert ends or len(row.tokens) == 6


def test_below_float32_the_learner_says_how_likely_an_answer_was(start: Path) -> None:
    view = first_view()
    for precision, count in (("float32", 1), ("bfloat16", 0)):
        policy = start_policy(lamer_settings(start, precision=precision), CPU)
        written = policy.writer().write([view], "act", 1.0)[0]
        assert bool(written.generation.log_probabilities) == bool(count)
        assert written.generation.tokens


# What must not change an update ------------------------------------------------------------------


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_micro_batches_do_not_change_an_update(
    lora_rank: int, start: Path, rows: list[Row]
) -> None:
    together = updated(start, rows, lora_rank=lora_rank, micro_batch_tokens=1_000_000)
    alone = updated(start, rows, lora_rank=lora_rank, micro_batch_tokens=1)
    assert largest_difference(together, alone) < 1e-5
    before = start_policy(GrpoSettings(str(start), lora_rank=lora_rank), CPU).state_dict()
    assert largest_difference(together, before) > 1e-4


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_computing_activations_again_does_not_change_an_update(
    lora_rank: int, start: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    forward = LlamaMLP.forward

    def counted(self: LlamaMLP, x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return forward(self, x)

    monkeypatch.setattr(LlamaMLP, "forward", counted)
    kept = updated(start, rows, lora_rank=lora_rank)
    once = len(calls)
    again = updated(start, rows, lora_rank=lora_rank, gradient_checkpointing=True)
    assert len(calls) - once > 1.5 * once
    assert largest_difference(kept, again) < 1e-6


# A whole training --------------------------------------------------------------------------------


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_training_ends_with_a_model_that_loads_everywhere(
    lora_rank: int, start: Path, tmp_path: Path
) -> None:
    settings = lamer_settings(start, lora_rank=lora_rank, entropy_bonus=0.1, reference_kl=0.1)
    folder = train_lamer(settings, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(abs(line["ratio_error"]) < 1e-4 for line in lines)
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    trained = load_file(folder / "model.safetensors")
    before = load_file(start / "model.safetensors")
    moved = {name for name, value in trained.items() if not torch.equal(value, before[name])}
    assert "model.layers.0.self_attn.q_proj.weight" in moved
    assert ("model.embed_tokens.weight" in moved) == (lora_rank == 0)
    assert torch.equal(
        dict(loaded.named_parameters())["model.norm.weight"], loaded.model.norm.weight
    )
    agent = LocalAgent(str(folder), device="cpu", max_tokens=4)
    assert agent.memories[0] == "reflection"
    assert agent.act([first_view()])[0].answer_tokens >= 1  # type: ignore[union-attr]
    goes_on = start_policy(lamer_settings(folder), CPU)
    views = [first_view()] * 2
    assert len(goes_on.writer().write(views, "act", 1.0)) == 2


def test_the_weights_are_saved_in_the_starts_own_type(start: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    tokenizer = tiny_tokenizer()
    tiny_model(len(tokenizer)).to(torch.bfloat16).save_pretrained(half)
    tokenizer.save_pretrained(half)
    policy = start_policy(lamer_settings(half), CPU)
    assert {p.dtype for p in policy.parameters()} == {torch.float32}
    policy.save(tmp_path / "out", {})
    saved = load_file(tmp_path / "out" / "model.safetensors")
    assert {value.dtype for value in saved.values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype == torch.bfloat16


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_training_that_is_cut_off_goes_on_as_if_it_were_not(
    lora_rank: int, start: Path, tmp_path: Path
) -> None:
    settings = lamer_settings(start, lora_rank=lora_rank, reference_kl=0.1)
    whole = train(settings, spread, tmp_path / "whole")
    calls: list[int] = []

    def stops(rollout: Rollout, settings: Any) -> Credit:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return spread(rollout, settings)

    with pytest.raises(KeyboardInterrupt):
        train(settings, stops, tmp_path / "cut")
    resumed = train(settings, spread, tmp_path / "cut")
    expected, found = (load_file(f / "model.safetensors") for f in (whole, resumed))
    assert largest_difference(expected, found) < 1e-6
    before = load_file(start / "model.safetensors")
    assert largest_difference(found, before) > 1e-4


def test_another_rank_is_another_training(start: Path, tmp_path: Path) -> None:
    train(replace(lamer_settings(start, lora_rank=4), steps=1), spread, tmp_path)
    with pytest.raises(SettingError, match="lora_rank 4, now 8"):
        train(replace(lamer_settings(start, lora_rank=8), steps=1), spread, tmp_path)


def test_a_prompt_that_is_too_long_ends_a_training_with_its_length(tmp_path: Path) -> None:
    short = tiny_chat(tmp_path / "short", context_tokens=64)
    with pytest.raises(AgentError, match="The prompt has"):
        train(lamer_settings(short), credit, tmp_path / "out")


def test_each_answer_is_drawn_from_its_views_own_stream(start: Path) -> None:
    policy = start_policy(lamer_settings(start), CPU)
    texts = []
    for repeats in ([1, 2], [2, 1]):
        views = [first_view(repeat) for repeat in repeats]
        texts.append([written.answer.text for written in policy.writer().write(views, "act", 1.0)])
    assert texts[0] == texts[1][::-1]
    assert texts[0][0] != texts[0][1]
