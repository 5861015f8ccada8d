"""Exact inference against brute force over all layouts, and what memory is worth to it."""

import itertools
import random

import pytest

from baselines.explorer.minesweeper import (
    Board,
    Knowledge,
    MinesweeperPlayer,
    mine_weights,
    outlook,
)
from lamer_bench import Answer, Task, TrialPlan, make, play
from lamer_bench.agent import PastEpisode


def around(board: Board, cell: int) -> set[int]:
    row, column = divmod(cell, board.columns)
    near = {(row + dr, column + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)} - {(row, column)}
    inside = {(r, c) for r, c in near if 0 <= r < board.rows and 0 <= c < board.columns}
    return {r * board.columns + c for r, c in inside}


def brute_force(board: Board, knowledge: Knowledge) -> list[int]:
    weights = [0] * (board.rows * board.columns)
    for layout in itertools.combinations(range(board.rows * board.columns), board.mines):
        mines = set(layout)
        if not knowledge.mines <= mines or mines & knowledge.numbers.keys():
            continue
        if all(len(around(board, c) & mines) == n for c, n in knowledge.numbers.items()):
            for cell in mines:
                weights[cell] += 1
    return weights


@pytest.mark.parametrize("seed", range(40))
def test_weights_equal_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    rows, columns = rng.choice([(3, 3), (3, 4), (4, 4), (2, 6)])
    board = Board(rows, columns, rng.randint(1, 6), "?", ".", "*")
    cells = list(range(rows * columns))
    mines = set(rng.sample(cells, board.mines))
    safe = [cell for cell in cells if cell not in mines]
    seen = rng.sample(safe, rng.randint(0, min(5, len(safe))))
    knowledge = Knowledge(
        {cell: len(around(board, cell) & mines) for cell in seen},
        set(rng.sample(sorted(mines), rng.randint(0, min(2, len(mines))))),
    )
    assert mine_weights(board, knowledge) == brute_force(board, knowledge)


def test_nothing_known_makes_all_cells_equal() -> None:
    board = Board(3, 3, 2, "?", ".", "*")
    assert mine_weights(board, Knowledge()) == [8] * 9  # C(8, 1) layouts hold a given cell


def won_shares(kind: str, memory: str, num_tasks: int) -> list[float]:
    """Share of trials won within 1, 2 and 3 attempts (for controls: in the attempt itself)."""
    player = MinesweeperPlayer()
    env = make("minesweeper-hard")
    wins = [0, 0, 0]
    for index in range(num_tasks):
        plan = TrialPlan(Task("minesweeper-hard", "val", index), kind=kind, memory=memory)  # type: ignore[arg-type]
        trial = play(env, plan)
        ask = next(trial)
        while True:
            reply = player.answer(ask.view) if ask.kind == "act" else player.reflect(ask.view)
            try:
                ask = trial.send(Answer(reply))
            except StopIteration as stop:
                episodes = stop.value.episodes
                break
        for episode in episodes:
            wins[episode.index] += episode.end == "won"
    return [count / num_tasks for count in wins]


def test_memory_is_worth_much_on_hard_and_a_reflection_carries_it_all() -> None:
    history = won_shares("trial", "history", 100)
    reflection = won_shares("trial", "reflection", 100)
    wiped = won_shares("control", "none", 100)
    assert history == reflection  # the drawn board holds everything that inference needs
    assert wiped[0] < 0.40
    assert sum(history) > 1 - (1 - max(wiped)) ** 3 + 0.15


def test_a_reflection_that_contradicts_the_board_is_ignored() -> None:
    env = make("minesweeper-hard")
    view = next(play(env, TrialPlan(Task("minesweeper-hard", "val", 0)))).view
    alone = outlook(view)
    view.state.clear()
    view.earlier = (PastEpisode(reflection="\n".join([". . . . . ."] * 6)),)
    assert outlook(view).weights == alone.weights
    assert sum(alone.risks()) == pytest.approx(10.0)


def test_it_reads_other_glyphs_from_the_rules() -> None:
    env = make("minesweeper-ood")
    board = Board.from_rules(env.rules())
    observation, _ = env.reset(seed=0)
    assert (board.rows, board.columns, board.mines) == (5, 8, 8)
    assert (board.hidden, board.blank, board.mine) == ("#", "-", "@")
    assert board.read(observation) is not None
    assert board.read("no board here") is None
