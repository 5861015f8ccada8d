"""The Sokoban explorer: it plays by what it sees, within its budget, and does not repeat itself."""

from __future__ import annotations

from random import Random

import pytest

from baselines.explorer.sokoban import (
    Position,
    Rules,
    SokobanPlayer,
    failed_boxes,
    pushes_made,
    read_board,
    search,
)
from lamer_bench.agent import Answer, Memory, PastEpisode, PastTurn, View
from lamer_bench.env import make
from lamer_bench.errors import AgentError
from lamer_bench.protocol import Ask, TrialPlan, play
from lamer_bench.record import Trial
from lamer_bench.task import Task

RULES = make("sokoban-medium").rules()
ROOM = "\n".join(
    ("# # # # # #", "# _ _ _ _ #", "# P X O _ #", "# _ _ _ _ #", "# _ √ _ _ #", "# # # # # #")
)
STUCK = ROOM.replace("# P X O _ #", "# _ _ O _ #").replace("# _ _ _ _ #", "# X P _ _ #", 1)


def look(observation: str, *, memory: Memory = "history", **more: object) -> View:
    settings: dict[str, object] = {
        "environment": "sokoban-medium",
        "rules": RULES,
        "action_hint": "",
        "num_episodes": 3,
        "turn_limit": 12,
        "episode": 0,
        "turn": 0,
        "admissible": None,
        "turns": (),
        "earlier": (),
        "state": {},
        "make_rng": lambda: Random(1),
    }
    return View(observation=observation, memory=memory, **{**settings, **more})  # type: ignore[arg-type]


def trial(environment: str, index: int, kind: str = "trial", memory: Memory = "history") -> Trial:
    player = SokobanPlayer()
    task = Task(environment, "test", index)
    running = play(make(environment), TrialPlan(task, kind=kind, memory=memory))  # type: ignore[arg-type]
    try:
        ask: Ask = next(running)
        while True:
            text = player.answer(ask.view) if ask.kind == "act" else player.reflect(ask.view)
            ask = running.send(Answer(text))
    except StopIteration as end:
        finished: Trial = end.value
        return finished


def test_it_reads_the_board_and_the_limits() -> None:
    rules = Rules.read(RULES)
    room, position = read_board(rules, f"That is not an action.\n{ROOM}")
    assert (rules.turn_limit, rules.moves_per_turn) == (12, 3)
    assert position == Position(frozenset({14, 26}), 13)
    assert room.targets == {15, 26}


def test_it_pushes_the_box_home() -> None:
    assert SokobanPlayer().answer(look(ROOM)) == "<action>right</action>"


def test_it_reads_both_sets_of_symbols() -> None:
    other = str.maketrans("_OXP√S", "-.$@*+")
    rules = RULES.replace("_ floor", "- floor")
    for plain, standard in (
        ("O t", ". t"),
        ("X b", "$ b"),
        ("P p", "@ p"),
        ("√ ", "* "),
        ("S p", "+ p"),
    ):
        rules = rules.replace(plain, standard)
    assert (
        SokobanPlayer().answer(look(ROOM.translate(other), rules=rules)) == "<action>right</action>"
    )


def test_what_is_not_sokoban_is_refused() -> None:
    with pytest.raises(AgentError, match="rules"):
        SokobanPlayer().answer(look(ROOM, rules="Open every cell."))
    with pytest.raises(AgentError, match="no board"):
        SokobanPlayer().answer(look("# # #"))


def test_frozen_and_dead_positions() -> None:
    room, position = read_board(Rules.read(RULES), STUCK)
    assert room.frozen(position.boxes) == {7}
    assert room.is_dead(position.boxes)
    room, position = read_board(Rules.read(RULES), ROOM)
    assert not room.frozen(position.boxes)
    assert not room.is_dead(position.boxes)


def test_a_search_stops_at_its_budget_and_avoids_what_it_is_told() -> None:
    env = make("sokoban-hard")
    observation, _ = env.reset(seed=1)
    room, position = read_board(Rules.read(env.rules()), observation)
    plan = search(room, position, 72, 2, set(), Random(0))
    end = position
    for move in plan.moves:
        end = room.move(end, move)
    other = search(room, position, 72, 2, {end.boxes}, Random(0))
    for move in other.moves:
        position = room.move(position, move)
    assert not plan.is_solution
    assert plan.moves
    assert position.boxes != end.boxes


def test_memory_is_read_from_turns_or_from_reflections() -> None:
    rules = Rules.read(RULES)
    turns = [PastTurn(ROOM, "", "up, right, down"), PastTurn(ROOM, "", None)]
    assert pushes_made(rules, turns) == [(14, "down")]

    remark = SokobanPlayer().reflect(look(STUCK, turns=turns))
    assert remark == "<remark>plan failed: push (3,3) down. box stuck at (2,2)</remark>"

    by_turns = look(ROOM, earlier=[PastEpisode(turns=turns)])
    by_remark = look(ROOM, earlier=[PastEpisode(reflection=remark)], memory="reflection")
    expected = {frozenset({20, 26})}
    assert failed_boxes(by_turns, rules) == failed_boxes(by_remark, rules) == expected


def test_the_same_view_gets_the_same_answer() -> None:
    first, second = trial("sokoban-hard", 3), trial("sokoban-hard", 3)
    assert first == second


def _wins(
    environment: str, count: int, kind: str = "trial", memory: Memory = "history"
) -> list[int]:
    """Tasks won by attempt 1, 2, 3."""
    first_wins = []
    for index in range(count):
        episodes = trial(environment, index, kind, memory).episodes
        first_wins.append(next((e.index for e in episodes if e.end == "won"), 3))
    return [sum(first <= attempt for first in first_wins) for attempt in range(3)]


@pytest.mark.parametrize("environment", ["sokoban-easy", "sokoban-medium", "sokoban-paper"])
def test_it_wins_nearly_all_rooms_with_up_to_two_boxes(environment: str) -> None:
    wins = _wins(environment, 40)
    assert wins[0] >= 34
    assert wins[2] >= 38


def test_it_reads_the_other_symbols_of_ood() -> None:
    assert _wins("sokoban-ood", 20)[2] >= 18


def test_memory_helps_where_the_budget_does_not_reach() -> None:
    remembered = _wins("sokoban-hard", 60)
    reflected = _wins("sokoban-hard", 60, memory="reflection")
    wiped = _wins("sokoban-hard", 60, kind="control")
    assert remembered[0] < 54
    assert remembered[2] >= wiped[2] + 6
    assert reflected[2] >= wiped[2] + 6


def test_no_two_attempts_of_a_trial_are_the_same() -> None:
    for index in range(30):
        played = [
            tuple(turn.action for turn in episode.turns)
            for episode in trial("sokoban-hard", index).episodes
        ]
        assert len(set(played)) == len(played)
