"""The update: the clipped loss by hand, and what must not change a gradient."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

import torch

from baselines.training.credit import Credit
from baselines.training.grpo import GrpoSettings
from baselines.training.lamer import LamerSettings
from baselines.training.loop import clipped_loss, make_optimizer, minibatches, plans, update
from baselines.training.policy import Policy
from baselines.training.ppo import PpoSettings
from baselines.training.rollouts import Row, roll_out
from tests.baselines.tiny import ENVIRONMENT, tiny_start


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_start(tmp_path_factory.mktemp("tiny") / "start")


def some_rows(start: Path) -> list[Row]:
    """Actions and reflections of eight trials of two attempts."""
    settings = LamerSettings(
        str(start), environments=(ENVIRONMENT,), tasks=2, episodes=2, episodes_per_task=8
    )
    writer = Policy.load(start).writer()
    return roll_out(writer, plans(settings, 0), references={"vault-easy": ENVIRONMENT}).rows


def test_the_clipped_loss_by_hand() -> None:
    # ratios 1.5, 1.5, 0.5, 0.5 with a clip of 0.2: a gain is cut at 1.2, a loss is not; the other
    # way round below 1
    difference = torch.tensor([1.5, 1.5, 0.5, 0.5]).log()
    loss = clipped_loss(difference, torch.tensor([2.0, -2.0, 2.0, -2.0]), clip=0.2)
    assert loss.tolist() == pytest.approx([-2.4, 3.0, -1.0, 1.6])


def test_outside_the_clip_range_nothing_pulls_further() -> None:
    difference = torch.tensor([math.log(1.5), math.log(0.5), 0.0], requires_grad=True)
    clipped_loss(difference, torch.tensor([1.0, -1.0, 3.0]), clip=0.2).sum().backward()
    assert difference.grad is not None
    assert difference.grad.tolist() == pytest.approx([0.0, 0.0, -3.0])


def test_minibatches_hold_whole_trials_and_every_row_once() -> None:
    rows = [Row(trial, 0, 0, "act", "", [1], [2], [0.0]) for trial in [0, 1, 2, 3, 4, 0, 1, 2, 0]]
    parts = minibatches(rows, 3, random.Random(0))
    assert sorted(index for part in parts for index in part) == list(range(9))
    trials = [{rows[index].trial for index in part} for part in parts]
    assert sum(map(len, trials)) == len(set().union(*trials)) == 5
    assert parts == minibatches(rows, 3, random.Random(0)) != minibatches(rows, 3, random.Random(1))
    assert len(minibatches(rows, 20, random.Random(0))) == 5


def gradients(start: Path, rows: list[Row], credited: Credit, **given: Any) -> list[torch.Tensor]:
    """Of one minibatch with all rows."""
    settings_class = PpoSettings if credited.value_targets is not None else GrpoSettings
    settings = settings_class(str(start), minibatches=1, gradient_clip=1e6, **given)
    policy = Policy.load(start, value_head=settings.has_values)
    update(policy, make_optimizer(policy, settings), rows, credited, settings, step=0)
    return [parameter.grad for parameter in policy.parameters() if parameter.grad is not None]


def alike(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return len(some) == len(others) and all(
        torch.allclose(one, other, atol=1e-6) for one, other in zip(some, others, strict=True)
    )


@pytest.mark.parametrize("has_values", [False, True])
def test_what_is_evaluated_at_once_does_not_matter(
    has_values: bool, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = some_rows(start)
    values = np.linspace(-1.0, 1.0, len(rows))
    credited = Credit(values, values[::-1].copy() if has_values else None)
    together = gradients(start, rows, credited)
    cut = Policy.batches

    def one_by_one(self: Policy, rows: list[Row], indices: list[int]) -> list[list[int]]:
        return [[index] for batch in cut(self, rows, indices) for index in batch]

    monkeypatch.setattr(Policy, "batches", one_by_one)
    assert alike(gradients(start, rows, credited), together)


def test_rows_of_advantage_0_pull_at_nothing_but_the_entropy(start: Path) -> None:
    rows = some_rows(start)
    advantages = np.linspace(-1.0, 1.0, len(rows))
    advantages[::2] = 0.0
    credited = Credit(advantages)
    other = [
        replace(row, tokens=row.tokens[::-1]) if i % 2 == 0 else row for i, row in enumerate(rows)
    ]
    without = gradients(start, rows, credited, entropy_bonus=0.0)
    assert alike(without, gradients(start, other, credited, entropy_bonus=0.0))
    assert not alike(without, gradients(start, rows, credited, entropy_bonus=0.1))


def test_the_gradient_of_the_first_minibatch_is_the_policy_gradient(start: Path) -> None:
    rows = some_rows(start)
    advantages = np.linspace(-1.0, 1.0, len(rows))
    found = gradients(start, rows, Credit(advantages), entropy_bonus=0.0)
    policy = Policy.load(start)
    lengths = torch.tensor([len(row.tokens) for row in rows])
    weights = torch.tensor(advantages, dtype=torch.float32).repeat_interleave(lengths)
    (-(weights * policy.evaluate(rows).log_probabilities).mean()).backward()
    assert alike(found, [parameter.grad for parameter in policy.parameters()])


@pytest.mark.parametrize("temperature", [0.4, 1.0])
def test_probabilities_are_those_that_answers_were_drawn_with(
    start: Path, temperature: float
) -> None:
    settings = LamerSettings(
        str(start), environments=(ENVIRONMENT,), tasks=1, episodes=2, episodes_per_task=8
    )
    policy = Policy.load(start, temperature=temperature)
    rows = roll_out(
        policy.writer(), plans(settings, 0), temperature, references={"vault-easy": ENVIRONMENT}
    ).rows
    drawn = torch.tensor([value for row in rows for value in row.log_probabilities])
    assert torch.allclose(policy.evaluate(rows).log_probabilities, drawn, atol=1e-5)
    cooler = Policy.load(start, temperature=temperature / 2)
    assert not torch.allclose(cooler.evaluate(rows).log_probabilities, drawn, atol=1e-2)
