"""What each algorithm credits the rows of one small rollout with, worked out by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

from baselines.language_agent import Written
from baselines.models import Generation
from baselines.training import gigpo, grpo, lamer, ppo, rloo
from baselines.training.credit import row_table
from baselines.training.gigpo import GigpoSettings
from baselines.training.grpo import GrpoSettings
from baselines.training.lamer import LamerSettings
from baselines.training.ppo import PpoSettings
from baselines.training.rloo import RlooSettings
from baselines.training.rollouts import Rollout, roll_out
from lamer_bench import Answer, Task, TrialPlan, View, make
from tests.toys import Doors

REFERENCES = {"vault-easy": "tests.toys:Vault-easy", "doors-easy": "tests.toys:Doors-easy"}


@dataclass
class Scripted:
    """Answers one question after the other from a queue."""

    answers: deque[str]

    def write(self, views: Sequence[View], kind: str, temperature: float) -> list[Written]:
        texts = [self.answers.popleft() for _ in views]
        return [Written(Answer(text), [7, 8], Generation([9], [-1.0])) for text in texts]


def rollout(plans: list[TrialPlan], answers: list[str]) -> Rollout:
    """``answers`` in the order in which they are asked for: all trials' first, then the second."""
    writer = Scripted(deque(answers))
    played = roll_out(writer, plans, references=REFERENCES)
    assert not writer.answers
    return played


def vault(num_episodes: int, answers: list[str]) -> Rollout:
    """Two trials on the same vault; ``right`` stands for its right door."""
    task = Task("vault-easy", "train", 0)
    env = make(REFERENCES["vault-easy"])
    env.load(task)
    plans = [
        TrialPlan(task, repeat=repeat, num_episodes=num_episodes, memory="reflection")
        for repeat in range(2)
    ]
    [right] = env.solution()
    return rollout(plans, [right if answer == "right" else answer for answer in answers])


@pytest.fixture(scope="module")
def trials() -> Rollout:
    """The first reads the plan (0) and opens the right door (10), the second takes the safe twice
    (2, 2). Rows: two actions, two reflections, two actions.

    With gamma_traj 0.5 the first attempts return 0 + 5 and 2 + 1, the second ones 10 and 2.
    """
    return vault(2, ["plan", "safe", "noted", "nothing", "right", "safe"])


@pytest.fixture(scope="module")
def singles() -> Rollout:
    """One episode each: the right door (10) and the safe (2)."""
    return vault(1, ["right", "safe"])


def settings(**given: Any) -> LamerSettings:
    return LamerSettings("x", episodes=2, gamma_step=0.9, gamma_traj=0.5, **given)


def credited(played: Rollout, **given: Any) -> list[float]:
    return lamer.credit(played, settings(**given)).advantages.tolist()


def test_the_table_of_a_rollout(trials: Rollout) -> None:
    table = row_table(trials, settings())
    assert [row.kind for row in trials.rows] == ["act", "act", "reflect", "reflect", "act", "act"]
    assert table.returns == pytest.approx([5.0, 3.0, 10.0, 2.0, 10.0, 2.0])
    assert table.own_returns == pytest.approx([0.0, 2.0, 10.0, 2.0, 10.0, 2.0])
    assert table.outcomes == table.returns  # episodes of one turn
    assert table.episode_rewards == pytest.approx([0.0, 2.0, 0.0, 0.0, 10.0, 2.0])
    assert table.groups[0] == table.groups[1] != table.groups[2] == table.groups[3]
    assert len({*table.groups}) == 3
    assert len({*table.states}) == 2  # all actions see the same observation; reflections
    assert len({*table.attempts}) == 6


def test_lamer_with_rloo_compares_attempts_of_the_same_index(trials: Rollout) -> None:
    # 5 - 3; 10 - 2 for the reflections and for the second attempts
    expected = [2.0, -2.0, 8.0, -8.0, 8.0, -8.0]
    assert credited(trials, estimator="rloo") == pytest.approx(expected)


def test_lamer_with_grpo(trials: Rollout) -> None:
    assert credited(trials, estimator="grpo") == pytest.approx([1.0, -1.0] * 3)
    undivided = credited(trials, estimator="grpo", divide=False)
    assert undivided == pytest.approx([1.0, -1.0, 4.0, -4.0, 4.0, -4.0])


def test_lamer_with_gigpo(trials: Rollout) -> None:
    # episode part: own rewards 0, 2 -> -1, 1 and 10, 2 -> 4, -4; step part: the returns 5, 3, 10
    # and 2 follow the same observation, mean 5 -> 0, -2, 5, -3; reflections 10, 2 -> 4, -4
    expected = [-1.0, 1.0 - 2.0, 4.0, -4.0, 4.0 + 5.0, -4.0 - 3.0]
    assert credited(trials) == pytest.approx(expected)
    half = [-1.0, 1.0 - 1.0, 2.0, -2.0, 4.0 + 2.5, -4.0 - 1.5]
    assert credited(trials, step_weight=0.5) == pytest.approx(half)


def test_gigpo_may_compare_what_later_attempts_pay_by_attempt(trials: Rollout) -> None:
    # episode part and reflections as above; own returns 0, 2, 10 and 2, mean 3.5 -> -3.5, -1.5,
    # 6.5, -1.5; first attempts are paid 5 and 1 -> 2, -2
    expected = [-1.0 - 3.5 + 2.0, 1.0 - 1.5 - 2.0, 4.0, -4.0, 4.0 + 6.5, -4.0 - 1.5]
    assert credited(trials, future_group="attempt") == pytest.approx(expected)


