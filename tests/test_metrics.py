"""Every metric once by hand and once on random inputs, against a slower way to compute it."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamer_bench import metrics
from lamer_bench.errors import SettingError

WINS = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=5
    )
)
SEQUENCES = st.lists(
    st.lists(st.sampled_from(["a", "b", None]), max_size=5), min_size=1, max_size=6
)
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=30)


# Sequential pass@k -------------------------------------------------------------------------------


def test_sequential_pass_counts_a_trial_from_its_winning_episode_on():
    won = [[True, False, False], [False, False, True], [False, True, False], [False, False, False]]
    assert [metrics.sequential_pass_at_k(won, k) for k in (1, 2, 3)] == [0.25, 0.5, 0.75]


@given(WINS)
def test_sequential_pass_never_falls_with_k_and_equals_counting(won):
    width = len(won[0])
    values = [metrics.sequential_pass_at_k(won, k) for k in range(1, width + 1)]
    assert values == sorted(values)
    assert values == [sum(any(row[:k]) for row in won) / len(won) for k in range(1, width + 1)]


@pytest.mark.parametrize("k", [0, 4, -1])
def test_sequential_pass_refuses_a_k_that_was_not_played(k):
    with pytest.raises(SettingError, match="k from 1 to the 3 episodes"):
        metrics.sequential_pass_at_k([[True, False, False]], k)


def test_wins_without_a_trial_are_refused():
    with pytest.raises(SettingError, match="num_repeats"):
        metrics.sequential_pass_at_k([], 1)


# Independent pass@k ------------------------------------------------------------------------------


def test_independent_pass_worked_out_by_hand():
    # one win among 4 attempts: 3 of their 6 pairs hold no win, C(3, 2) / C(4, 2) = 1/2
    assert metrics.independent_pass_at_k(1, 4, 2) == pytest.approx(0.5)
    assert metrics.independent_pass_at_k(2, 4, 2) == pytest.approx(5 / 6)
    assert metrics.independent_pass_at_k(1, 4, 1) == pytest.approx(0.25)
    assert metrics.independent_pass_at_k(0, 4, 4) == 0.0
    assert metrics.independent_pass_at_k(1, 4, 4) == 1.0


@given(st.integers(1, 7), st.data())
def test_independent_pass_is_the_share_of_subsets_with_a_win(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    attempts = [True] * c + [False] * (n - c)
    subsets = [any(subset) for subset in combinations(attempts, k)]
    assert metrics.independent_pass_at_k(c, n, k) == pytest.approx(sum(subsets) / len(subsets))


@given(st.floats(0, 1), st.integers(1, 5), st.data())
def test_independent_pass_is_unbiased(share, n, data):
    """The expectation over all outcomes of n attempts is the true 1 - (1 - p)^k."""
    k = data.draw(st.integers(1, n))
    expectation = sum(
        math.prod(share if win else 1 - share for win in outcome)
        * metrics.independent_pass_at_k(sum(outcome), n, k)
        for outcome in product([True, False], repeat=n)
    )
    assert expectation == pytest.approx(1 - (1 - share) ** k, abs=1e-9)


def test_independent_pass_refuses_too_few_episodes_and_says_what_to_do():
    with pytest.raises(SettingError, match=r"pass@3 needs at least 3 .* not 2\. Ask for more"):
        metrics.independent_pass_at_k(1, 2, 3)


@pytest.mark.parametrize(("c", "n", "k"), [(3, 2, 1), (-1, 2, 1), (1, 2, 0)])
def test_independent_pass_refuses_impossible_counts(c, n, k):
    with pytest.raises(SettingError):
        metrics.independent_pass_at_k(c, n, k)


# Gain and conditional success --------------------------------------------------------------------


def test_gain_is_a_difference_task_by_task():
    gain = metrics.adaptation_gain([1.0, 0.5, 0.0], [0.25, 0.5, 1.0])
    assert gain.tolist() == [0.75, 0.0, -1.0]


@given(SHARES)
def test_gain_over_itself_is_nothing_and_stays_in_range(shares):
    assert not metrics.adaptation_gain(shares, shares).any()
    gain = metrics.adaptation_gain(shares, shares[::-1])
    assert (np.abs(gain) <= 1).all()


def test_gain_refuses_different_tasks():
    with pytest.raises(SettingError, match="same tasks"):
        metrics.adaptation_gain([1.0], [1.0, 0.0])


def test_conditional_success_by_hand():
    won = [[True, False, False], [False, True, False], [False, False, False], [False, False, True]]
    # episode 1: 1 of 4; episode 2: 1 of the 3 that lost the first; episode 3: 1 of 2
    assert metrics.conditional_success(won).tolist() == [1 / 4, 1 / 3, 1 / 2]


def test_conditional_success_is_missing_where_nobody_came():
    values = metrics.conditional_success([[True, False]])
    assert values[0] == 1.0
    assert np.isnan(values[1])


@given(WINS)
def test_conditional_successes_multiply_up_to_pass_at_k(won):
    """P(lost all k) = product of P(lose j | lost before)."""
    values = np.nan_to_num(metrics.conditional_success(won), nan=0.0)
    k = len(won[0])
    assert 1 - np.prod(1 - values) == pytest.approx(metrics.sequential_pass_at_k(won, k))


# Return, invalid rate, coverage ------------------------------------------------------------------


def test_returns_by_hand():
    returns = metrics.trial_returns([[1.0, -1.0], [1.0, 1.0, 10.0], [0.5]])
    assert returns == metrics.Returns(best=12.0, last=0.5, first=0.0)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=4), min_size=1, max_size=4))
def test_the_best_return_is_at_least_the_others(rewards):
    returns = metrics.trial_returns(rewards)
    assert returns.best >= max(returns.last, returns.first)


def test_a_trial_without_episodes_has_no_return():
    with pytest.raises(SettingError):
        metrics.trial_returns([])


def test_invalid_rate_by_hand():
    assert metrics.invalid_rate(["a", None, "b", None]) == 0.5
    assert math.isnan(metrics.invalid_rate([]))


@given(st.lists(st.sampled_from(["a", None]), min_size=1))
def test_invalid_and_valid_answers_are_all_answers(actions):
    valid = sum(action is not None for action in actions)
    assert metrics.invalid_rate(actions) * len(actions) + valid == pytest.approx(len(actions))


def test_state_coverage_by_hand():
    assert metrics.state_coverage(["x", "y", "x", "x"]) == 0.5
    assert math.isnan(metrics.state_coverage([]))


@given(st.lists(st.integers(0, 3), min_size=1))
def test_state_coverage_is_full_only_without_repetition(observations):
    coverage = metrics.state_coverage(observations)
    assert 0 < coverage <= 1
    assert (coverage == 1) == (len(set(observations)) == len(observations))


# Diversity ---------------------------------------------------------------------------------------


def test_trajectory_entropy_by_hand():
    sequences = [["a"], ["a"], ["b"], ["c", "d"]]
    # shares 1/2, 1/4, 1/4
    expected = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert metrics.trajectory_entropy(sequences) == pytest.approx(expected)
    assert metrics.miller_madow_entropy(sequences) == pytest.approx(expected + 2 / 8)
    assert metrics.distinct_share(sequences) == 0.75


@given(SEQUENCES)
def test_entropy_lies_between_nothing_and_ln_m(sequences):
    m = len(sequences)
    entropy = metrics.trajectory_entropy(sequences)
    assert -1e-12 <= entropy <= math.log(m) + 1e-12
    assert entropy <= metrics.miller_madow_entropy(sequences) < math.log(m) + 0.5 + 1e-12
    assert 1 / m <= metrics.distinct_share(sequences) <= 1
    assert (metrics.distinct_share(sequences) == 1) == math.isclose(
        entropy, math.log(m), abs_tol=1e-9
    )


@given(SEQUENCES, st.randoms())
def test_diversity_does_not_depend_on_the_order_of_the_episodes(sequences, random):
    shuffled = random.sample(sequences, len(sequences))
    for metric in (
        metrics.trajectory_entropy,
        metrics.distinct_share,
        metrics.edit_diversity,
    ):
        assert metric(shuffled) == pytest.approx(metric(sequences), nan_ok=True)


@pytest.mark.parametrize(
    "metric", [metrics.trajectory_entropy, metrics.miller_madow_entropy, metrics.distinct_share]
)
def test_diversity_of_nothing_is_refused(metric):
    with pytest.raises(SettingError, match="at least one"):
        metric([])


def test_an_invalid_answer_and_an_action_are_different_sequences():
    assert metrics.trajectory_entropy([["a"], [None]]) == pytest.approx(math.log(2))


def test_edit_diversity_by_hand():
    # distances 0 (aa, aa), 1/2 (aa, ab), 1/2 (aa, ab)
    assert metrics.edit_diversity(["aa", "aa", "ab"]) == pytest.approx(1 / 3)
    assert math.isnan(metrics.edit_diversity([["a"]]))


@given(SEQUENCES.filter(lambda sequences: len(sequences) > 1))
def test_edit_diversity_is_the_mean_over_all_pairs(sequences):
    pairs = [metrics.edit_distance(a, b) for a, b in combinations(sequences, 2)]
    assert metrics.edit_diversity(sequences) == pytest.approx(sum(pairs) / len(pairs))


def test_within_trial_novelty_by_hand():
    # attempt 2 repeats attempt 1; attempt 3 is 1 edit of 2 away from it
    novelty = metrics.within_trial_novelty(["ab", "ab", "ac"])
    assert novelty == metrics.Novelty(share=0.5, distance=0.25)
    assert math.isnan(metrics.within_trial_novelty(["ab"]).share)


@given(SEQUENCES.filter(lambda sequences: len(sequences) > 1))
def test_novelty_is_none_for_copies_and_full_for_all_different(sequences):
    novelty = metrics.within_trial_novelty(sequences)
    assert 0 <= novelty.distance <= novelty.share <= 1
    assert (novelty.share == 1) == (metrics.distinct_share(sequences) == 1)
    assert metrics.within_trial_novelty([sequences[0]] * 3) == metrics.Novelty(0.0, 0.0)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("", "", 0), ("ab", "ba", 2)],
)
def test_levenshtein_of_known_pairs(a, b, distance):
    assert metrics.levenshtein(a, b) == distance


@given(st.text("abc", max_size=80), st.text("abc", max_size=80))
@settings(max_examples=200)
def test_levenshtein_equals_the_textbook_table(a, b):
    assert metrics.levenshtein(a, b) == _textbook_levenshtein(a, b)
    assert metrics.levenshtein(b, a) == metrics.levenshtein(a, b)


def _textbook_levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


# Intervals ---------------------------------------------------------------------------------------


def test_bootstrap_of_two_tasks_by_hand():
    """Resampled means of (0, 1) are 0, 1/2 and 1 with 1/4, 1/2 and 1/4: both ends are reached."""
    assert metrics.bootstrap_interval([0.0, 1.0]) == (0.0, 1.0)
    assert metrics.bootstrap_interval([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0.3))


def test_bootstrap_equals_the_exact_distribution_of_resampled_means():
    """The mean of 20 draws from ten zeros and ten ones is Binomial(20, 1/2) / 20."""
    low, high = metrics.bootstrap_interval([0.0] * 10 + [1.0] * 10)
    cumulative = np.cumsum([math.comb(20, i) / 2**20 for i in range(21)])
    assert low == np.searchsorted(cumulative, 0.025) / 20
    assert high == np.searchsorted(cumulative, 0.975) / 20


def test_bootstrap_chunks_do_not_change_the_result(monkeypatch):
    values = np.linspace(0, 1, 37)
    whole = metrics.bootstrap_interval(values, seed=5)
    monkeypatch.setattr(metrics, "_MOST_KEPT", 1000)
    assert metrics.bootstrap_interval(values, seed=5) == pytest.approx(whole, abs=1e-12)


@given(SHARES, st.integers(0, 100))
@settings(max_examples=20)
def test_bootstrap_is_reproducible_and_stays_within_the_values(values, seed):
    low, high = metrics.bootstrap_interval(values, seed=seed, resamples=500)
    assert (low, high) == metrics.bootstrap_interval(values, seed=seed, resamples=500)
    assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12


def test_one_task_has_no_bootstrap_interval():
    assert np.isnan(metrics.bootstrap_interval([0.5])).all()
    assert np.isnan(metrics.bootstrap_interval([])).all()


def test_a_bootstrap_over_a_table_is_refused():
    with pytest.raises(SettingError, match="one value for each task"):
        metrics.bootstrap_interval([[0.0, 1.0]])


def test_wilson_by_hand():
    """5 of 10: centre 1/2, half width z sqrt(1/40 + z²/400) / (1 + z²/10)."""
    z = 1.959964
    half = z * math.sqrt(1 / 40 + z * z / 400) / (1 + z * z / 10)
    assert metrics.wilson_interval(5, 10) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)
    assert metrics.wilson_interval(0, 10) == pytest.approx((0.0, z * z / (10 + z * z)), abs=1e-6)
    assert np.isnan(metrics.wilson_interval(0, 0)).all()


@given(st.integers(1, 300), st.data())
def test_wilson_ends_solve_the_score_equation(n, data):
    """At either end e, (p - e)² = z² e (1 - e) / n, which is what the interval is derived from."""
    c = data.draw(st.integers(0, n))
    low, high = metrics.wilson_interval(c, n)
    assert 0 <= low <= c / n <= high <= 1
    for end in (low, high):
        gap = (c / n - end) ** 2
        assert gap == pytest.approx(1.959964**2 * end * (1 - end) / n, abs=1e-6)


def test_wilson_refuses_more_wins_than_trials():
    with pytest.raises(SettingError):
        metrics.wilson_interval(3, 2)


# Comparison --------------------------------------------------------------------------------------


def test_mcnemar_by_hand():
    a, b = [1, 1, 1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1, 1, 0]
    # 5 against 1: 2 (C(6,0) + C(6,1)) / 64
    assert metrics.mcnemar_p(a, b) == pytest.approx(14 / 64)
    assert metrics.mcnemar_p([1, 0], [1, 0]) == 1.0
    assert metrics.mcnemar_p([0.5, 1.0], [0.25, 0.5]) == pytest.approx(0.5)
    assert 1 - 2 / 3 > 1 / 3  # as floats
    assert metrics.mcnemar_p([1 - 2 / 3] * 20, [1 / 3] * 20) == 1.0


@given(st.integers(0, 9), st.integers(0, 9))
def test_the_sign_test_counts_outcomes_that_are_as_lopsided(better, worse):
    n = better + worse
    outcomes = [sum(flips) for flips in product([0, 1], repeat=min(n, 12))]
    if n <= 12:
        as_lopsided = [abs(2 * heads - n) >= abs(better - worse) for heads in outcomes]
        expected = sum(as_lopsided) / len(as_lopsided)
        assert metrics.sign_test_p(better, worse) == pytest.approx(expected)
    assert metrics.sign_test_p(better, worse) == metrics.sign_test_p(worse, better)


def test_the_sign_test_of_thousands_of_tasks_is_a_number():
    assert metrics.sign_test_p(0, 2000) == 0.0 or metrics.sign_test_p(0, 2000) < 1e-300
    assert 0 < metrics.sign_test_p(1950, 2050) < 1


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.5: times 4, 3, 2, 1 -> 0.04, 0.06, 0.06, 0.5
    assert metrics.holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert metrics.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_lies_between_nothing_and_bonferroni_and_keeps_the_order(p_values):
    adjusted = metrics.holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, p * len(p_values)) or q == pytest.approx(p)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[i] for i in order] == sorted(adjusted)


# Detectable difference ---------------------------------------------------------------------------


def test_six_tasks_are_the_fewest_that_show_anything():
    """All six must be won by one agent only: 2 / 2^6 = 0.031."""
    assert metrics.smallest_detectable_difference(5) is None
    smallest = metrics.smallest_detectable_difference(6)
    # power: all six tasks discordant and won by the better agent, difference^6 >= 0.8
    assert smallest == math.ceil(1000 * 0.8 ** (1 / 6)) / 1000


def test_power_equals_the_sum_over_all_outcomes():
    n, difference, share = 9, 0.4, 0.5
    better = (1 + difference / share) / 2
    cells = {"a": share * better, "b": share * (1 - better), "tie": 1 - share}
    power = 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            ties = n - a - b
            ways = math.factorial(n) // math.prod(map(math.factorial, (a, b, ties)))
            chance = ways * cells["a"] ** a * cells["b"] ** b * cells["tie"] ** ties
            power += chance * (metrics.sign_test_p(a, b) <= 0.05)
    assert metrics._mcnemar_power(n, difference, share, 0.05) == pytest.approx(power)


def test_more_tasks_show_smaller_differences():
    smallest = [metrics.smallest_detectable_difference(n) for n in (20, 50, 100, 200, 500)]
    assert smallest == sorted(smallest, reverse=True)
    # near the normal approximation 2.80 sqrt(0.5 / 200) = 0.140
    assert smallest[3] == pytest.approx(0.144, abs=0.005)


@given(st.integers(6, 60), st.floats(0.1, 0.9), st.floats(0.5, 0.95))
@settings(max_examples=30, deadline=None)
def test_the_smallest_difference_has_the_power_and_the_next_smaller_has_not(n, share, power):
    smallest = metrics.smallest_detectable_difference(n, discordant_share=share, power=power)
    if smallest is None:
        assert metrics._mcnemar_power(n, 1.0, share, 0.05) < power
        return
    assert metrics._mcnemar_power(n, smallest, share, 0.05) >= power
    assert metrics._mcnemar_power(n, smallest - 0.001, share, 0.05) < power


@pytest.mark.parametrize(
    "setting", [{"num_tasks": 0}, {"num_tasks": 9, "power": 1.0}, {"num_tasks": 9, "alpha": 0.0}]
)
def test_impossible_power_settings_are_refused(setting):
    with pytest.raises(SettingError):
        metrics.smallest_detectable_difference(**setting)
