"""Rules of MineSweeper, against an implementation written here from the rules alone."""

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.minesweeper import Minesweeper
from lamer_bench import Task, make

LEVELS = list(Minesweeper.levels)


def mines_of(env: Minesweeper) -> set[tuple[int, int]]:
    """The hidden layout, for tests."""
    columns = env.board.columns
    cells = range(env.board.rows * columns)
    return {divmod(cell, columns) for cell in cells if env._mines >> cell & 1}


class PlainBoard:
    """MineSweeper as a person would write it: sets of coordinates and recursion."""

    def __init__(self, rows: int, columns: int, mines: set[tuple[int, int]]) -> None:
        self.rows, self.columns, self.mines = rows, columns, mines
        self.open: set[tuple[int, int]] = set()

    def around(self, cell: tuple[int, int]) -> list[tuple[int, int]]:
        near = [(cell[0] + dr, cell[1] + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)]
        return [
            (r, c)
            for r, c in near
            if (r, c) != cell and 0 <= r < self.rows and 0 <= c < self.columns
        ]

    def count(self, cell: tuple[int, int]) -> int:
        return sum(near in self.mines for near in self.around(cell))

    def click(self, cell: tuple[int, int]) -> None:
        if cell in self.open:
            return
        self.open.add(cell)
        if cell not in self.mines and self.count(cell) == 0:
            for near in self.around(cell):
                self.click(near)

    def draw(self, hidden: str, blank: str, mine: str) -> str:
        def glyph(cell: tuple[int, int]) -> str:
            if cell not in self.open:
                return hidden
            if cell in self.mines:
                return mine
            return str(self.count(cell) or blank)

        return "\n".join(
            " ".join(glyph((r, c)) for c in range(self.columns)) for r in range(self.rows)
        )


@pytest.mark.parametrize("level", LEVELS)
def test_random_play_matches_a_plain_implementation(level: str) -> None:
    env = Minesweeper(level)
    rng = random.Random(level)
    for index in range(40):
        observation, info = env.reset(seed=index)
        board = env.board
        plain = PlainBoard(board.rows, board.columns, mines_of(env))
        plain.click(divmod(env._first, board.columns))
        over = False
        while not over:
            head, _, drawn = observation.partition("\n")
            assert head == f"Mines: {board.mines}"
            assert drawn == plain.draw(board.hidden, board.blank, board.mine)
            action = rng.choice(info["admissible"])
            row, column = (int(part) - 1 for part in action.strip("()").split(","))
            before = len(plain.open)
            plain.click((row, column))
            observation, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            safe = board.rows * board.columns - board.mines
            if (row, column) in plain.mines:
                assert (reward, terminated, info["won"]) == (-0.1, True, False)
            elif len(plain.open) == safe:
                assert (reward, terminated, info["won"]) == (10.0, True, True)
            else:
                several = len(plain.open) - before > 1
                assert (reward, terminated) == (2.0 if several else 0.5, False)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_solution_wins_within_the_limit(level: str, split: str) -> None:
    env = Minesweeper(level)
    for index in range(100):
        env.load(Task(env.environment, split, index))  # type: ignore[arg-type]
        solution = env.solution()
        env.reset()
        for action in solution:
            _, _, _, _, info = env.step(action)
        assert info["won"]
        assert len(solution) <= env.turn_limit


def test_a_limit_of_one_turn_per_safe_cell_never_cuts_a_player_short() -> None:
    for level, board in Minesweeper.levels.items():
        if level != "paper":
            assert board.turn_limit == board.rows * board.columns - board.mines


def test_no_board_starts_lost_or_won() -> None:
    env = Minesweeper("paper")
    for index in range(300):
        observation, info = env.reset(seed=index)
        assert "*" not in observation
        assert "?" in observation
        assert not info["won"]
        assert env.solution()


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("(2,3)", "(2,3)"),
        (" (2, 3) ", "(2,3)"),
        ("2 3", "(2,3)"),
        ("row 2 col 3", "(2,3)"),
        ("Row 2, Column 3.", "(2,3)"),
        ("open (2,3)", "(2,3)"),
        ("reveal 2,3", "(2,3)"),
        ("I think about it. <action>(2,3)</action>", "(2,3)"),
        ("<action>(1,1)</action> no, <action>(2,3)</action>", "(2,3)"),
        ("<ACTION>\n(2,3)\n</ACTION>", "(2,3)"),
        ("(0,3)", None),
        ("(7,1)", None),
        ("23", None),
        ("", None),
        ("(2,3) (4,5)", None),
        ("two three", None),
        ("-2,3", "(2,3)"),
    ],
)
def test_reading_answers(text: str, action: str | None) -> None:
    env = Minesweeper("hard")
    for index in range(50):
        _, info = env.reset(seed=index)
        if {"(2,3)", "(1,1)"} <= set(info["admissible"]):
            break
    assert env.read(text) == action


def test_an_open_cell_is_not_an_action_and_changes_nothing() -> None:
    env = Minesweeper("hard")
    observation, info = env.reset(seed=0)
    opened = env._grid.names[env._first]
    again, reward, terminated, _, after = env.step(opened)
    assert opened not in info["admissible"]
    assert (reward, terminated, after["valid"]) == (-1.0, False, False)
    assert again.endswith(observation)
    assert again.startswith("That is not an action.")


@given(st.text())
def test_no_answer_raises(text: str) -> None:
    env = Minesweeper("ood")
    env.reset(seed=0)
    observation, _, _, _, info = env.step(text)
    assert isinstance(observation, str)
    assert info["valid"] == (env.last_action is not None)


def turned(
    mines: set[tuple[int, int]], rows: int, columns: int
) -> list[tuple[int, int, frozenset[tuple[int, int]]]]:
    """All eight rotations and reflections of a layout, made by repeated quarter turns."""
    result = []
    for flipped in (False, True):
        cells = {(r, columns - 1 - c) if flipped else (r, c) for r, c in mines}
        height, width = rows, columns
        for _ in range(4):
            result.append((height, width, frozenset(cells)))
            cells = {(c, height - 1 - r) for r, c in cells}
            height, width = width, height
    return result


@pytest.mark.parametrize("level", ["hard", "ood"])
def test_mirrored_layouts_share_a_fingerprint_and_different_ones_do_not(level: str) -> None:
    env = Minesweeper(level)
    grid, board = env._grid, env.board
    by_fingerprint: dict[str, frozenset] = {}
    for index in range(200):
        env.load(Task(env.environment, "train", index))
        print_ = env.fingerprint()
        same_shape = {
            cells
            for height, width, cells in turned(mines_of(env), board.rows, board.columns)
            if (height, width) == (board.rows, board.columns)
        }
        for cells in same_shape:
            env._packed = sum(grid.symmetric[r * board.columns + c] for r, c in cells)
            assert env.fingerprint() == print_
        orbit = frozenset(same_shape)
        assert by_fingerprint.setdefault(print_, orbit) == orbit


def test_a_task_is_the_same_in_another_process() -> None:
    program = (
        "from lamer_bench import make; "
        "env = make('minesweeper-hard'); "
        "print([env.reset(seed=i)[0] for i in range(5)], env.fingerprint())"
    )
    env = make("minesweeper-hard")
    here = f"{[env.reset(seed=i)[0] for i in range(5)]} {env.fingerprint()}"
    for seed in ("0", "12345"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


def test_no_board_is_solved_by_its_first_open_cell() -> None:
    env = make("minesweeper-easy")
    for number in range(600):
        env.reset(options={"task": Task("minesweeper-easy", "train", number).id})
        assert len(env.admissible() or []) > env.board.mines
