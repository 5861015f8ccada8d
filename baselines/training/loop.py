"""The training loop: roll out, credit, update. Every algorithm runs through it.

An algorithm is a function from a rollout to one advantage per row (gigpo.py and its neighbours, a
page each); the rest, rollouts, the clipped loss, checkpoints and logs, is shared.

Budget: all algorithms may play the same number of episodes. `TrainSettings.episodes_per_task` is
the one place that says how many, and the size of a group follows from it: 24 single episodes, or 8
trials of up to 3, which play fewer where they are won earlier.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from baselines.local_model import Device
from baselines.training.advantages import FutureGroup
from baselines.training.chat_policy import ChatPolicy, start_policy
from baselines.training.checkpoint import diverged, load_checkpoint, save_checkpoint
from baselines.training.credit import Credit
from baselines.training.distributed import (
    ALONE,
    FILLER,
    Processes,
    WholeOptimizer,
    own,
    own_device,
    whole,
)
from baselines.training.log import TrainingLog
from baselines.training.policy import Evaluation, Policy, Precision
from baselines.training.returns import ReturnRule
from baselines.training.rollouts import Rollout, Row, roll_out
from baselines.training.served import Server
from baselines.training.settings import Checked
from baselines.training.vocabulary import check_vocabulary
from lamer_bench import Task, TrialPlan, make
from lamer_bench.agent import Memory
from lamer_bench.errors import SettingError

FIRST_TASK = 10_000_000
"""Index of the first train task: beyond those of the demonstrations, so that practice is on new
ones."""


@dataclass(frozen=True)
class TrainSettings(Checked):
    """Settings that all algorithms share."""

    start: str
    """The policy to start from: the folder of a small one (the supervised start), or a folder, an
    adapter or a hub name of any Hugging Face causal language model."""
    environments: tuple[str, ...] = ("minesweeper-easy", "minesweeper-medium")
    """Environment ids (or module:Class-level) whose train tasks are practised, in turn; named twice
    is practised twice as often."""
    steps: int = 100
    """Rollouts, each followed by one pass over its rows."""
    tasks: int = 8
    """Tasks in a rollout."""
    episodes_per_task: int = 24
    """Episodes on each task of a rollout at most, the same for every algorithm; divided by the
    attempts of a trial it is the number of trials: the group."""
    gamma_step: float = 0.95
    """Discount of a turn, 0..1."""
    invalid_penalty: float = 0.0
    """What an answer that is no action costs in training, beside what the environment takes."""
    minibatches: int = 4
    """Optimiser steps for each rollout; one epoch."""
    learning_rate: float = 1e-4
    """Of AdamW; falls linearly to 0 over the steps."""
    clip: float = 0.2
    """PPO's clip range of the probability ratio."""
    entropy_bonus: float = 0.001
    """Weight of the entropy, in nats per token."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient; longer ones are shortened to it."""
    temperature: float = 1.0
    """Of the rollouts' sampling; probabilities are those at this temperature."""
    precision: Precision = "auto"
    """Of the matrix products; trained weights and sums stay float32. auto is bfloat16 for a chat
    model on a GPU that has it, else float32."""
    lora_rank: int = 0
    """Rank of the adapters that are trained (LoRA, arXiv 2106.09685); 0 trains all weights."""
    reference_kl: float = 0.0
    """Weight of the KL divergence to the start, in nats per token (k3 estimator)."""
    micro_batch_tokens: int = 4096
    """Tokens in one forward and backward pass at most, unless one row has more; changes memory and
    speed only."""
    gradient_checkpointing: bool = False
    """Compute activations again for the gradient instead of keeping them: less memory, slower."""
    device: Device = "auto"
    """Where the network is trained, and sampled in rollouts."""
    max_tokens: int = 1024
    """Tokens of a chat model's answer at most."""
    thinking: bool = False
    """Let a chat model reason before its answer where its template offers that."""
    rollout_tokens: int = 32_768
    """Tokens that a chat model holds at a time in a rollout, over all prompts and answers."""
    rollout_url: str = ""
    """A vLLM server that samples a chat model's rollouts, such as http://localhost:8000/v1; it gets
    the adapters (lora_rank) before each. Sampled by the training itself when empty."""
    checkpoint_steps: int = 5
    """Steps between checkpoints."""
    seed: int = 0
    """Of the rollouts' streams and of the minibatches."""

    episodes: ClassVar[int] = 1
    memory: ClassVar[Memory] = "none"
    gamma_traj: ClassVar[float] = 0.0
    return_rule: ClassVar[ReturnRule] = "paper"
    future_group: ClassVar[FutureGroup] = "state"
    compares_groups: ClassVar[bool] = True
    """Whether an advantage is a comparison within a group, which then needs two trials at least."""
    has_values: ClassVar[bool] = False
    """Whether there is a value head."""

    @property
    def trials(self) -> int:
        """Trials on each task: the group."""
        return self.episodes_per_task // self.episodes

    def check(self) -> None:
        for name in ("steps", "tasks", "minibatches", "checkpoint_steps", "episodes"):
            self.at_least(name, 1)
        for name in ("micro_batch_tokens", "max_tokens", "rollout_tokens"):
            self.at_least(name, 1)
        for name in ("gamma_step", "gamma_traj"):
            self.within(name, 0.0, 1.0)
        for name in ("learning_rate", "clip", "gradient_clip", "temperature"):
            self.above(name, 0.0)
        for name in ("entropy_bonus", "invalid_penalty", "lora_rank", "reference_kl"):
            self.at_least(name, 0.0)
        if self.rollout_url and not self.lora_rank:
            raise SettingError(
                "A server at rollout_url gets the weights as adapters. Set lora_rank, to 16 say."
            )
        if not self.environments:
            raise SettingError("environments is empty. Name at least one, as minesweeper-easy.")
        if self.episodes_per_task < self.episodes or self.episodes_per_task % self.episodes:
            raise SettingError(
                f"episodes_per_task is {self.episodes_per_task}, which is no multiple of the "
                f"{self.episodes} attempts of a trial (episodes)."
            )
        if self.compares_groups and self.trials < 2:
            raise SettingError(
                f"episodes_per_task {self.episodes_per_task} with {self.episodes} attempts in a "
                "trial makes groups of one trial, and there is nothing to compare. Give at least "
                f"{2 * self.episodes}, or use ppo."
            )


