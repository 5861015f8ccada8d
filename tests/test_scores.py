"""Scores of hand-made trials, worked out by hand, and of recorded runs."""

from __future__ import annotations

import json
import math

import pytest

from lamer_bench.agent import Agent
from lamer_bench.comparison import (
    compare,
    compare_neighbours,
    compare_scores,
    require_comparable,
)
from lamer_bench.errors import RecordError, SettingError
from lamer_bench.metrics import wilson_interval
from lamer_bench.record import (
    Episode,
    Reflection,
    SuiteReference,
    Trial,
    Turn,
    Void,
    content_digest,
)
from lamer_bench.scores import Price, score, score_run
from tests.recorded import record_trials, settings_for, write_run
from tests.toys import Guesser


def trial(index: int, words: str, kind: str = "trial", repeat: int = 0) -> Trial:
    """A trial out of words: each word is an episode, each letter an action, a final ``!`` a win,
    ``?`` an answer that is no action."""
    episodes = [_episode(number, word) for number, word in enumerate(words.split())]
    return _trial(index, kind, repeat, episodes, None)


def void(index: int, kind: str = "trial", repeat: int = 0) -> Trial:
    """A trial that was broken."""
    return _trial(index, kind, repeat, [], Void(type="TimeoutError", message="no answer"))


def _trial(
    index: int, kind: str, repeat: int, episodes: list[Episode], broken: Void | None
) -> Trial:
    memory = "none" if kind == "control" else "both"
    key = (kind, f"doors-easy/test/{index}", repeat)
    return Trial.of(key, memory=memory, fingerprint=f"{index}", episodes=episodes, void=broken)


def _episode(index: int, word: str) -> Episode:
    actions = word.rstrip("!")
    has_won = word.endswith("!")
    turns = [
        Turn(
            observation=f"seen {i}",
            answer=letter,
            action=None if letter == "?" else letter,
            reward=(10.0 if has_won else 1.0) if i == len(actions) - 1 else 0.0,
            prompt_tokens=10,
            answer_tokens=2,
        )
        for i, letter in enumerate(actions)
    ]
    return Episode(
        index=index,
        turns=turns,
        end="won" if has_won else "lost",
        final_observation="end",
        reflection=None if has_won else Reflection(text="hm", prompt_tokens=5, answer_tokens=1),
    )


def values(estimates):
    return [None if estimate is None else estimate.value for estimate in estimates]


# By hand -----------------------------------------------------------------------------------------


@pytest.fixture
def four_tasks():
    """Won in episode 1, 2, 3 and never; the controls win 3, 1, 0 and 0 of 3."""
    return [
        trial(0, "ab!"),
        trial(1, "aa ab!"),
        trial(2, "aa a? bb!"),
        trial(3, "aa aa ab"),
        trial(0, "ab! ab! ab!", "control"),
        trial(1, "aa ab! ba", "control"),
        trial(2, "aa aa ab", "control"),
        trial(3, "aa ab ba", "control"),
    ]


def test_success_by_hand(four_tasks):
    scores = score(four_tasks, settings_for())
    assert values(scores.pass_at) == [0.25, 0.5, 0.75]
    # per task at k = 2: 1, 1 - C(2,2)/C(3,2) = 2/3, 0, 0
    assert values(scores.independent_pass_at) == pytest.approx([4 / 12, 5 / 12, 2 / 4])
    # per task at K = 3: 1 - 1, 1 - 1, 1 - 0, 0 - 0
    assert scores.gain.value == pytest.approx(0.25)
    assert values(scores.conditional_success) == pytest.approx([1 / 4, 1 / 3, 1 / 2])
    assert scores.num_at_risk == (4, 3, 2)
    assert scores.is_complete


def test_behaviour_by_hand(four_tasks):
    scores = score(four_tasks, settings_for())
    # best: 10, 10, 10, 1; last: 10, 10, 10, 1; first: 10, 1, 1, 1
    assert scores.best_return.value == pytest.approx(31 / 4)
    assert scores.last_return.value == pytest.approx(31 / 4)
    assert scores.first_return.value == pytest.approx(13 / 4)
    # one of 6 answers of task 2 is no action
    assert scores.invalid_rate.value == pytest.approx(1 / 6 / 4)
    assert scores.control_invalid_rate.value == 0
    # 2 distinct observations in 2, 4, 6 and 6 turns
    assert scores.state_coverage.value == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 3) / 4)
    # only task 3 was lost: aa repeats, ab is one edit of two away
    assert scores.novelty_share.value == pytest.approx(1 / 2)
    assert scores.novelty_distance.value == pytest.approx(1 / 4)


