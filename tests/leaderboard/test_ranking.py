"""Ranks and bands, by hand and by property."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamer_bench import metrics
from leaderboard.entries import Entry, Result
from leaderboard.ranking import Value, paired, table
from tests.leaderboard.conftest import CARD

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def result(environment: str, wins: str) -> Result:
    """A run; ``wins`` says for each task ``.`` lost or the attempt that won."""
    shares = {
        f"{environment}/test/{index}": tuple(
            float(sign != "." and int(sign) <= k) for k in (1, 2, 3)
        )
        for index, sign in enumerate(wins)
    }
    means = [sum(one[k] for one in shares.values()) / len(shares) for k in range(3)]
    numbered = {str(k): mean for k, mean in enumerate(means, start=1)}
    intervals = {
        str(k): [max(0.0, mean - 0.1), mean + 0.1] for k, mean in enumerate(means, start=1)
    }
    scores = {
        "pass_at": numbered,
        "pass_at_ci": intervals,
        "independent_pass_at": numbered,
        "independent_pass_at_ci": intervals,
        "gain": 0.0,
        "gain_ci": [-0.1, 0.1],
        "trajectory_entropy": 0.5,
        "trajectory_entropy_ci": [0.4, 0.6],
        "tokens": {"prompt": 90, "answer": 10},
        "repeats": 1,
        "voids": 0,
        "control_voids": 0,
    }
    return Result(environment, scores, shares, 100)


def entry(identity: int, **wins: str) -> Entry:
    """An entry with a run on each environment."""
    return Entry(
        id=identity,
        digest=f"{identity:064d}",
        state="verified",
        reason="",
        submitter="lab",
        card=CARD,
        memory="none",
        suite="lamer-2",
        submitted_at=WHEN,
        decided_at=WHEN,
        results={name: result(name, text) for name, text in wins.items()},
    )


def test_neighbours_that_differ_enough_have_ranks_of_their_own() -> None:
    best, close, far = entry(1, a="1" * 20), entry(2, a="1" * 18 + ".."), entry(3, a="." * 20)
    rows = table([far, close, best], ["a"])
    assert [(row.entry.id, row.rank) for row in rows] == [(1, 1), (2, 1), (3, 3)]
    # 2 discordant pairs: p = 0.5; 18: 2 / 2^18; Holm over two tests
    assert rows[0].p_next == pytest.approx(0.5)
    assert rows[1].p_next == pytest.approx(2 * 2 / 2**18)
    assert rows[2].p_next is None
    assert rows[0].tokens == 100 / 20


def test_over_environments_it_is_the_mean_and_who_lacks_one_has_no_rank() -> None:
    both = entry(1, a="1" * 10, b="." * 10)
    half = entry(2, a="1" * 10)
    rows = table([half, both], ["a", "b"])
    assert [(row.entry.id, row.rank, row.environments) for row in rows] == [
        (1, 1, ("a", "b")),
        (2, None, ("a",)),
    ]
    mean = rows[0].pass_at[2]
    assert mean is not None
    assert mean.value == 0.5
    # above 0.1 and 0.1: sqrt(0.01 + 0.01) / 2; below 0.1 and 0
    assert mean.high == pytest.approx(0.5 + 0.02**0.5 / 2)
    assert mean.low == pytest.approx(0.5 - 0.1 / 2)


def test_an_interval_over_environments_stays_among_the_shares() -> None:
    best = entry(1, a="1" * 100, b="1" * 100)
    for one in best.results.values():
        one.scores["pass_at_ci"]["3"] = [0.96, 1.0]  # type: ignore[index]
    mean = table([best], ["a", "b"])[0].pass_at[2]
    assert mean is not None
    assert (mean.value, mean.high) == (1.0, 1.0)
    assert mean.low == pytest.approx(1 - (2 * 0.04**2) ** 0.5 / 2)


def test_void_trials_count_against_what_is_shown() -> None:
    """Three tasks: one won, two void; of the controls one lost, two void."""
    one = entry(1, a="1..")
    scores = one.results["a"].scores
    scores |= {  # type: ignore[operator]
        "pass_at": {"1": 1.0, "2": 1.0, "3": 1.0},
        "independent_pass_at": {"1": 0.0, "2": 0.0, "3": 0.0},
        "independent_pass_at_bounds": {str(k): [0.0, 2 / 3] for k in (1, 2, 3)},
        "gain": 1.0,
        "gain_bounds": [-1 / 3, 1.0],
        "voids": 2,
        "control_voids": 2,
    }
    row = table([replace(one, sealed=one.results)], ["a"])[0]
    low, high = metrics.wilson_interval(1, 3)
    assert row.pass_at[2] == row.sealed == Value(1 / 3, low, high)
    assert row.control == Value(2 / 3, None, None)
    assert row.gain == Value(-1 / 3, None, None)
    assert row.voids == 4


def test_the_test_is_on_the_tasks_that_both_have() -> None:
    long, short = entry(1, a="1" * 200), entry(2, a="." * 100)
    difference = paired(long, short)[0]
    assert difference.num_tasks == 100
    assert difference.difference.value == 1.0
    assert len(difference.better) == 100
    assert difference.worse == ()
    assert [row.rank for row in table([long, short], ["a"])] == [1, 2]


def test_suite_versions_never_share_a_table() -> None:
    with pytest.raises(ValueError, match="different suite versions"):
        table([entry(1, a="1"), replace(entry(2, a="1"), suite="lamer-1")], ["a"])


wins = st.lists(st.text("123.", min_size=12, max_size=12), min_size=1, max_size=6)


@given(wins, st.integers(0, 1000))
def test_order_of_arrival_changes_nothing(texts: list[str], seed: int) -> None:
    entries = [entry(number, a=text) for number, text in enumerate(texts)]
    mixed = Random(seed).sample(entries, len(entries))
    assert table(mixed, ["a"]) == table(entries, ["a"])


@given(wins)
def test_ranks_fall_with_the_score_and_p_values_are_holms(texts: list[str]) -> None:
    rows = table([entry(number, a=text) for number, text in enumerate(texts)], ["a"])
    shares = [row.entry.results["a"].pass_at_k for row in rows]
    assert shares == sorted(shares, reverse=True)
    ranks = [row.rank for row in rows]
    assert ranks[0] == 1
    assert all(rank in (ranks[place - 1], place + 1) for place, rank in enumerate(ranks) if place)
    raw = [
        metrics.mcnemar_p(a.entry.results["a"].last, b.entry.results["a"].last)
        for a, b in pairwise(rows)
    ]
    assert [row.p_next for row in rows[:-1]] == metrics.holm(raw)


@given(st.text("123.", min_size=2, max_size=30))
def test_an_entry_and_its_copy_share_a_rank(text: str) -> None:
    assert [row.rank for row in table([entry(1, a=text), entry(2, a=text)], ["a"])] == [1, 1]
