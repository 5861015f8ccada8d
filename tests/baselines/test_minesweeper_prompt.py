"""MineSweeper's prompts for small models: true of the hidden layout, the same for every memory, and
unshaken by what a reflection makes up."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from baselines.explorer.minesweeper import Board, Knowledge, MinesweeperPlayer
from baselines.minesweeper_prompt import notes
from baselines.prompts import compact
from environments.minesweeper import Minesweeper
from lamer_bench import Answer, Ask, Task, TrialPlan, make, play
from lamer_bench.agent import Memory, PastEpisode, View

PLAYER = MinesweeperPlayer()
COUNT = re.compile(r"(\d)/(\d)((?: \(\d,\d\))+)")
BOARD = """
Mines: 2
? ? ?
? 2 1
1 1 .
"""
RULES = """MineSweeper. The board has 3 rows and 3 columns and hides 2 mines. Open every cell.
Symbols: ? hidden, . no mine around, 1 to 8 mines around (up to eight neighbours), * mine."""


def view(observation: str = BOARD, reflection: str | None = None) -> View:
    return View(
        environment="minesweeper-easy",
        rules=RULES,
        action_hint="",
        memory="reflection",
        num_episodes=3,
        turn_limit=20,
        episode=int(reflection is not None),
        turn=0,
        observation=observation.strip(),
        admissible=None,
        turns=(),
        earlier=() if reflection is None else [PastEpisode(reflection=reflection)],
        state={},
    )


def asks(environment: str, number: int, memory: Memory) -> list[Ask]:
    """The questions of a trial of the explorer, which writes what it knows as the models do."""
    trial = play(make(environment), TrialPlan(Task(environment, "val", number), memory=memory))
    asked = [next(trial)]
    while True:
        ask = asked[-1]
        said = PLAYER.answer(ask.view) if ask.kind == "act" else teacher_notes(ask.view)
        try:
            asked.append(trial.send(Answer(said)))
        except StopIteration:
            return asked


def teacher_notes(view: View) -> str:
    """A perfect copy of what the prompt of a reflection lists."""
    return f"<remark> {compact(view, 'reflect').removesuffix('<remark>')} </remark>"


def test_a_prompt_lists_what_the_numbers_say() -> None:
    assert compact(view(), "act") == (
        "Mines 2 of 4\n"
        "1/1 (2,1)\n"
        "1/2 (1,2) (1,3)\n"
        "2/4 (1,1) (1,2) (1,3) (2,1)\n"
        "(1,1) (1,2) (1,3) (2,1) <action>"
    )


def test_what_is_remembered_counts() -> None:
    start = "Mines: 2\n? ? ?\n? ? ?\n? ? ."
    noted = "<remark> (1,2) * (1,3) 1 (2,2) 2 </remark>"
    # (2,2) and what is beside the open corner are safe; of (2,2)'s two mines one is at (1,2)
    assert compact(view(start, noted), "act") == (
        "Mines 1 of 5\n"
        "safe (1,3) (2,2)\n"
        "mine (1,2)\n"
        "0/1 (2,3)\n"
        "0/2 (2,3) (3,2)\n"
        "1/5 (1,1) (2,1) (2,3) (3,1) (3,2)\n"
        "(1,1) (1,2) (1,3) (2,1) (2,2) (2,3) (3,1) (3,2) <action>"
    )


def test_a_reflection_is_written_from_all_that_was_seen() -> None:
    end = "Mines: 2\n? ? 1\n* 2 1\n1 1 ."
    noted = "<remark> (1,2) * (2,2) 2 </remark>"
    assert compact(view(end, noted), "reflect") == (
        "(1,2) * (1,3) 1 (2,1) * (2,2) 2 (2,3) 1 (3,1) 1 (3,2) 1 (3,3) 0 <remark>"
    )


def test_an_answer_that_was_no_action_is_told() -> None:
    trial = play(make("minesweeper-hard"), TrialPlan(Task("minesweeper-hard", "val", 3)))
    assert "not an action" not in compact(next(trial).view, "act")
    again = trial.send(Answer("nonsense"))
    assert compact(again.view, "act").splitlines()[1] == "not an action"


@pytest.mark.parametrize("environment", ["minesweeper-hard", "minesweeper-ood"])
def test_every_line_is_true_of_the_hidden_layout(environment: str) -> None:
    for number in range(12):
        env = make(environment)
        assert isinstance(env, Minesweeper)
        env.load(Task(environment, "val", number))
        names = env._grid.names
        mined = {names[cell] for cell in env._grid.cells if env._mines >> cell & 1}
        for ask in asks(environment, number, "reflection"):
            if ask.kind == "reflect":
                continue
            *lines, last = compact(ask.view, "act").splitlines()
            hidden = last.removesuffix(" <action>").split()
            assert mined <= set(hidden)
            left, unknown = map(int, re.findall(r"\d+", lines[0]))
            noted = {line.split()[0]: set(line.split()[1:]) for line in lines[1:]}
            assert noted.get("mine", set()) <= mined
            assert not noted.get("safe", set()) & mined
            assert left == len(mined) - len(noted.get("mine", ()))
            assert unknown == len(hidden) - sum(
                map(len, map(noted.get, ("safe", "mine"), ((), ())))
            )
            for need, size, cells in (found.groups() for found in map(COUNT.match, lines) if found):
                assert len(set(cells.split())) == int(size)
                assert len(mined & set(cells.split())) == int(need)


@pytest.mark.parametrize("environment", ["minesweeper-hard", "minesweeper-ood"])
def test_a_history_tells_what_notes_tell(environment: str) -> None:
    for number in range(6):
        by_memory = {
            memory: [
                compact(a.view, "act") for a in asks(environment, number, memory) if a.kind == "act"
            ]
            for memory in ("reflection", "history", "both", "none")
        }
        assert by_memory["reflection"] == by_memory["history"] == by_memory["both"]
        first = by_memory["reflection"][0]
        assert by_memory["none"][0] == first
        assert not any("safe" in text or "mine" in text for text in by_memory["none"])


@pytest.mark.parametrize(
    "text",
    ["", "(9,9) 1 (0,1) *", "(1,1 3", "(1,1) 9 (2,2)", "(1,1) 8 (2,2) 0", "? ? ?\n? 1 ?\n? ? ?"],
)
def test_a_made_up_reflection_leaves_a_prompt_that_can_be_answered(text: str) -> None:
    for kind in ("act", "reflect"):
        lines = compact(view(BOARD, f"<remark>{text}</remark>"), kind).splitlines()
        assert lines[-1].endswith("<action>" if kind == "act" else "<remark>")
        for need, size, _ in (found.groups() for found in map(COUNT.match, lines) if found):
            assert 0 <= int(need) <= int(size)
    assert "(1,1) (1,2) (1,3) (2,1) <action>" in compact(view(BOARD, text), "act")


def test_an_observation_without_a_board_is_all_hidden() -> None:
    cells = " ".join(f"({row},{column})" for row in (1, 2, 3) for column in (1, 2, 3))
    assert compact(view("no board"), "act") == f"Mines 2 of 9\n{cells} <action>"


def test_notes_are_read_back() -> None:
    board = Board.from_rules(RULES)
    known = Knowledge({0: 3, 4: 0}, {5})
    again = Knowledge()
    again.add_notes(board, notes(board, known))
    assert again == known
    other = replace(board, mine="@", blank="-")
    assert notes(other, known) == notes(board, known)