def test_diversity_by_hand(four_tasks):
    scores = score(four_tasks, settings_for())
    # controls have 1, 3, 2 and 3 distinct sequences of 3
    two = math.log(3) - 2 / 3 * math.log(2)
    assert scores.trajectory_entropy.value == pytest.approx((0 + 2 * math.log(3) + two) / 4)
    corrections = (0 + 2 + 1 + 2) / 6
    assert scores.miller_madow_entropy.value == pytest.approx(
        scores.trajectory_entropy.value + corrections / 4
    )
    assert scores.distinct_share.value == pytest.approx((1 / 3 + 1 + 2 / 3 + 1) / 4)
    # aa-ab 1/2, aa-ba 1/2, ab-ba 1: mean 2/3; aa-aa 0, aa-ab 1/2 twice: mean 1/3
    assert scores.edit_diversity.value == pytest.approx((0 + 2 / 3 + 1 / 3 + 2 / 3) / 4)


def test_cost_by_hand(four_tasks):
    price = Price(prompt_per_million=3.0, answer_per_million=10.0)
    scores = score(four_tasks, settings_for(), price=price)
    # trials: 2 + 4 + 6 + 6 turns; reflections after 0, 1, 2 and 3 lost episodes
    assert scores.cost.environment_steps == 18
    assert scores.cost.prompt_tokens == 18 * 10 + 6 * 5
    assert scores.cost.answer_tokens == 18 * 2 + 6 * 1
    assert scores.cost.money == pytest.approx((210 * 3 + 42 * 10) / 1e6)
    assert scores.control_cost.environment_steps == 24
    assert score(four_tasks, settings_for()).cost.money is None


def test_repeats_are_averaged_inside_the_task_first():
    """Two tasks of two repeats: task 0 has 1/2 and task 1 has 1; the void repeat is left out."""
    settings = settings_for(tasks=2, repeats=2, control_episodes=0, episodes=1)
    trials = [trial(0, "a!"), trial(0, "b", repeat=1), trial(1, "a!"), void(1, repeat=1)]
    scores = score(trials, settings)
    assert values(scores.pass_at) == [0.75]
    assert scores.pass_bounds == ((0.5, 0.75),)


def test_one_trial_per_task_gets_a_wilson_interval(four_tasks):
    scores = score(four_tasks, settings_for())
    assert scores.pass_at[1].interval == wilson_interval(2, 4)
    assert scores.conditional_success[2].interval == wilson_interval(1, 2)


def test_repeats_get_a_bootstrap_interval():
    settings = settings_for(tasks=2, repeats=2, control_episodes=0, episodes=1)
    trials = [trial(t, "a!" if t else "b", repeat=r) for t in (0, 1) for r in (0, 1)]
    assert score(trials, settings).pass_at[0].interval == (0.0, 1.0)


# Voids and gaps ----------------------------------------------------------------------------------


def test_voids_are_left_out_and_shown_as_bounds(four_tasks):
    trials = [*four_tasks[1:4], void(0), *four_tasks[4:7], void(3, "control")]
    scores = score(trials, settings_for())
    assert values(scores.pass_at) == pytest.approx([0, 1 / 3, 2 / 3])
    assert scores.pass_bounds == ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75))
    # independent pass@1 is 1, 1/3, 0 on the first three tasks
    assert scores.independent_pass_at[0].value == pytest.approx(4 / 9)
    assert scores.independent_pass_bounds[0] == pytest.approx((4 / 12, 7 / 12))
    # tasks 1 and 2 have both kinds: 1 - 1 and 1 - 0
    assert scores.gain.value == pytest.approx(0.5)
    # task 0: 0..1 minus 1; task 1: 0; task 2: 1; task 3: 0 minus 0..1
    assert scores.gain_bounds == pytest.approx(((-1 + 0 + 1 - 1) / 4, (0 + 0 + 1 - 0) / 4))
    assert (scores.num_voids, scores.num_control_voids, scores.void_share) == (1, 1, 0.25)


def test_a_run_of_voids_has_bounds_and_no_numbers():
    scores = score([void(0), void(0, "control")], settings_for(tasks=1))
    assert values(scores.pass_at) == [None, None, None]
    assert scores.pass_bounds == ((0.0, 1.0),) * 3
    assert scores.gain is None
    assert scores.gain_bounds == (-1.0, 1.0)
    assert scores.trajectory_entropy is None
    assert scores.void_share == 1.0
    json.dumps(scores.as_json(), allow_nan=False)


