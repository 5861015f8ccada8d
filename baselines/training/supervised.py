"""The supervised start: soft targets of a population of players, fresh tasks all the time.

Demonstrations come in chunks, each a function of (seed, chunk index) alone: a killed training goes
on with the very batches that it would have seen.
"""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Literal, NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from baselines.local_model import Device, choose_device
from baselines.training.checkpoint import diverged, load_checkpoint, save_checkpoint
from baselines.training.corrections import Corrected
from baselines.training.demonstrations import (
    LARGEST_BOARD,
    MAPS,
    Batch,
    Population,
    RetryTeacher,
    Rows,
    batches,
    demonstrate,
)
from baselines.training.distributed import launched
from baselines.training.log import TrainingLog
from baselines.training.model import (
    ModelSize,
    add_layers,
    attention_on,
    build_model,
    build_tokenizer,
    load_policy,
    save_policy,
)
from baselines.training.muon import Muon
from baselines.training.settings import Checked
from baselines.training.teachers import TEACHERS
from baselines.training.vocabulary import check_vocabulary
from lamer_bench import make
from lamer_bench.errors import SettingError
from lamer_bench.registry import ENVIRONMENTS
from lamer_bench.task import split_environment_id

MAP_WEIGHT = 10.0
"""Of the mean over cells; 36 cells hold more to learn from than one action."""


@dataclass(frozen=True)
class SupervisedSettings(Checked):
    """Settings of the supervised start."""

    start: str = ""
    """Folder of a policy to go on from; from scratch when empty."""
    environments: dict[str, int] = field(
        default_factory=lambda: {
            "minesweeper-hard": 4,
            "minesweeper-medium": 2,
            "minesweeper-easy": 1,
            "minesweeper-paper": 1,
        }
    )
    """Environment id -> its share of the trials; with "*" for a level, all levels in turn."""
    player: str = ""
    """Folder of a policy that plays the trials in the place of scripted players, so that its own
    mistakes are corrected (DAgger)."""
    player_temperature: float = 0.5
    """Of its sampling."""
    explore: float = 1.0
    """In the player's retries, an answer that failed from the same situation gives way to the
    player's own others where one of them is at least this share as likely, 0..1; 1: never."""
    population: Population = field(default_factory=Population)
    """Who is imitated, as JSON: shares "remember" and "slip", 0..1."""
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
    first_chunk: int = 0
    """Where the demonstrations begin, so that a second stage sees new ones."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the matrix products; weights and sums stay float32. bfloat16 is faster only on processors
    that multiply in it (AMX, AVX-512 BF16) and on GPUs."""
    device: Device = "auto"
    """Where the network is trained; the demonstrations are made on the CPU."""
    workers: int = 0
    """Processes that make demonstrations while the network is trained, one chunk each; with 0 one
    is done after the other."""
    size: ModelSize = field(default_factory=ModelSize)
    """Shape of the network, as JSON; ignored with a start."""
    add_layers: int = 0
    """Layers that the start is made deeper by; at first they do nothing (arXiv 2401.02415)."""
    start_share: float = 0.0
    """Share of the start in the mean of its weights and the trained ones that is the policy, 0..1
    (WiSE-FT, arXiv 2109.01903)."""
    checkpoint_steps: int = 100
    """Steps between checkpoints."""
    seed: int = 0
    """Of the first weights and of the demonstrations' order."""

    def check(self) -> None:
        for name in ("steps", "batch_size", "reflections", "chunk_trials", "checkpoint_steps"):
            self.at_least(name, 1)
        for name in (
            "warmup_steps",
            "workers",
            "first_chunk",
            "weight_decay",
            "player_temperature",
            "add_layers",
        ):
            self.at_least(name, 0)
        for name in ("learning_rate", "muon_rate"):
            self.above(name, 0.0)
        self.within("explore", 0.0, 1.0)
        self.within("start_share", 0.0, 1.0)
        if self.explore < 1.0 and not self.player:
            raise SettingError(
                f"explore is {self.explore}, and there is no player whose retries it is about. "
                "Give a player, or leave explore at 1."
            )
        if self.add_layers and not self.start:
            raise SettingError(
                f"add_layers is {self.add_layers}, and there is no start to add them to. Give a "
                "start, or the number of layers in size."
            )
        if self.start_share and not self.start:
            raise SettingError(
                f"start_share is {self.start_share}, and there is no start. Give a start, or leave "
                "start_share at 0."
            )
        if not self.environments:
            raise SettingError(
                'environments is empty. Name at least one and its share: {"minesweeper-easy": 1}.'
            )
        for name, share in self.environments.items():
            if not (isinstance(share, int) and share >= 1):
                raise SettingError(
                    f"The share of {name} in environments is {share!r}; it must be a whole number, "
                    "1 or more."
                )


