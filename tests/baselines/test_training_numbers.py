"""Returns and advantages worked out by hand, and their invariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="torch is in the [train] extra")

from baselines.training.advantages import centred, gigpo
from baselines.training.returns import (
    cross_episode_returns,
    episode_returns,
    reflection_returns,
)

rewards = st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=5), min_size=1, max_size=4)


def test_returns_within_an_episode() -> None:
    assert episode_returns([1.0, 0.0, 2.0], 0.5) == [1.5, 1.0, 2.0]


def test_success_in_the_second_episode_pays_the_first() -> None:
    # g_0 of episode 2 is 0.9 * 10 = 9; episode 1 gets 0.5 * 9 on top of its own -1 -> 3.5
    result = cross_episode_returns([[0.0, -1.0], [0.0, 10.0]], 0.9, 0.5)
    assert result[1] == pytest.approx([9.0, 10.0])
    assert result[0] == pytest.approx([-0.9 + 4.5, -1.0 + 4.5])


def test_a_third_episode_pays_the_first_by_the_square() -> None:
    result = cross_episode_returns([[0.0], [0.0], [8.0]], 1.0, 0.5)
    assert result == [[2.0], [4.0], [8.0]]


def test_the_official_rule_also_shrinks_by_the_rest_of_the_episode() -> None:
    # episode 1 has two turns: at t = 0 the future is shrunk by 0.9^2, at t = 1 by 0.9
    result = cross_episode_returns([[0.0, 0.0], [10.0]], 0.9, 0.5, rule="official")
    assert result[0] == pytest.approx([0.81 * 5.0, 0.9 * 5.0])


def test_without_cross_episode_discount_episodes_are_apart() -> None:
    result = cross_episode_returns([[1.0], [5.0]], 1.0, 0.0)
    assert result == [[1.0], [5.0]]


def test_a_reflection_is_credited_with_the_next_episode() -> None:
    returns = cross_episode_returns([[0.0], [0.0], [8.0]], 1.0, 0.5)
    assert reflection_returns(returns) == [4.0, 8.0]


@given(rewards)
def test_the_paper_rule_equals_its_formula(trial: list[list[float]]) -> None:
    gamma_step, gamma_traj = 0.9, 0.7
    result = cross_episode_returns(trial, gamma_step, gamma_traj)
    for n, episode in enumerate(trial):
        for t in range(len(episode)):
            within = sum(gamma_step ** (i - t) * r for i, r in enumerate(episode) if i >= t)
            future = sum(
                gamma_traj ** (m - n) * sum(gamma_step**i * r for i, r in enumerate(trial[m]))
                for m in range(n + 1, len(trial))
            )
            assert result[n][t] == pytest.approx(within + future, abs=1e-9)


def test_centred_by_hand() -> None:
    result = centred([1.0, 2.0, 6.0, 5.0], ["a", "a", "a", "b"])
    assert result.tolist() == [-2.0, -1.0, 3.0, 0.0]


def test_gigpo_by_hand() -> None:
    # two episodes of one task (rewards 1 and 3), the first row of both on the same board
    result = gigpo(
        episode_rewards=[1.0, 1.0, 3.0],
        returns=[2.0, 9.0, 6.0],
        groups=["task", "task", "task"],
        states=["board", "alone", "board"],
        step_weight=0.5,
    )
    mean = 5.0 / 3.0
    assert result.tolist() == pytest.approx([1 - mean - 1.0, 1 - mean, 3 - mean + 1.0])


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_permutation_of_the_group_permutes_the_advantages(values, rng) -> None:
    keys = [index % 2 for index in range(len(values))]
    order = list(range(len(values)))
    rng.shuffle(order)
    before = centred(values, keys)
    after = centred([values[i] for i in order], [keys[i] for i in order])
    assert np.allclose(after, before[order])


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(-100, 100))
def test_a_constant_shift_of_rewards_changes_nothing(values, shift) -> None:
    keys = [0] * len(values)
    shifted = centred([value + shift for value in values], keys)
    assert np.allclose(shifted, centred(values, keys), atol=1e-9)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8))
def test_groups_of_one_get_nothing(values) -> None:
    assert not centred(values, list(range(len(values)))).any()