def test_without_control_the_entries_that_need_it_are_missing(four_tasks):
    document = score(four_tasks[:4], settings_for(control_episodes=0)).as_json()
    assert document["independent_pass_at"] == {}
    assert document["m"] == 0
    for name in ("gain", "gain_ci", "gain_bounds", "trajectory_entropy", "distinct_share"):
        assert document[name] is None
    assert document["pass_at"]["3"] == 0.75


def test_fewer_control_episodes_than_k_give_no_gain():
    settings = settings_for(tasks=1, control_episodes=2)
    scores = score([trial(0, "a a b!"), trial(0, "a b!", "control")], settings)
    assert values(scores.independent_pass_at) == [0.5, 1.0]
    assert scores.gain is None
    assert scores.gain_bounds is None


def test_more_control_episodes_than_k_are_all_used():
    settings = settings_for(tasks=1, episodes=2, control_episodes=4)
    scores = score([trial(0, "a b!"), trial(0, "a b! c d", "control")], settings)
    assert values(scores.independent_pass_at) == pytest.approx([0.25, 0.5])
    assert scores.trajectory_entropy.value == pytest.approx(math.log(4))


def test_an_incomplete_run_says_so(four_tasks):
    scores = score(four_tasks[:1], settings_for())
    assert not scores.is_complete
    assert scores.as_json()["tasks"] == 1
    assert scores.as_json()["tasks_expected"] == 4
    assert score([], settings_for()).as_json()["pass_at"] == {"1": None, "2": None, "3": None}


def test_controls_alone_are_scored(four_tasks):
    scores = score(four_tasks[4:], settings_for())
    assert values(scores.pass_at) == [None, None, None]
    assert scores.independent_pass_at[2].value == pytest.approx(0.5)


def test_a_trial_that_is_there_twice_is_refused(four_tasks):
    with pytest.raises(RecordError, match=r"Trial 0 of doors-easy/test/0 is there twice\."):
        score([*four_tasks, four_tasks[0]], settings_for())


def test_more_episodes_than_the_run_allows_are_refused(four_tasks):
    with pytest.raises(RecordError, match="has 3 episodes; the run's limit is 2"):
        score(four_tasks, settings_for(episodes=2))


# JSON --------------------------------------------------------------------------------------------


def test_json_has_the_promised_keys_and_survives_a_round_trip(tmp_path, four_tasks):
    settings = settings_for()
    folder = write_run(tmp_path / "run", settings, four_tasks)
    document = score_run(folder.path).as_json()
    promised = {
        *("agent", "env", "split", "tasks", "episodes", "pass_at", "pass_at_ci", "gain_ci"),
        *("independent_pass_at", "independent_pass_at_ci", "gain", "trajectory_entropy"),
        *("distinct_share", "invalid_rate", "void_share", "content_digest", "run_dir", "m"),
    }
    assert promised <= document.keys()
    assert document == json.loads(json.dumps(document, allow_nan=False))
    assert document["content_digest"] == content_digest(four_tasks)
    assert document["run_dir"] == str(folder.path)
    assert document["pass_at_ci"]["2"] == list(wilson_interval(2, 4))
    assert document["tokens"]["prompt"] == (18 + 24) * 10 + (6 + 8) * 5 + 0


def test_scores_do_not_depend_on_the_order_of_the_trials(four_tasks):
    first = score(four_tasks, settings_for()).as_json()
    assert score(four_tasks[::-1], settings_for()).as_json() == first


# Comparisons -------------------------------------------------------------------------------------


def runs_with_wins(num_both, num_a, num_b, num_none, **changes):
    """Two runs with so many tasks that both, only a, only b and none won."""
    won = [(1, 1)] * num_both + [(1, 0)] * num_a + [(0, 1)] * num_b + [(0, 0)] * num_none
    changes = {"control_episodes": 0, "episodes": 1, "tasks": len(won), **changes}
    return [
        score(
            [trial(i, "a!" if pair[side] else "a") for i, pair in enumerate(won)],
            settings_for(agent="ab"[side], **changes),
        )
        for side in (0, 1)
    ]


def test_comparison_by_hand():
    comparison = compare_scores(*runs_with_wins(2, 6, 0, 2))
    (test,) = comparison.pass_at
    assert (test.a, test.b) == (0.8, 0.2)
    assert test.difference == pytest.approx(0.6)
    assert (test.num_better, test.num_worse, test.num_tasks) == (6, 0, 10)
    assert test.p == test.p_holm == pytest.approx(2 / 64)
    assert test.is_told_apart
    assert test.interval.low > 0
    json.dumps(comparison.as_json(), allow_nan=False)