def train_supervised(settings: SupervisedSettings, out: str | Path) -> Path:
    """Train, or go on from ``out``'s checkpoint; returns the policy's folder.

    Raises `SettingError` before anything is trained where a setting cannot work, and where a loss,
    a gradient or a weight stops being finite; the last checkpoint is then as it was.
    """
    out = Path(out)
    if launched() > 1:
        raise SettingError(
            f"The supervised start trains in one process, and {launched()} were launched. Start it "
            "without torchrun; --threads says how many cores it uses."
        )
    model, tokenizer = _beginning(settings)
    optimizers = make_optimizers(model, settings)
    state = load_checkpoint(out, settings, model, optimizers)
    step, position = state.get("step", 0), state.get("position", 0)
    chunk = state.get("chunk", settings.first_chunk)
    log = TrainingLog(out, total=settings.steps, resumed_at=step)
    with closing(chunks(settings, chunk, tokenizer)) as upcoming:
        while step < settings.steps:
            made = next(upcoming)
            if not made:
                raise SettingError(
                    f"{settings.chunk_trials} trials do not fill one batch of "
                    f"{settings.batch_size} decisions and {settings.reflections} reflections; "
                    "raise chunk_trials or lower batch_size or reflections."
                )
            for acts, reflections in made[position:]:
                metrics = take_step(model, optimizers, acts, reflections, settings, step)
                step, position = step + 1, position + 1
                log.write(step, metrics)
                if step % settings.checkpoint_steps == 0 or step == settings.steps:
                    if not all(parameter.isfinite().all() for parameter in model.parameters()):
                        raise diverged(settings, step - 1)
                    reached = {"step": step, "chunk": chunk, "position": position}
                    save_checkpoint(out, settings, model, optimizers, reached)
                if step == settings.steps:
                    break
            chunk, position = chunk + 1, 0
    if settings.start_share:
        start, _ = _beginning(settings)
        mix_in(model, start, settings.start_share)
    folder = out / "policy"
    save_policy(model, tokenizer, folder, {"algorithm": "supervised", "settings": settings})
    return folder


def take_step(
    model: LlamaForCausalLM,
    optimizers: Sequence[torch.optim.Optimizer],
    acts: Batch,
    reflections: Batch,
    settings: SupervisedSettings,
    step: int,
) -> dict[str, float]:
    """One update from a batch of decisions and one of reflections; returns what the log shows.

    Raises `SettingError`, the weights as they were, where a loss or the gradient is not finite.
    """
    started = time.perf_counter()
    for optimizer, peak in zip(
        optimizers, (settings.muon_rate, settings.learning_rate), strict=True
    ):
        for group in optimizer.param_groups:
            group["lr"] = peak * schedule(step, settings)
    in_bfloat16 = settings.precision == "bfloat16"
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=in_bfloat16):
        acted = batch_loss(model, acts)
        acted.loss.backward()
        reflected = batch_loss(model, reflections)
        reflected.loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if not torch.stack([acted.loss, reflected.loss, norm]).isfinite().all():
        raise diverged(settings, step)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    num_tokens = acts.tokens.size + reflections.tokens.size
    return {
        "act_loss": acted.divergence.item(),
        "act_accuracy": acted.accuracy.item(),
        "reflect_loss": reflected.divergence.item(),
        "reflect_accuracy": reflected.accuracy.item(),
        "gradient_norm": norm.item(),
        "tokens_per_second": num_tokens / (time.perf_counter() - started),
    }


