"""What the small models read of Sokoban, and what is made of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from baselines.explorer.sokoban import Rules, cell_name, pushes_made
from baselines.prompts import PAUSE, compact, spoken
from baselines.sokoban_prompt import ROOM_SYMBOLS, upright
from lamer_bench import Agent, Answer, Ask, Task, TrialPlan, View, make, play
from lamer_bench.agent import Memory, PastEpisode
from tests.recorded import record_trial

MIRRORED = {"up": "left", "left": "up", "down": "right", "right": "down"}


def first_view(environment: str) -> View:
    env = make(environment)
    return next(play(env, TrialPlan(Task(env.environment, "val", 0)))).view


def failed(memory: Memory) -> tuple[list[Ask], tuple[int, str]]:
    """The questions of a failed attempt at a room of `medium`, which begins as the solution does,
    and the first one of the second attempt; and the first push."""
    task = Task("sokoban-medium", "val", 3)
    env = make("sokoban-medium")
    env.load(task)
    answers = [f"<action>{action}</action>" for action in env.solution()[:-1]]
    trial = play(env, TrialPlan(task, num_episodes=2, memory=memory))
    asks = [next(trial)]
    for turn in range(asks[0].view.turn_limit):
        asks.append(trial.send(Answer(answers[turn] if turn < len(answers) else "nonsense")))
    rules = Rules.read(asks[0].view.rules)
    pushes = pushes_made(rules, asks[len(answers)].view.turns)
    if asks[-1].kind == "reflect":
        *_, pushed, lead_in = compact(asks[-1].view, "reflect").splitlines()
        told = " ".join(f"{cell_name(rules, box)} {way}" for box, way in pushes)
        assert (pushed, lead_in) == (f"pushed {told}", "<remark>")
        asks.append(trial.send(Answer(f"<remark>{told}</remark>")))
    return asks, pushes[0]


@pytest.mark.parametrize("memory", ["none", "history", "reflection", "both"])
def test_a_prompt_shows_what_was_tried_from_here(memory: Memory) -> None:
    asks, (box, way) = failed(memory)
    first, second = asks[0], asks[-1]
    name = cell_name(Rules.read(first.view.rules), box)
    shown = "\n".join(line[2:-2] for line in first.view.observation.splitlines()[1:-1])
    assert compact(first.view, "act") == f"{shown}\n3 moves\n{PAUSE} push"
    tried = "" if memory == "none" else f"failed {name} {way}\n"
    assert compact(second.view, "act") == f"{shown}\n{tried}3 moves\n{PAUSE} push"


def test_a_prompt_leaves_out_the_outer_wall_alone() -> None:
    view = failed("none")[0][0].view
    room = "# # # # # #\n# # # # # #\n# P X O _ #\n# _ _ X O #\n# _ _ _ _ #\n# # # # # #"
    walled = replace(view, observation=f"{room}\nThat is not an action.")
    lines = compact(walled, "act").splitlines()
    assert lines[:5] == ["# # # #", "P X O _", "_ _ X O", "_ _ _ _", "That is not an action."]
    roomless = replace(view, observation="no room at all")
    assert compact(roomless, "act").startswith("no room at all\n3 moves\n")


def test_a_wide_room_is_shown_as_its_mirror_image_in_the_usual_symbols() -> None:
    view = first_view("sokoban-ood")
    rows = [line.split()[1:-1] for line in view.observation.splitlines()[1:-1]]
    usual = dict(zip("#-.$@*+", ROOM_SYMBOLS, strict=True))
    room = [" ".join(usual[row[column]] for row in rows) for column in range(6)]
    assert compact(view, "act").splitlines() == [*room, "3 moves", f"{PAUSE} push"]


def test_a_high_room_is_left_as_it_is() -> None:
    for environment in ("sokoban-hard", "environments.practice:SokobanPractice-8x7x2a"):
        view = first_view(environment)
        assert upright(view) is view
        assert spoken(view, "act", "(3,4) up") == "push(3,4) up"


@pytest.mark.parametrize("memory", ["none", "history", "reflection", "both"])
def test_a_wide_room_is_answered_and_remembered_in_its_own_directions(memory: Memory) -> None:
    """A player that answers in the mirror image's directions stops before its last turn, is shown
    its first push when it comes back, and then wins."""
    env, task = make("sokoban-ood"), Task("sokoban-ood", "val", 0)
    env.load(task)
    turns = [[MIRRORED[way] for way in turn.split(", ")] for turn in env.solution()]
    views: list[View] = []

    class Mirrored(Agent):
        def act(self, asked: Sequence[View]) -> list[str]:
            [view] = asked
            views.append(view)
            is_retry = len(views) > view.turn_limit
            plan = turns if is_retry else turns[:-1]
            moves = plan[view.turn] if view.turn < len(plan) else []
            return [spoken(view, "act", f" <action>{' '.join(moves)} </action>")]

        def reflect(self, asked: Sequence[View]) -> list[str]:
            pushed = compact(asked[0], "reflect").splitlines()[-2].removeprefix("pushed")
            return [spoken(asked[0], "reflect", pushed)]

    trial = record_trial(env, TrialPlan(task, num_episodes=2, memory=memory), Mirrored())
    assert [episode.end for episode in trial.episodes] == ["turn_limit", "won"]

    retry = views[env.turn_limit]
    rules = Rules.read(retry.rules)
    [(box, way), *_] = next(filter(None, (pushes_made(rules, view.turns) for view in views)))
    row, column = divmod(box, rules.columns)
    failed = f"failed ({column + 1},{row + 1}) {MIRRORED[way]}"
    assert (failed in compact(retry, "act").splitlines()) == (memory != "none")


def test_a_made_up_reflection_changes_nothing() -> None:
    view = failed("none")[0][0].view
    for text in ("", "push (3,3", "(3,3) sideways", "(999,0) up", "(9,9) up (1,1) left", "failed"):
        told = replace(view, memory="reflection", earlier=[PastEpisode(reflection=text)])
        assert compact(told, "act") == compact(view, "act")