def test_a_run_equals_itself(four_tasks):
    scores = score(four_tasks, settings_for())
    comparison = compare_scores(scores, scores)
    for test in (*comparison.pass_at, comparison.gain, comparison.trajectory_entropy):
        assert (test.difference, test.p, tuple(test.interval)) == (0.0, 1.0, (0.0, 0.0))
        assert not test.is_told_apart
    assert comparison.notes == ()


def test_p_values_are_adjusted_over_k(four_tasks):
    a = score([trial(i, "a!") for i in range(6)], settings_for(tasks=6, control_episodes=0))
    b = score([trial(i, "a a b!") for i in range(6)], settings_for(tasks=6, control_episodes=0))
    tests = compare_scores(a, b).pass_at
    assert [test.p for test in tests] == [2 / 64, 2 / 64, 1.0]
    assert [test.p_holm for test in tests] == pytest.approx([6 / 64, 6 / 64, 1.0])


def test_only_shared_tasks_without_voids_are_compared():
    settings = settings_for(tasks=3, episodes=1, control_episodes=0)
    a = score([trial(0, "a!"), trial(1, "a!"), void(2)], settings)
    b = score([trial(1, "a"), trial(2, "a!")], settings)
    (test,) = compare_scores(a, b).pass_at
    assert (test.num_tasks, test.a, test.b) == (1, 1.0, 0.0)
    assert test.interval is None
    with pytest.raises(SettingError, match="share no task"):
        compare_scores(score([trial(0, "a!")], settings), b)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"environment": "doors-hard"}, "environments"),
        ({"environment_version": 2}, "environment versions"),
        ({"environment_options": {"doors": "4"}}, "environment options"),
        ({"suite": SuiteReference(name="lamer", version=2, digest="0" * 64)}, "suites"),
        ({"split": "val"}, "splits"),
        ({"episodes": 2}, "numbers of episodes"),
    ],
)
def test_runs_that_may_not_share_a_table_are_refused_in_one_line(changes, name):
    with pytest.raises(SettingError, match=f"Runs of different {name} cannot") as refusal:
        require_comparable(settings_for(), settings_for(**changes))
    assert "\n" not in str(refusal.value)


def test_entropy_of_different_m_is_left_out_with_a_reason(four_tasks):
    a = score(four_tasks, settings_for())
    b = score(
        [*four_tasks[:4], *(trial(i, "a b c d", "control") for i in range(4))],
        settings_for(control_episodes=4),
    )
    comparison = compare_scores(a, b)
    assert comparison.trajectory_entropy is None
    assert comparison.gain is not None
    assert comparison.notes == ("Trajectory entropy of different m cannot be compared: 3 and 4.",)


def test_neighbours_of_a_ranking_are_adjusted_together():
    best, middle = runs_with_wins(2, 6, 0, 2)
    tests = compare_neighbours([best, middle, middle])
    assert [test.p for test in tests] == [2 / 64, 1.0]
    assert [test.p_holm for test in tests] == [4 / 64, 1.0]
    assert compare_neighbours([best]) == []


# Recorded runs -----------------------------------------------------------------------------------


class Solver(Guesser):
    """Walks through the first door that has not failed yet; wins sooner or later."""

    def answer(self, view):
        failed = {
            past.turns[-1].action for past in view.earlier if len(past.turns) == view.turn + 1
        }
        return next(door for door in view.admissible if door not in failed)


@pytest.mark.parametrize("agent", [Guesser(), Solver()])
def test_a_recorded_run_is_scored(tmp_path, agent: Agent):
    settings = settings_for(tasks=10, control_episodes=5)
    folder = write_run(tmp_path / "run", settings, record_trials(settings, agent))
    scores = score_run(folder)
    passes = values(scores.pass_at)
    assert passes == sorted(passes)
    assert scores.gain.value == pytest.approx(passes[-1] - scores.independent_pass_at[-1].value)
    assert len(scores.independent_pass_at) == 3


def test_an_agent_without_chance_has_no_entropy(tmp_path):
    settings = settings_for(tasks=5)
    scores = score(record_trials(settings, Solver()), settings)
    assert scores.trajectory_entropy.value == 0.0
    assert scores.distinct_share.value == pytest.approx(1 / 3)


def test_two_run_folders_are_compared(tmp_path):
    settings = settings_for(tasks=8)
    a = write_run(tmp_path / "a", settings, record_trials(settings, Solver()))
    b = write_run(tmp_path / "b", settings, record_trials(settings, Guesser()))
    comparison = compare(a, b.path)
    assert comparison.num_tasks == 8
    assert len(comparison.pass_at) == 3