class BatchLoss(NamedTuple):
    """What one batch teaches."""

    loss: torch.Tensor
    divergence: torch.Tensor
    """Kullback-Leibler divergence from the targets, in nats per token; 0 is perfect."""
    accuracy: torch.Tensor
    """Share of tokens where the likeliest one is a likeliest one of the targets."""


def batch_loss(model: LlamaForCausalLM, batch: Batch) -> BatchLoss:
    """Divergence from the targets over all tokens of the answers, and from the maps if there are
    any."""
    tokens, rows, predictors = (
        torch.from_numpy(x).to(model.device) for x in (batch.tokens, batch.rows, batch.predictors)
    )
    hidden = model.model(tokens, use_cache=False).last_hidden_state
    log_probabilities = F.log_softmax(model.lm_head(hidden[rows, predictors]).float(), dim=-1)
    of, words, shares = (torch.from_numpy(x).to(model.device) for x in batch.targets)
    soft = torch.zeros_like(log_probabilities)  # (N, V)
    soft[of, words] = shares
    divergence = F.kl_div(log_probabilities, soft, reduction="none").sum(-1).mean()
    chosen = soft.gather(1, log_probabilities.argmax(-1, keepdim=True))[:, 0]
    accuracy = (chosen >= soft.max(-1).values - 1e-6).float().mean()
    loss = divergence + MAP_WEIGHT * map_loss(model, hidden, batch)
    return BatchLoss(loss, divergence.detach(), accuracy)