CreditFunction = Callable[[Rollout, Any], Credit]
"""A rollout and the algorithm's settings -> what the update needs of each row."""


def train(settings: Any, credit: CreditFunction, out: str | Path) -> Path:
    """Train, or go on from ``out``'s checkpoint; returns the folder of the trained policy.

    Raises `SettingError` before anything is trained where a setting cannot work, and where a loss
    or a gradient stops being finite; the last checkpoint is then as it was.
    """
    out = Path(out)
    named = references(settings)  # an unknown environment stops here
    policy = start_policy(settings, own_device(settings.device))
    if not isinstance(policy, ChatPolicy):
        check_vocabulary(policy.tokenizer, named.values())
    processes = Processes.join(policy.device)
    processes.shard(policy)
    optimizer = make_optimizer(policy, settings)
    kept = [WholeOptimizer(optimizer)]
    state = load_checkpoint(out, settings, policy, kept, policy.vocabulary, policy.start)
    first = state.get("step", 0)
    processes.agree("the step to go on from", first)
    server = Server.connect(settings, policy, out, processes) if settings.rollout_url else None
    log = TrainingLog(out, total=settings.steps, resumed_at=first) if processes.is_main else None
    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = group["first_lr"] * (1 - step / settings.steps)
        metrics = train_step(policy, optimizer, settings, credit, step, processes, server)
        if log:
            log.write(step + 1, metrics)
        if (step + 1) % settings.checkpoint_steps == 0 or step + 1 == settings.steps:
            save(out, settings, policy, optimizer, step, processes)
    folder = out / "policy"
    policy.save(folder, training_facts(settings), processes.is_main)
    if server:
        server.forget()
    processes.wait()
    return folder


def save(
    out: Path,
    settings: Any,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    step: int,
    processes: Processes = ALONE,
) -> None:
    """Write the checkpoint after a step; raises `SettingError` where the policy is broken."""
    if processes.some(not all(own(one).isfinite().all() for one in policy.parameters())):
        raise diverged(settings, step)
    save_checkpoint(
        out,
        settings,
        policy,
        [WholeOptimizer(optimizer)],
        {"step": step + 1},
        vocabulary=policy.vocabulary,
        start=policy.start,
        is_main=processes.is_main,
    )


def training_facts(settings: Any) -> dict[str, object]:
    """What is stored with a trained policy."""
    return {
        "algorithm": type(settings).__name__.removesuffix("Settings").lower(),
        "memory": settings.memory,
        "episodes": settings.episodes,
        "trials": settings.trials,
        "settings": settings,
    }


def make_optimizer(policy: Policy, settings: Any) -> torch.optim.Optimizer:
    """AdamW; a value head has its own rate."""
    groups: list[dict[str, Any]] = [
        {"params": policy.body_parameters(), "first_lr": settings.learning_rate}
    ]
    if head := policy.value_parameters():
        groups.append({"params": head, "first_lr": settings.value_learning_rate})
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)


