"""The supervised start: soft targets of exact inference, fresh tasks all the time.

Demonstrations come in chunks, each a function of (seed, chunk index) alone: a killed training goes
on with the very batches that it would have seen.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from baselines.prompts import CLOSING_TAGS
from baselines.training.checkpoint import load_checkpoint, save_checkpoint
from baselines.training.demonstrations import Batch, Rows, batches, demonstrate
from baselines.training.log import TrainingLog
from baselines.training.model import (
    LARGEST_BOARD,
    ModelSize,
    build_model,
    build_tokenizer,
    save_policy,
)
from lamer_bench.task import Task

RISK_WEIGHT = 10.0
"""Of the mean over cells; 36 cells hold more to learn from than one action."""


@dataclass(frozen=True)
class SupervisedSettings:
    """Settings of the supervised start."""

    environments: dict[str, int] = field(
        default_factory=lambda: {
            "minesweeper-hard": 4,
            "minesweeper-medium": 2,
            "minesweeper-easy": 1,
            "minesweeper-paper": 1,
        }
    )
    """Environment id -> its share of the trials."""
    steps: int = 3700
    """Optimiser steps."""
    batch_size: int = 128
    """Decisions in a step."""
    reflections: int = 16
    """Reflections in a step."""
    learning_rate: float = 0.003
    """Peak rate of AdamW, which trains embeddings and norms."""
    muon_rate: float = 0.02
    """Peak rate of Muon, which trains the matrices inside the blocks."""
    warmup_steps: int = 50
    """Steps of linear warm-up; afterwards both rates fall linearly."""
    weight_decay: float = 0.01
    """Of the matrices, decoupled."""
    chunk_trials: int = 1500
    """Trials that are demonstrated, shuffled and used together."""
    size: ModelSize = field(default_factory=ModelSize)
    """Shape of the network, as JSON."""
    checkpoint_steps: int = 100
    """Steps between checkpoints."""
    seed: int = 0
    """Of the first weights and of the demonstrations' order."""


def train_supervised(settings: SupervisedSettings, out: str | Path) -> Path:
    """Train from scratch, or go on from ``out``'s checkpoint; returns the policy's folder."""
    out = Path(out)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, settings.size, settings.seed)
    model.risk_head = torch.nn.Linear(settings.size.width, LARGEST_BOARD)
    for parameter in model.risk_head.parameters():
        torch.nn.init.zeros_(parameter)
    optimizers = make_optimizers(model, settings)
    state = load_checkpoint(out, settings, model, optimizers)
    step, chunk, position = state.get("step", 0), state.get("chunk", 0), state.get("position", 0)
    log = TrainingLog(out, total=settings.steps, resumed_at=step)
    close = tokenizer.token_to_id(CLOSING_TAGS["act"])
    while step < settings.steps:
        made = _chunk(settings, chunk, tokenizer)
        for acts, reflections in made[position:]:
            started = time.perf_counter()
            for optimizer, peak in zip(
                optimizers, (settings.muon_rate, settings.learning_rate), strict=True
            ):
                for group in optimizer.param_groups:
                    group["lr"] = peak * schedule(step, settings)
            act_loss, act_accuracy = batch_loss(model, acts, close)
            act_loss.backward()
            reflect_loss, reflect_accuracy = batch_loss(model, reflections, close)
            reflect_loss.backward()
            num_tokens = acts.tokens.size + reflections.tokens.size
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            step, position = step + 1, position + 1
            log.write(
                step,
                {
                    "act_loss": act_loss.item(),
                    "act_accuracy": act_accuracy,
                    "reflect_loss": reflect_loss.item(),
                    "reflect_accuracy": reflect_accuracy,
                    "gradient_norm": norm.item(),
                    "tokens_per_second": num_tokens / (time.perf_counter() - started),
                },
            )
            if step % settings.checkpoint_steps == 0 or step == settings.steps:
                save_checkpoint(
                    out,
                    settings,
                    model,
                    optimizers,
                    {"step": step, "chunk": chunk, "position": position},
                )
            if step == settings.steps:
                break
        chunk, position = chunk + 1, 0
    folder = out / "policy"
    save_policy(model, tokenizer, folder, {"algorithm": "supervised", "settings": settings})
    return folder


def batch_loss(model: LlamaForCausalLM, batch: Batch, close: int) -> tuple[torch.Tensor, float]:
    """Cross-entropy to the teacher, and how often the likeliest token is one of the teacher's."""
    tokens = torch.from_numpy(batch.tokens)
    states = model.model(tokens).last_hidden_state  # (B, T, D)
    hidden = states[:, batch.prompt_length - 1 :]  # (B, A, D)
    log_probabilities = F.log_softmax(model.lm_head(hidden), dim=-1)  # (B, A, V)
    if batch.kind == "reflect":
        targets = torch.tensor(batch.targets)  # (B, A)
        loss = F.nll_loss(log_probabilities.flatten(0, 1), targets.flatten())
        return loss, (log_probabilities.argmax(-1) == targets).float().mean().item()
    soft = torch.zeros_like(log_probabilities[:, 0])
    for row, best in enumerate(batch.targets):
        soft[row, list(best)] = 1.0 / len(best)
    loss = -(soft * log_probabilities[:, 0]).sum(-1).mean()
    # the entropy of the target is a constant: take it off so that 0 is perfect
    loss = loss - float(np.mean([math.log(len(best)) for best in batch.targets]))
    closing = -log_probabilities[:, 1, close].mean()
    chosen = log_probabilities[:, 0].argmax(-1)
    accuracy = (soft.gather(1, chosen[:, None]) > 0).float().mean().item()
    risk = RISK_WEIGHT * risk_loss(model, states, batch)
    return loss + 0.1 * closing + risk, accuracy


def risk_loss(model: LlamaForCausalLM, states: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of each row's mine probabilities, read off that row's pause token; 0 is
    perfect.

    The head exists in training only: it makes the pause tokens hold what the action needs.
    """
    assert batch.risks is not None
    risks = torch.from_numpy(batch.risks)  # (B, R, C)
    end = batch.prompt_length - 1  # the opening tag
    logits = model.risk_head(states[:, end - risks.shape[1] : end])[:, :, : risks.shape[2]]
    entropy = F.binary_cross_entropy(risks, risks)
    return F.binary_cross_entropy_with_logits(logits, risks) - entropy


def make_optimizers(
    model: LlamaForCausalLM, settings: SupervisedSettings
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    return [
        torch.optim.Muon(matrices, lr=settings.muon_rate, weight_decay=settings.weight_decay),
        torch.optim.AdamW(others, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, settings: SupervisedSettings) -> float:
    """Linear warm-up, then a linear way down to 2 % of the peak."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    left = (settings.steps - step) / max(1, settings.steps - settings.warmup_steps)
    return max(0.02, left)


def _chunk(settings: SupervisedSettings, chunk: int, tokenizer) -> list[Batch]:  # type: ignore[no-untyped-def]
    """All batches of one chunk, from (settings, chunk) alone."""
    rng = random.Random(f"{settings.seed}/{chunk}")
    environments = [name for name, share in settings.environments.items() for _ in range(share)]
    shown = []
    for index in range(settings.chunk_trials):
        environment = environments[index % len(environments)]
        number = chunk * settings.chunk_trials + index
        shown += demonstrate(Task(environment, "train", number), tokenizer)
    return batches(shown, tokenizer, Rows(settings.batch_size, settings.reflections), rng)
