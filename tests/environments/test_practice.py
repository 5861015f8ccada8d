"""Practice levels keep what the test levels hold out, and keep the families' promises."""

import pytest

from environments.minesweeper import Minesweeper
from environments.practice import MinesweeperPractice, SokobanPractice, WebShopPractice
from environments.sokoban import Sokoban
from lamer_bench import Task, make
from lamer_bench.env import TextEnv

CLASSES = [MinesweeperPractice, SokobanPractice, WebShopPractice]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_level_has_a_task_that_its_solution_wins(cls: type[TextEnv]) -> None:
    for level in cls.levels:
        env = make(f"environments.practice:{cls.__name__}-{level}")
        env.reset(options={"task": Task(env.environment, "train", 3).id})
        for action in env.solution():
            env.step(action)
        assert env.won, level


def test_the_sizes_and_symbols_of_ood_are_held_out() -> None:
    boards = MinesweeperPractice.levels.values()
    held_out = Minesweeper.levels["ood"]
    assert (held_out.rows, held_out.columns) not in {(b.rows, b.columns) for b in boards}
    assert (held_out.hidden, held_out.blank, held_out.mine) not in {
        (b.hidden, b.blank, b.mine) for b in boards
    }
    rooms = SokobanPractice.levels.values()
    other = Sokoban.levels["ood"]
    assert (other.rows, other.columns) not in {(room.rows, room.columns) for room in rooms}
    assert other.symbols not in {room.symbols for room in rooms}


def test_a_purchase_that_is_nearly_right_pays_nothing_in_practice() -> None:
    assert "ood" not in WebShopPractice.levels
    paid = {}
    for reference in ("webshop-hard", "environments.practice:WebShopPractice-hard"):
        env = make(reference)
        env.reset(options={"task": Task(env.environment, "train", 3).id})
        *_, buy = solution = env.solution()
        opened = next(n for n, action in enumerate(solution) if "search" not in action)
        for action in (*solution[: opened + 1], buy):  # no option is chosen
            _, reward, *_ = env.step(action)
        paid[reference] = reward
        assert not env.won
    graded, all_or_nothing = paid.values()
    assert graded > 0
    assert all_or_nothing == 0