def train_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    settings: Any,
    credit: CreditFunction,
    step: int,
    processes: Processes = ALONE,
    server: Server | None = None,
) -> dict[str, float]:
    """One rollout, by the server if there is one, and the pass over its rows; returns the step's
    metrics."""
    started = time.perf_counter()
    served = server.writer(step) if server else None
    with processes.whole_weights(policy.network):
        rollout = roll_out(
            served or policy.writer(),
            processes.share(plans(settings, step)),
            settings.temperature,
            references=references(settings),
        )
    rolled = time.perf_counter()
    if settings.has_values or processes.some(not all(r.log_probabilities for r in rollout.rows)):
        fill_in(policy, rollout.rows, processes)
    if settings.reference_kl:
        fill_in_reference(policy, rollout.rows, processes)
    rollout = processes.gathered(rollout)
    credited = credit(rollout, settings)
    losses = update(policy, optimizer, rollout.rows, credited, settings, step, processes)
    ended = time.perf_counter()
    num_tokens = sum(len(row.prompt) + len(row.tokens) for row in rollout.rows)
    return {
        **rollout_metrics(rollout, settings.episodes),
        **losses,
        "rollout_seconds": rolled - started,
        "update_seconds": ended - rolled,
        "rollout_share": (rolled - started) / (ended - started),
        "tokens_per_second": num_tokens / (ended - started),
    }


def references(settings: Any) -> dict[str, str]:
    """Environment id -> how the settings name it, in their order."""
    return {make(name).environment: name for name in settings.environments}


def plans(settings: Any, step: int) -> list[TrialPlan]:
    """The trials of one rollout: fresh train tasks, each ``trials`` times."""
    environments = [make(name).environment for name in settings.environments]
    made = []
    for number in range(settings.tasks):
        position = step * settings.tasks + number
        environment = environments[position % len(environments)]
        for repeat in range(settings.trials):
            made.append(
                TrialPlan(
                    Task(environment, "train", FIRST_TASK + position),
                    repeat=repeat,
                    num_episodes=settings.episodes,
                    memory=settings.memory,
                    seed=settings.seed,
                )
            )
    return made


@torch.no_grad()
def fill_in(policy: Policy, rows: Sequence[Row], processes: Processes = ALONE) -> None:
    """Write values and log-probabilities under the present weights into the rows."""
    for indices in processes.in_step(policy.batches(rows, range(len(rows)))):
        batch = [rows[index] for index in indices] or [FILLER]
        evaluation = policy.evaluate(batch)
        values = [0.0] * len(batch) if evaluation.values is None else evaluation.values.tolist()
        split = evaluation.log_probabilities.split([len(row.tokens) for row in batch])
        for row, value, log_probabilities in zip(batch, values, split, strict=True):
            row.value, row.log_probabilities = value, log_probabilities.tolist()


def fill_in_reference(policy: Policy, rows: Sequence[Row], processes: Processes = ALONE) -> None:
    """Write log-probabilities under the policy that training began with into the rows."""
    for indices in processes.in_step(policy.batches(rows, range(len(rows)))):
        batch = [rows[index] for index in indices] or [FILLER]
        split = policy.reference(batch).split([len(row.tokens) for row in batch])
        for row, log_probabilities in zip(batch, split, strict=True):
            row.reference_log_probabilities = log_probabilities.tolist()


def update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    rows: Sequence[Row],
    credited: Credit,
    settings: Any,
    step: int,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """One pass over all rows in minibatches; returns means over the minibatches.

    Of several processes each evaluates its share of a minibatch; the gradients are added up.
    """
    rng = random.Random(f"{settings.seed}/{step}")
    means: dict[str, list[float]] = defaultdict(list)
    for part in minibatches(rows, settings.minibatches, rng):
        optimizer.zero_grad(set_to_none=True)
        num_tokens = sum(len(rows[index].tokens) for index in part)
        totals: dict[str, float] = defaultdict(float)
        for indices in processes.in_step(policy.batches(rows, processes.rows_of(rows, part))):
            if not indices:
                (0.0 * policy.evaluate([FILLER]).total()).backward()
                continue
            batch = [rows[index] for index in indices]
            losses = batch_losses(policy.evaluate(batch), batch, credited, indices, settings)
            objective = losses["loss"] - settings.entropy_bonus * losses["entropy"]
            if "value_loss" in losses:
                # a mean over rows, like the others a mean over tokens
                losses["value_loss"] = losses["value_loss"] * num_tokens / len(part)
                objective = objective + settings.value_weight * losses["value_loss"]
            if settings.reference_kl:
                objective = objective + settings.reference_kl * losses["reference_kl"]
            (objective / num_tokens).backward()
            for name, value in losses.items():
                totals[name] += value.item()
        processes.add_up(totals)
        processes.add_up_gradients(list(policy.parameters()))
        norm = clip_gradients(policy, settings.gradient_clip)
        if not (math.isfinite(norm) and all(map(math.isfinite, totals.values()))):
            raise diverged(settings, step)
        optimizer.step()
        for name, total in totals.items():
            means[name].append(total / num_tokens)
        means["gradient_norm"].append(norm)
    first = {"ratio_error": means["ratio_error"][0]}  # later ones differ because the policy does
    return {name: float(np.mean(values)) for name, values in means.items()} | first