def map_loss(model: LlamaForCausalLM, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Divergence of what is true of each cell, read off its row's pause token; 0 is perfect.

    The head exists in training only: it makes the pause tokens hold what the answer needs.
    """
    maps = torch.from_numpy(batch.maps).to(hidden.device)  # (B, M, R, C)
    is_cell = maps >= 0.0
    truth = maps.clamp(min=0.0)
    pauses = torch.from_numpy(batch.pauses).to(hidden.device)  # (B, R)
    states = hidden[torch.arange(len(pauses), device=hidden.device)[:, None], pauses]  # (B, R, D)
    head = model.get_submodule("map_head")
    logits = head(states).float().unflatten(-1, (MAPS, LARGEST_BOARD)).transpose(1, 2)
    losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    losses = losses - F.binary_cross_entropy(truth, truth, reduction="none")
    return (losses * is_cell).sum() / is_cell.sum().clamp(min=1)


def make_optimizers(
    model: LlamaForCausalLM, settings: SupervisedSettings
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    return [
        Muon(matrices, lr=settings.muon_rate, weight_decay=settings.weight_decay),
        torch.optim.AdamW(others, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, settings: SupervisedSettings) -> float:
    """Linear warm-up, then a linear way down to 2 % of the peak."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    left = (settings.steps - step) / max(1, settings.steps - settings.warmup_steps)
    return max(0.02, left)


@torch.no_grad()
def mix_in(model: LlamaForCausalLM, other: LlamaForCausalLM, share: float) -> None:
    """Make ``share`` of every weight another's, of the same shape."""
    for mine, its in zip(model.parameters(), other.parameters(), strict=True):
        mine.lerp_(its, share)


def levels_of(environment: str) -> list[str]:
    """The environment ids that ``family-*`` stands for; any other id stands for itself."""
    family, level = split_environment_id(environment)
    if level != "*":
        return [environment]
    return [f"{family}-{name}" for name in ENVIRONMENTS.load(family).levels]


def family_of(environment: str) -> str:
    """Whose teacher and vocabulary an environment has; practice levels belong to their family."""
    return make(levels_of(environment)[0]).family.removesuffix("_practice")


def _beginning(settings: SupervisedSettings) -> tuple[LlamaForCausalLM, Tokenizer]:
    """The network before its first step, on its device, with its head for maps; and its
    tokenizer."""
    family = _family(settings)
    if settings.start:
        model, tokenizer = load_policy(settings.start)
        check_vocabulary(tokenizer, [one for e in settings.environments for one in levels_of(e)])
        add_layers(model, settings.add_layers)
    else:
        tokenizer = build_tokenizer(family)
        model = build_model(tokenizer, settings.size, settings.seed)
    device = choose_device(settings.device)
    model.set_attn_implementation(attention_on(device))
    model.map_head = torch.nn.Linear(model.config.hidden_size, MAPS * LARGEST_BOARD)
    for parameter in model.map_head.parameters():
        torch.nn.init.zeros_(parameter)
    return model.to(device), tokenizer  # type: ignore[arg-type]


def _family(settings: SupervisedSettings) -> str:
    """The family whose vocabulary all environments of a training share; raises `SettingError` for
    one without a teacher."""
    families = sorted({family_of(environment) for environment in settings.environments})
    if unknown := [family for family in families if family not in TEACHERS]:
        raise SettingError(
            f"There is no teacher for {' and '.join(unknown)}. The supervised start is for "
            f"environments of {', '.join(TEACHERS)}."
        )
    if len(families) > 1 and "webshop" in families:
        raise SettingError(
            "WebShop has a vocabulary of its own: train it without "
            f"{' and '.join(name for name in families if name != 'webshop')}."
        )
    deaf = [family for family in families if not isinstance(TEACHERS[family], RetryTeacher)]
    if settings.explore < 1.0 and deaf:
        raise SettingError(
            f"explore is {settings.explore}, and in {' and '.join(deaf)} no answer is what an "
            "attempt failed by. Leave explore at 1; it is for sokoban."
        )
    return families[0]


def chunks(
    settings: SupervisedSettings, first: int, tokenizer: Tokenizer
) -> Generator[list[tuple[Batch, Batch]], None, None]:
    """The batches of chunk after chunk, without end; workers are that many chunks ahead.

    Raises `SettingError` where a worker is killed.
    """
    if not settings.workers:
        yield from (_chunk(settings, chunk, tokenizer) for chunk in count(first))
    pool = ProcessPoolExecutor(settings.workers, get_context("spawn"), _end_with_parent)
    ahead: deque[Future[list[tuple[Batch, Batch]]]] = deque()
    try:
        for chunk in count(first):
            ahead.append(pool.submit(_chunk, settings, chunk, tokenizer))
            if len(ahead) > settings.workers:
                yield ahead.popleft().result()
    except BrokenProcessPool as error:
        raise SettingError(
            "A process that makes demonstrations was killed, perhaps for want of memory. Lower "
            f"workers ({settings.workers}); the training goes on from its last checkpoint."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A worker's own thread ends it when the training is killed."""
    torch.set_num_threads(1)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _chunk(
    settings: SupervisedSettings, chunk: int, tokenizer: Tokenizer
) -> list[tuple[Batch, Batch]]:
    """All batches of one chunk, from (settings, chunk) alone."""
    rng = random.Random(f"{settings.seed}/{chunk}")
    environments = [name for name, share in settings.environments.items() for _ in range(share)]
    trials = []
    for index in range(settings.chunk_trials):
        number = chunk * settings.chunk_trials + index
        environment = environments[number % len(environments)]
        levels = levels_of(environment)
        environment = levels[number // len(environments) % len(levels)]
        trials.append((environment, number, TEACHERS[family_of(environment)]))
    if settings.player:
        player = Corrected(
            settings.player, settings.player_temperature, tokenizer, settings.explore
        )
        shown = list(player.demonstrate(trials, settings.population))
    else:
        shown = [d for trial in trials for d in demonstrate(*trial, settings.population, tokenizer)]
    pad = tokenizer.token_to_id("<pad>") or 0
    return batches(shown, pad, Rows(settings.batch_size, settings.reflections), rng)
