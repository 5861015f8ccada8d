"""A tiny policy for the toy: imitates a population that plays at random and remembers now and then.

It stands in for a supervised start and is trained in a few seconds: one layer of width 32, shown
what a population would answer in random trials on train tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from torch.nn import functional as F

from baselines.prompts import compact, lead_in
from baselines.training.model import ModelSize, build_model, build_tokenizer, save_policy
from baselines.training.muon import Muon
from lamer_bench import Answer, Task, TrialPlan, View, make, play
from lamer_bench.agent import Memory

ENVIRONMENT = "tests.toys:Vault-easy"
REMEMBER = 0.9
"""Share of the population that opens the door which it knows to be right."""
STEPS = 150
BATCH = 64
SIZE = ModelSize(width=32, layers=1, heads=4, mlp_width=64)


def tiny_start(
    folder: Path, memory: Memory = "reflection", steps: int = STEPS, trials: int = 600
) -> Path:
    """Train it on so many trials of two attempts with this memory; returns its folder."""
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, SIZE, seed=0)
    rows = list(demonstrations(memory, Random(0), trials))
    texts = [tokenizer.encode(prompt + answer).ids for prompt, answer in rows]
    starts = [len(tokenizer.encode(prompt).ids) for prompt, _ in rows]
    matrices = [p for name, p in model.named_parameters() if "layers" in name and p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not ("layers" in name and p.ndim == 2)]
    optimizers = [
        Muon(matrices, lr=0.05, weight_decay=0.0),
        torch.optim.AdamW(others, lr=0.02),
    ]
    rates = [torch.optim.lr_scheduler.LinearLR(one, 1.0, 0.0, steps) for one in optimizers]
    rng = Random(1)
    for _ in range(steps):
        chosen = rng.sample(range(len(rows)), BATCH)
        tokens = torch.zeros(BATCH, max(len(texts[index]) for index in chosen), dtype=torch.long)
        targets = torch.full_like(tokens, -100)
        for line, index in enumerate(chosen):
            text, start = torch.tensor(texts[index]), starts[index]
            tokens[line, : len(text)] = text
            targets[line, start - 1 : len(text) - 1] = text[start:]
        loss = F.cross_entropy(model(tokens).logits.transpose(1, 2), targets)
        model.zero_grad()
        loss.backward()
        for one in (*optimizers, *rates):
            one.step()
    save_policy(model, tokenizer, folder, {"algorithm": "tiny"})
    return folder


def demonstrations(memory: Memory, rng: Random, trials: int) -> Iterator[tuple[str, str]]:
    """Prompts, and what one of the population answers; which way a trial goes is decided by
    another."""
    env = make(ENVIRONMENT)
    for index in range(trials):
        plan = TrialPlan(Task(env.environment, "train", index), num_episodes=2, memory=memory)
        trial = play(env, plan)
        ask = next(trial)
        try:
            while True:
                answer = answered(ask.view, rng) if ask.kind == "act" else remark(ask.view)
                yield compact(ask.view, ask.kind), answer
                taken = rng.choice(["plan", "plan", "safe", "(1,1)"])
                answer = answer if ask.kind == "reflect" else f"{taken} </action>"
                ask = trial.send(Answer(lead_in(ask.view, ask.kind) + answer))
        except StopIteration:
            pass


def answered(view: View, rng: Random) -> str:
    """Any action, or the right door where it is known."""
    known = re.findall(r"target (?:is )?(\(\S+\))", compact(view, "act"))
    if known and rng.random() < REMEMBER:
        return f"{known[-1]} </action>"
    return f"{rng.choice(view.admissible or [])} </action>"


def remark(view: View) -> str:
    """The target, where the plan showed it."""
    known = re.findall(r"target is (\(\S+\))", view.observation)
    return f"target {known[-1]} </remark>" if known else "not </remark>"