def batch_losses(
    evaluation: Evaluation,
    rows: Sequence[Row],
    credited: Credit,
    indices: Sequence[int],
    settings: Any,
) -> dict[str, torch.Tensor]:
    """Sums over the tokens of some rows, which stand at ``indices`` of the rollout."""
    new = evaluation.log_probabilities  # (N,)
    device = new.device
    old = torch.tensor([p for row in rows for p in row.log_probabilities], device=device)  # (N,)
    lengths = torch.tensor([len(row.tokens) for row in rows], device=device)
    weight = torch.tensor(credited.advantages[indices], dtype=torch.float32, device=device)
    difference = new - old
    loss = clipped_loss(difference, weight.repeat_interleave(lengths), settings.clip)
    losses = {
        "loss": loss.sum(),
        "entropy": evaluation.entropies.sum(),
        "kl": -difference.detach().sum(),
        "ratio_error": (difference.detach().exp() - 1.0).abs().sum(),
        "clip_share": ((difference.detach().exp() - 1.0).abs() > settings.clip).float().sum(),
    }
    if settings.reference_kl:
        start = torch.tensor(
            [p for r in rows for p in r.reference_log_probabilities], device=device
        )
        losses["reference_kl"] = reference_kl(new, start).sum()
    if credited.value_targets is not None and evaluation.values is not None:
        targets = torch.tensor(credited.value_targets[indices], dtype=torch.float32, device=device)
        losses["value_loss"] = (evaluation.values - targets).square().sum()
    return losses


def clipped_loss(difference: torch.Tensor, advantages: torch.Tensor, clip: float) -> torch.Tensor:
    """PPO's clipped surrogate (arXiv 1707.06347, eq. 7), negated: (N,), (N,) -> (N,).

    ``difference``: new minus old log-probability of each token, 0 in a rollout's first minibatch.
    """
    ratio = torch.exp(difference)
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def reference_kl(new: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """The k3 estimator of the KL divergence of the policy from its reference, for tokens that the
    policy sampled: log-probabilities (N,), (N,) -> (N,), 0 and up.

    With r = reference / policy it is r - 1 - ln r: unbiased, and no term is below 0
    (J. Schulman, Approximating KL Divergence, 2020; used in GRPO, arXiv 2402.03300, eq. 4).
    """
    difference = reference - new
    return torch.expm1(difference) - difference


def clip_gradients(policy: Policy, most: float) -> float:
    """Shorten the gradient to the norm ``most``, the value head's apart from the network's, so that
    its first large errors do not shrink the policy's steps; returns the network's norm."""
    norm = whole(torch.nn.utils.clip_grad_norm_(policy.body_parameters(), most))
    if head := policy.value_parameters():
        torch.nn.utils.clip_grad_norm_(head, most)
    return float(norm.item())


def minibatches(rows: Sequence[Row], number: int, rng: random.Random) -> list[list[int]]:
    """Indices of all rows in at most ``number`` parts of whole trials, in an order drawn from
    ``rng``; a trial's prompts have much in common and are cheaper together."""
    trials: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        trials.setdefault(row.trial, []).append(index)
    order = list(trials)
    rng.shuffle(order)
    parts = [order[start::number] for start in range(min(number, len(order)))]
    return [[index for trial in part for index in trials[trial]] for part in parts]


def rollout_metrics(rollout: Rollout, episodes: int) -> dict[str, float]:
    """Success after each attempt, reward of an episode and share of invalid answers, for the
    log."""
    first_wins = [
        next((e.index + 1 for e in trial.episodes if e.end == "won"), episodes + 1)
        for trial in rollout.trials
    ]
    played = [episode for trial in rollout.trials for episode in trial.episodes]
    turns = [turn for episode in played for turn in episode.turns]
    passed = {
        f"pass_at_{k}": float(np.mean([first <= k for first in first_wins]))
        for k in range(1, episodes + 1)
    }
    return {
        **passed,
        "episode_reward": sum(turn.reward for turn in turns) / len(played),
        "invalid_rate": float(np.mean([turn.action is None for turn in turns])),
    }