def test_lamer_with_ppo(trials: Rollout) -> None:
    values = [1.0, 1.0, 3.0, 3.0, 4.0, 4.0]
    for row, value in zip(trials.rows, values, strict=True):
        row.value = value
    result = lamer.credit(trials, settings(estimator="ppo", gae_lambda=0.5, normalise=False))
    # second attempts: 10 - 4, 2 - 4; what a first attempt is paid: 0.5 * (4 + 0.5 * (10 - 4)) = 3.5
    # and 0.5 * (4 + 0.5 * (2 - 4)) = 1.5, so 0 + 3.5 - 1 and 2 + 1.5 - 1; a reflection gets what
    # was reached, 10 and 2, minus its own 3
    assert result.advantages.tolist() == pytest.approx([2.5, 2.5, 7.0, -1.0, 6.0, -2.0])
    assert result.value_targets is not None
    assert result.value_targets.tolist() == pytest.approx([3.5, 3.5, 10.0, 2.0, 10.0, 2.0])
    normal = lamer.credit(trials, settings(estimator="ppo", gae_lambda=0.5)).advantages
    assert (normal.mean(), normal.std()) == (pytest.approx(0.0), pytest.approx(1.0))


def test_without_a_memory_a_row_still_belongs_to_its_own_episode() -> None:
    task = Task("vault-easy", "train", 0)
    env = make(REFERENCES["vault-easy"])
    env.load(task)
    [right] = env.solution()
    played = rollout([TrialPlan(task, num_episodes=2, memory="none")], ["safe", right])
    assert [row.episode for row in played.rows] == [0, 1]
    assert row_table(played, settings()).returns == pytest.approx([2.0 + 0.5 * 10.0, 10.0])


@pytest.mark.parametrize("estimator", lamer.ESTIMATORS)
def test_frozen_reflections_get_nothing_and_actions_the_same(
    trials: Rollout, estimator: lamer.Estimator
) -> None:
    trained = credited(trials, estimator=estimator)
    frozen = credited(trials, estimator=estimator, train_reflections=False)
    assert frozen[2:4] == [0.0, 0.0]
    assert frozen[:2] + frozen[4:] == trained[:2] + trained[4:]


def test_single_episodes(singles: Rollout) -> None:
    # gamma_step does not matter in the first turn; rewards 10 and 2
    assert rloo.credit(singles, RlooSettings("x")).advantages.tolist() == [8.0, -8.0]
    assert grpo.credit(singles, GrpoSettings("x")).advantages.tolist() == [1.0, -1.0]
    assert gigpo.credit(singles, GigpoSettings("x")).advantages.tolist() == [8.0, -8.0]
    singles.rows[0].value = singles.rows[1].value = 1.0
    result = ppo.credit(singles, PpoSettings("x", normalise=False))
    assert result.advantages.tolist() == [9.0, 1.0]
    assert result.value_targets is not None
    assert result.value_targets.tolist() == [10.0, 2.0]


@pytest.mark.parametrize("estimator", lamer.ESTIMATORS)
def test_lamer_of_one_attempt_is_its_estimator(
    singles: Rollout, estimator: lamer.Estimator
) -> None:
    alone = {
        "gigpo": (gigpo, GigpoSettings),
        "grpo": (grpo, GrpoSettings),
        "rloo": (rloo, RlooSettings),
        "ppo": (ppo, PpoSettings),
    }
    module, settings_class = alone[estimator]
    expected = module.credit(singles, settings_class("x")).advantages
    found = lamer.credit(singles, LamerSettings("x", episodes=1, estimator=estimator)).advantages
    assert np.array_equal(found, expected)


def test_an_invalid_answer_costs_its_penalty() -> None:
    # the environment takes 1 for "nonsense"; the training another 0.5
    played = vault(1, ["nonsense", "safe"])
    table = row_table(played, RlooSettings("x", invalid_penalty=0.5))
    assert table.returns == [-1.5, 2.0]
    assert row_table(played, RlooSettings("x")).returns == [-1.0, 2.0]


def test_turns_of_one_attempt_share_its_outcome_and_are_compared_once() -> None:
    # doors: the first trial walks through all three rooms (1 + 1 + 10), the second fails in its
    # second room (1 + 0); gamma_step 0.5: outcomes 1 + 0.5 + 2.5 = 4 and 1
    task = Task("doors-easy", "train", 0)
    env = Doors("easy")
    env.load(task)
    first, second, third = env.solution()
    wrong = next(door for door in ("red", "green") if door != second)
    plans = [TrialPlan(task, repeat=repeat, num_episodes=1, memory="none") for repeat in range(2)]
    played = rollout(plans, [first, first, second, wrong, third])
    table = row_table(played, RlooSettings("x", gamma_step=0.5))
    assert [(row.trial, row.turn) for row in played.rows] == [
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 1),
        (0, 2),
    ]
    assert table.returns == pytest.approx([4.0, 1.0, 6.0, 0.0, 10.0])
    assert table.outcomes == pytest.approx([4.0, 1.0, 4.0, 1.0, 4.0])
    advantages = rloo.credit(played, RlooSettings("x", gamma_step=0.5)).advantages
    assert advantages.tolist() == pytest.approx([3.0, -3.0, 3.0, -3.0, 3.0])
    # GiGPO: rewards 12 and 1 by row: mean (3 * 12 + 2 * 1) / 5 = 7.6; the first room and the second
    # were seen twice, the third once
    result = gigpo.credit(played, GigpoSettings("x", gamma_step=0.5)).advantages
    assert result.tolist() == pytest.approx([4.4 + 1.5, -6.6 - 1.5, 4.4 + 3.0, -6.6 - 3.0, 4.4])
