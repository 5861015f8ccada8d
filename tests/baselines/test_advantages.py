"""Advantages worked out by hand, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="torch is in the [train] extra")

from baselines.training.advantages import (
    centred,
    cross_episode_advantages,
    generalised_advantages,
    gigpo,
    group_relative,
    leave_one_out,
    normalised,
)
from baselines.training.returns import cross_episode_returns

outcomes = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=8)


def test_leave_one_out_compares_with_the_others() -> None:
    # task a: outcomes 10, 0, 2 -> 10 - 1, 0 - 6, 2 - 5; the first attempt has two rows
    result = leave_one_out([10.0, 10.0, 0.0, 2.0, 7.0], [0, 0, 1, 2, 3], ["a", "a", "a", "a", "b"])
    assert result.tolist() == pytest.approx([9.0, 9.0, -6.0, -3.0, 0.0])


def test_group_relative_divides_by_the_deviation_of_attempts() -> None:
    # outcomes 0, 0, 6: mean 2, variance (4 + 4 + 16) / 3 = 8; rows of the last attempt count once
    arguments = ([0.0, 0.0, 6.0, 6.0], [0, 1, 2, 2], ["a"] * 4)
    deviation = np.sqrt(8.0)
    assert group_relative(*arguments).tolist() == pytest.approx(
        [-2 / deviation, -2 / deviation, 4 / deviation, 4 / deviation]
    )
    assert group_relative(*arguments, divide=False).tolist() == pytest.approx([-2, -2, 4, 4])


def test_gigpo_adds_an_episode_part_and_a_step_part() -> None:
    # episode part: rewards 10 and 0 -> 5, -5; step part: returns 9 and 1 in one state -> 4, -4,
    # and a state that occurs once -> 0
    result = gigpo([10.0, 0.0, 0.0], [9.0, 1.0, 3.0], ["a", "a", "b"], ["s", "s", "t"], 0.5)
    assert result.tolist() == pytest.approx([5.0 + 2.0, -5.0 - 2.0, 0.0])


def test_gigpo_compares_futures_within_groups() -> None:
    # own returns 4, 1 and 1 in one state, mean 2 -> 2, -1, -1; futures 0 and 3 of group a ->
    # -1.5, 1.5; 0 of group b -> 0
    result = gigpo([0.0] * 3, [4.0, 1.0, 1.0], ["a", "a", "b"], ["s"] * 3, 2.0, [0.0, 3.0, 0.0])
    assert result.tolist() == pytest.approx([2.0 * 0.5, 2.0 * 0.5, -2.0])


def test_generalised_advantages() -> None:
    # deltas: 1 + 0.5 * 4 - 2 = 1; 3 - 4 = -1; A_1 = -1, A_0 = 1 + 0.5 * 0.8 * -1 = 0.6
    result = generalised_advantages([1.0, 3.0], [2.0, 4.0], gamma=0.5, gae_lambda=0.8)
    assert result == pytest.approx([0.6, -1.0])


def test_a_value_of_the_next_attempt_pays_the_first() -> None:
    # F_0 = 0.5 * (V_0 of episode 1 + 0.5 * (10 - 4)) = 0.5 * 7 = 3.5; 0 + 3.5 - 1 = 2.5
    result = cross_episode_advantages([[0.0], [10.0]], [[1.0], [4.0]], 1.0, 0.5, 0.5)
    assert result == [pytest.approx([2.5]), pytest.approx([6.0])]


rewards = st.lists(
    st.lists(st.integers(-10, 10).map(float), min_size=1, max_size=4), min_size=1, max_size=3
)


@pytest.mark.parametrize("rule", ["paper", "official"])
@given(trial=rewards)
def test_with_full_trust_in_rewards_it_is_the_return_minus_the_value(rule, trial) -> None:  # type: ignore[no-untyped-def]
    values = [[float(len(episode) - t) for t in range(len(episode))] for episode in trial]
    result = cross_episode_advantages(trial, values, 0.9, 0.7, 1.0, rule)
    returns = cross_episode_returns(trial, 0.9, 0.7, rule)
    for gained, expected, value in zip(result, returns, values, strict=True):
        assert gained == pytest.approx([g - v for g, v in zip(expected, value, strict=True)])


ESTIMATORS = {
    "centred": lambda values: centred(values, ["g"] * len(values)),
    "rloo": lambda values: leave_one_out(values, list(range(len(values))), ["g"] * len(values)),
    "grpo": lambda values: group_relative(values, list(range(len(values))), ["g"] * len(values)),
    "gigpo": lambda values: gigpo(values, values, ["g"] * len(values), ["s"] * len(values)),
    "gigpo, futures": lambda values: gigpo(
        values, values, ["g"] * len(values), ["s"] * len(values), 1.0, values
    ),
}


@pytest.mark.parametrize("name", list(ESTIMATORS))
@given(values=outcomes, shift=st.integers(-100, 100))
def test_a_constant_added_to_all_rewards_changes_nothing(name, values, shift) -> None:  # type: ignore[no-untyped-def]
    plain = ESTIMATORS[name](values)
    shifted = ESTIMATORS[name]([value + shift for value in values])
    assert shifted == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("name", list(ESTIMATORS))
@given(values=outcomes, data=st.data())
def test_the_order_within_a_group_does_not_matter(name, values, data) -> None:  # type: ignore[no-untyped-def]
    order = data.draw(st.permutations(range(len(values))))
    plain = ESTIMATORS[name](values)
    permuted = ESTIMATORS[name]([values[index] for index in order])
    assert permuted == pytest.approx(plain[order], abs=1e-9)


@pytest.mark.parametrize("name", list(ESTIMATORS))
@given(values=outcomes)
def test_advantages_of_a_group_sum_to_zero(name, values) -> None:  # type: ignore[no-untyped-def]
    assert ESTIMATORS[name](values).sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_a_group_of_one_gets_nothing(name) -> None:  # type: ignore[no-untyped-def]
    assert ESTIMATORS[name]([7.0]).tolist() == [0.0]


@given(st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=9))
def test_normalised_advantages_have_mean_0_and_deviation_1_or_are_0(values: list[float]) -> None:
    result = normalised(np.array(values))
    if np.ptp(values) == 0:
        assert not result.any()
    else:
        assert (result.mean(), result.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
