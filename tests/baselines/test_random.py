"""The random agent draws what is possible, uniformly, from the view's own stream."""

from collections import Counter
from itertools import repeat

import pytest

from baselines.random_agent import RandomAgent, possible_actions
from lamer_bench.agent import View
from lamer_bench.env import environment_ids, make
from lamer_bench.protocol import TrialPlan, play
from lamer_bench.task import Task


def first_view(environment: str, index: int = 0) -> View:
    plan = TrialPlan(Task(environment, "test", index))
    return next(play(make(environment), plan)).view


@pytest.mark.parametrize("environment", environment_ids())
def test_what_it_answers_is_an_action_everywhere(environment: str) -> None:
    world = make(environment)
    world.load(Task(environment, "test", 0))
    world.reset()
    view = first_view(environment)
    actions = possible_actions(view)
    assert len(set(actions)) == len(actions) > 1
    assert all(world.read(f"<action>{action}</action>") == action for action in actions)
    (answer,) = RandomAgent().act([view])
    assert world.read(str(answer)) in actions


def test_where_a_turn_holds_several_moves_all_sequences_are_possible() -> None:
    actions = possible_actions(first_view("sokoban-paper"))
    lengths = Counter(action.count(",") + 1 for action in actions)
    assert lengths == {1: 4, 2: 16, 3: 64}


def test_the_same_view_gets_the_same_answer_and_another_task_another() -> None:
    views = [first_view("minesweeper-hard", index) for index in range(20)]
    answers = RandomAgent().act(views)
    assert RandomAgent().act(views[::-1]) == answers[::-1]
    assert len(set(answers)) > 5


def test_an_unknown_family_is_answered_with_the_examples_of_its_rules() -> None:
    view = first_view("minesweeper-hard")
    view.environment, view.admissible = "riddles-easy", None
    view.rules, view.action_hint = "Say <action>yes</action> or <action>no</action>.", ""
    assert possible_actions(view) == ["yes", "no"]
    view.rules = "Guess."
    assert RandomAgent().act(list(repeat(view, 2))) == ["<action></action>"] * 2
