"""The training loop: roll out, credit, update. Every algorithm runs through it.

An algorithm is a function from a rollout to one advantage per row (see lamer.py); the rest,
rollouts, the clipped loss, checkpoints and logs, is shared.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from baselines.models import SmallModel
from baselines.training.advantages import Floats
from baselines.training.checkpoint import load_checkpoint, save_checkpoint
from baselines.training.log import TrainingLog
from baselines.training.model import load_policy, save_policy
from baselines.training.rollouts import Rollout, Row, roll_out
from lamer_bench import Task, TrialPlan
from lamer_bench.agent import Memory


@dataclass(frozen=True)
class TrainSettings:
    """Settings that all algorithms share."""

    start: str
    """Folder of the policy to start from (the supervised start)."""
    environments: tuple[str, ...] = ("minesweeper-hard",)
    """Environment ids whose train tasks are practised, in turn."""
    steps: int = 100
    """Rollouts, each followed by one pass over its rows."""
    tasks: int = 8
    """Tasks in a rollout."""
    trials: int = 8
    """Trials on each task: the group."""
    episodes: int = 3
    """Attempts in a trial at most."""
    memory: Memory = "reflection"
    """What an attempt knows of the ones before it."""
    minibatches: int = 4
    """Optimiser steps for each rollout; one epoch."""
    learning_rate: float = 1e-4
    """Of AdamW, constant."""
    clip: float = 0.2
    """PPO's clip range of the probability ratio."""
    entropy_bonus: float = 0.001
    """Weight of the entropy, in nats per token."""
    temperature: float = 1.0
    """Of the rollouts' sampling."""
    checkpoint_steps: int = 5
    """Steps between checkpoints."""
    seed: int = 0
    """Of the rollouts' streams and of the minibatches."""


Credit = Callable[[Rollout, Any], Floats]
"""A rollout and the algorithm's settings -> one advantage for each row (R,)."""


def train(settings: Any, credit: Credit, out: str | Path) -> Path:
    """Train, or go on from ``out``'s checkpoint; returns the folder of the trained policy."""
    out = Path(out)
    model, tokenizer = load_policy(settings.start)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
    )
    state = load_checkpoint(out, settings, model, [optimizer])
    first = state.get("step", 0)
    log = TrainingLog(out, total=settings.steps, resumed_at=first)
    for step in range(first, settings.steps):
        started = time.perf_counter()
        rollout = roll_out(
            numpy_copy(model), tokenizer, plans(settings, step), settings.temperature
        )
        rolled = time.perf_counter()
        advantages = credit(rollout, settings)
        losses = update(model, optimizer, rollout.rows, advantages, settings, step)
        log.write(
            step + 1,
            {
                **rollout_metrics(rollout, settings.episodes),
                **losses,
                "rollout_seconds": rolled - started,
                "update_seconds": time.perf_counter() - rolled,
            },
        )
        if (step + 1) % settings.checkpoint_steps == 0 or step + 1 == settings.steps:
            save_checkpoint(out, settings, model, [optimizer], {"step": step + 1})
    folder = out / "policy"
    algorithm = type(settings).__name__.removesuffix("Settings").lower()
    save_policy(model, tokenizer, folder, {"algorithm": algorithm, "settings": settings})
    return folder


def plans(settings: Any, step: int) -> list[TrialPlan]:
    """The trials of one rollout: fresh train tasks, each ``trials`` times."""
    made = []
    for number in range(settings.tasks):
        position = step * settings.tasks + number
        environment = settings.environments[position % len(settings.environments)]
        for repeat in range(settings.trials):
            made.append(
                TrialPlan(
                    # beyond the tasks that demonstrations use, so that practice is on new ones
                    Task(environment, "train", 10_000_000 + position),
                    repeat=repeat,
                    num_episodes=settings.episodes,
                    memory=settings.memory,
                    seed=settings.seed,
                )
            )
    return made


def numpy_copy(model: LlamaForCausalLM) -> SmallModel:
    """The policy as rollouts use it: float32 NumPy, no torch threads in the way."""
    weights = {
        name: value.detach().numpy()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    return SmallModel(model.config.to_dict(), weights, np.float32)


def update(
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    rows: Sequence[Row],
    advantages: Floats,
    settings: Any,
    step: int,
) -> dict[str, float]:
    """One pass over all rows in minibatches; returns mean losses."""
    order = list(range(len(rows)))
    random.Random(f"{settings.seed}/{step}").shuffle(order)
    sums: dict[str, list[float]] = defaultdict(list)
    for part in np.array_split(np.array(order), settings.minibatches):
        optimizer.zero_grad(set_to_none=True)
        num_tokens = sum(len(rows[index].tokens) for index in part)
        totals = np.zeros(3)
        for same in _same_shape(rows, part):
            tokens = torch.tensor([[*rows[i].prompt, *rows[i].tokens[:-1]] for i in same])
            answers = torch.tensor([rows[i].tokens for i in same])  # (B, A)
            old = torch.tensor([rows[i].log_probabilities for i in same])  # (B, A)
            weight = torch.tensor(advantages[same], dtype=torch.float32)[:, None]  # (B, 1)
            start = len(rows[same[0]].prompt) - 1
            hidden = model.model(tokens).last_hidden_state[:, start:]
            log_probabilities = F.log_softmax(model.lm_head(hidden), dim=-1)
            new = log_probabilities.gather(2, answers[:, :, None])[:, :, 0]
            entropy = -(log_probabilities.exp() * log_probabilities).sum(-1)
            loss = clipped_loss(new, old, weight, settings.clip).sum()
            objective = (loss - settings.entropy_bonus * entropy.sum()) / num_tokens
            objective.backward()
            totals += [loss.item(), entropy.sum().item(), (old - new).sum().item()]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for name, value in zip(("loss", "entropy", "kl"), totals / num_tokens, strict=True):
            sums[name].append(float(value))
        sums["gradient_norm"].append(norm.item())
    return {name: float(np.mean(values)) for name, values in sums.items()}


def clipped_loss(
    new: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, clip: float
) -> torch.Tensor:
    """PPO's clipped surrogate (arXiv 1707.06347, eq. 7), negated, per token: (B, A) -> (B, A)."""
    ratio = torch.exp(new - old)  # one at the first minibatch
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def rollout_metrics(rollout: Rollout, episodes: int) -> dict[str, float]:
    """Success after each attempt, share of invalid answers, and turns, for the log."""
    first_wins = [
        next((e.index + 1 for e in trial.episodes if e.end == "won"), episodes + 1)
        for trial in rollout.trials
    ]
    turns = [turn for trial in rollout.trials for e in trial.episodes for turn in e.turns]
    passed = {
        f"pass_at_{k}": float(np.mean([first <= k for first in first_wins]))
        for k in range(1, episodes + 1)
    }
    return {**passed, "invalid_rate": float(np.mean([turn.action is None for turn in turns]))}


def _same_shape(rows: Sequence[Row], part: Sequence[int], most: int = 128) -> list[list[int]]:
    """Row indices grouped by (prompt length, answer length), at most ``most`` in a group."""
    by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index in part:
        by_shape[len(rows[index].prompt), len(rows[index].tokens)].append(int(index))
    return [
        same[start : start + most]
        for same in by_shape.values()
        for start in range(0, len(same), most)
    ]
